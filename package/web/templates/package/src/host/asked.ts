/** One call on its way: its arguments checked, its features as inputs, its answer's items in words. */

import { recommendations, type Recommendation, type Recommendations, type Unknown } from "./answers.js";
import { checkK } from "./best.js";
import type { Contract, Feature, Output, Signature } from "./contract.js";
import { CallError, wrong } from "./errors.js";
import { listed, type Encoder, type Given } from "./features.js";
import type { Items } from "./items.js";
import { hasRows, isSequence, isText, restOf, type Call } from "./roles.js";
import { countOf, numbersOf, type Tensors } from "./tensors.js";

const DEFAULT_K = 10;

export class Asked {
  readonly contract: Contract;
  readonly signature: Signature;

  constructor(
    /** The outputs of any function of the model; states are put in and kept by whoever runs it. */
    readonly run: (name: string, inputs: Tensors) => Promise<Tensors>,
    readonly call: Call,
    readonly given: Given,
    readonly encoder: Encoder,
  ) {
    this.contract = encoder.given.contract;
    this.signature = encoder.given.signature;
  }

  /** The outputs of the function that is called. */
  outputs(inputs: Tensors): Promise<Tensors> {
    return this.run(this.call.function, inputs);
  }

  /** The items of the function. */
  get items(): Items {
    const items = this.encoder.given.vocabularies.get(this.call.items);
    if (items === undefined) throw new RangeError(`there is no vocabulary ${this.call.items}`);
    return items;
  }

  /** How many items are asked for. */
  k(): number {
    return checkK(Object.hasOwn(this.given, "k") ? this.given["k"] : DEFAULT_K);
  }

  /** The ids that are never listed: what is set aside, and what the call excludes. */
  leftOut(): Set<number> {
    const given = Object.hasOwn(this.given, "excluding") ? this.given["excluding"] : [];
    const words = given instanceof Set ? [...(given as Set<unknown>)] : listed("excluding", given, "a list of items");
    const found = new Set(this.items.aside);
    for (const [place, word] of words.entries()) {
      if (typeof word !== "string") throw wrong(`excluding[${String(place)}]`, word, "a token or a title");
      const item = this.items.find(word);
      if (item !== undefined) found.add(item);
    }
    return found;
  }

  /** The features of every record, those of the call where it has none of its own. */
  features(records: readonly Given[] = [{}], ofCandidates = false): Given[] {
    const shared: Record<string, unknown> = {};
    for (const [name, feature] of this.call.arguments) {
      if (Object.hasOwn(this.given, name)) shared[feature] = this.given[name];
    }
    const rows = records.map((each) => ({ ...shared, ...each }));
    for (const [place, row] of rows.entries()) {
      for (const [name, feature] of this.call.arguments) {
        if (Object.hasOwn(row, feature)) continue;
        const where = ofCandidates ? `${name} of candidates[${String(place)}]` : name;
        throw new CallError("missing_feature", `${where} is missing; pass ${this.#expected(feature)}`);
      }
    }
    return rows;
  }

  #expected(name: string): string {
    const feature = this.feature(name);
    if (isSequence(feature)) return isText(this.contract, feature) ? "text" : "a list of items";
    if (feature.kind === "id") return "a token or a title";
    return restOf(this.signature, feature).length === 0 ? "a number" : "a list of numbers";
  }

  /** The input of that name. */
  feature(name: string): Feature {
    const found = this.signature.inputs.find((each) => each.name === name);
    if (found === undefined) throw new RangeError(`there is no input ${name}`);
    return found;
  }

  /** The call's features as the model's inputs, states left out. */
  inputs(): Tensors {
    return this.encoder.tensors(this.features());
  }

  /** The first row of an output. */
  row(out: Output, outputs: Tensors): number[] {
    const tensor = outputs[out.name];
    if (tensor === undefined) throw new RangeError(`the model gives no output ${out.name}`);
    const numbers = numbersOf(tensor);
    return hasRows(this.signature) ? numbers.slice(0, countOf(tensor.shape.slice(1))) : numbers;
  }

  /** An item of the answer. */
  item(place: number, more: Partial<Recommendation>): Recommendation {
    return { id: place, token: this.items.token(place), title: this.items.shown(place), ...more };
  }

  /** A candidate of the answer, which may be a word that the model does not know. */
  candidate(word: string, more: Partial<Recommendation>): Recommendation {
    const found = this.items.find(word);
    if (found !== undefined) return this.item(found, more);
    const { spec } = this.items;
    const padding = this.feature(this.call.candidate).out_of_vocabulary === "padding";
    return { id: (padding ? spec.padding_id : spec.unknown_id) ?? 0, token: word, title: word, ...more };
  }

  /** The answer of a list. */
  list(found: readonly Recommendation[]): Recommendations {
    return recommendations(found, this.unknown);
  }

  /** The words of the call that no item is, so far. */
  get unknown(): Unknown[] {
    return [...this.encoder.unknown.values()];
  }
}
