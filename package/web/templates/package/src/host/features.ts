/** An app's arguments as a model's arrays: looked up, cut to the most recent, padded, stacked row by row. */

import type { Unknown } from "./answers.js";
import { bounds, type Contract, type Feature, type Signature, type Size, type Tokenizer } from "./contract.js";
import { CallError, wrong } from "./errors.js";
import type { Items } from "./items.js";
import { axisOf, hasRows, isSequence, isText, restOf } from "./roles.js";
import { tensorOf, type Tensor } from "./tensors.js";

/** Text to ids: the text, the tokenizer, the vocabulary and the most ids. */
export type Tokenize = (text: string, tokenizer: Tokenizer, vocabulary: Items, most: number) => number[];

/** The values of features by name, as an app gives them. */
export type Given = Readonly<Record<string, unknown>>;

interface Row {
  readonly entries: ReadonlyMap<string, readonly unknown[]>;
  readonly values: ReadonlyMap<string, unknown>;
}

export interface Encoding {
  readonly contract: Contract;
  readonly signature: Signature;
  readonly vocabularies: ReadonlyMap<string, Items>;
  readonly tokenize: Tokenize;
  /** What features are called in messages, where it is not their own name. */
  readonly names: ReadonlyMap<string, string>;
  /** The items that are given where a sequence takes the ids that spell them. */
  readonly spelled?: Items;
  /** Inputs that no argument fills. */
  readonly without?: ReadonlySet<string>;
}

/** Arguments of one function as arrays; what was unknown is kept in the order of its coming. */
export class Encoder {
  readonly #rows: boolean;

  constructor(
    readonly given: Encoding,
    readonly unknown = new Map<string, Unknown>(),
  ) {
    this.#rows = hasRows(given.signature);
  }

  /** Every input of the function but its states, a row for each of `rows`. */
  tensors(rows: readonly Given[]): Record<string, Tensor> {
    const encoded = rows.map((each) => this.#row(each));
    const lengths = this.#lengths(encoded);
    const inputs = this.given.signature.inputs.filter((each) => each.kind !== "state" && !this.#skips(each));
    return Object.fromEntries(
      inputs.map((each) => [
        each.name,
        this.#stacked(
          each,
          encoded.map((row) => this.#filled(each, row, lengths)),
        ),
      ]),
    );
  }

  #skips(feature: Feature): boolean {
    return this.given.without?.has(feature.name) ?? false;
  }

  #name(feature: Feature): string {
    return this.given.names.get(feature.name) ?? feature.name;
  }

  #items(feature: Feature): Items {
    const items = this.given.vocabularies.get(feature.vocabulary ?? "");
    if (items === undefined) throw new RangeError(`there is no vocabulary ${String(feature.vocabulary)}`);
    return items;
  }

  #stacked(feature: Feature, rows: readonly Nested[]): Tensor {
    const leading = feature.shape[0];
    if (!this.#rows || leading === undefined) {
      const [first] = rows;
      if (first === undefined) throw new RangeError("a call has at least one row");
      return tensorOf(feature.dtype, shapeOf(first), flat(first));
    }
    const [low] = bounds(this.given.contract, leading);
    const last = rows.at(-1);
    const all = [...rows];
    while (all.length < low && last !== undefined) all.push(last); // a batch that is never smaller
    return tensorOf(feature.dtype, shapeOf(all), flat(all));
  }

  #row(given: Given): Row {
    const entries = new Map<string, readonly unknown[]>();
    const values = new Map<string, unknown>();
    for (const each of this.given.signature.inputs) {
      if (!Object.hasOwn(given, each.name)) continue;
      const value = given[each.name];
      if (isSequence(each)) entries.set(each.name, this.#sequence(each, value));
      else if (this.#along(each)) {
        entries.set(each.name, this.#recent(each, listed(this.#name(each), value, "a list of numbers")));
      } else values.set(each.name, each.kind === "id" ? this.#id(each, this.#name(each), value) : value);
    }
    return { entries, values };
  }

  #sequence(feature: Feature, given: unknown): readonly unknown[] {
    const name = this.#name(feature);
    if (isText(this.given.contract, feature)) {
      if (typeof given !== "string") throw wrong(name, given, "text");
      const items = this.#items(feature);
      const { tokenizer } = items.spec;
      if (!tokenizer) throw new RangeError(`vocabulary ${items.name} has no tokenizer`);
      return this.given.tokenize(given, tokenizer, items, this.#bounds(feature)[1]);
    }
    const words = listed(name, given, "a list of items");
    const { spelled } = this.given;
    if (spelled?.spec.spelled_in === feature.vocabulary) return this.#spelled(feature, words, spelled);
    const ids = words.map((word, place) => this.#id(feature, `${name}[${String(place)}]`, word));
    return this.#recent(feature, ids);
  }

  /** The ids that spell the most recent items, whole ones; an unknown one is as many as an item has. */
  #spelled(feature: Feature, words: readonly unknown[], items: Items): number[] {
    const [first] = items.spelled.values();
    const length = first?.length ?? 0;
    const ids = words.map((word, place) => {
      const found = placeOf(`${this.#name(feature)}[${String(place)}]`, word, items);
      if (found !== undefined) return items.spelled.get(found) ?? [];
      return new Array<number>(length).fill(this.#fallback(feature, String(word), items));
    });
    const kept = Math.floor(this.#bounds(feature)[1] / Math.max(1, length));
    return ids.slice(Math.max(0, ids.length - kept)).flat();
  }

  /** The most recent entries, which come last, as many as the contract allows. */
  #recent(feature: Feature, entries: readonly unknown[]): readonly unknown[] {
    return entries.slice(-this.#bounds(feature)[1]);
  }

  #id(feature: Feature, where: string, word: unknown): number {
    const items = this.#items(feature);
    return placeOf(where, word, items) ?? this.#fallback(feature, String(word), items);
  }

  /** What stands for a word that is no item, as the feature says. */
  #fallback(feature: Feature, word: string, items: Items): number {
    const policy = feature.out_of_vocabulary;
    const { spec } = this.#items(feature);
    const id = policy === "padding" ? spec.padding_id : spec.unknown_id;
    if (policy === "forbid" || id === null) throw items.refused(word);
    if (!this.unknown.has(word)) this.unknown.set(word, items.unknown(word));
    return id;
  }

  /** Whether a feature has one number for every entry of a sequence. */
  #along(feature: Feature): boolean {
    const axis = axisOf(this.given.signature, feature);
    if (feature.kind !== "dense" || axis === undefined || this.#sequenceOf(axis) === undefined) return false;
    return restOf(this.given.signature, feature).length === 1;
  }

  #sequenceOf(axis: Size): Feature | undefined {
    const { signature } = this.given;
    return signature.inputs.find((each) => isSequence(each) && axisOf(signature, each) === axis);
  }

  #bounds(feature: Feature): readonly [number, number] {
    const axis = axisOf(this.given.signature, feature);
    if (axis === undefined) throw new RangeError(`${feature.name} has no axis of entries`);
    return bounds(this.given.contract, axis);
  }

  /**
   * How long every axis of sequences is: the longest row, and at least what the contract says. A row of padding alone
   * is as long as the contract allows: what a model makes of it depends on its length.
   */
  #lengths(rows: readonly Row[]): Map<Size, number> {
    const found = new Map<Size, number>();
    for (const each of this.given.signature.inputs) {
      const axis = axisOf(this.given.signature, each);
      if (!isSequence(each) || axis === undefined || this.#skips(each)) continue;
      const [low, high] = bounds(this.given.contract, axis);
      const padding = this.#items(each).spec.padding_id;
      for (const row of rows) {
        const entries = row.entries.get(each.name) ?? [];
        const empty = padding !== null && entries.every((entry) => entry === padding);
        found.set(axis, Math.max(found.get(axis) ?? low, empty ? high : entries.length));
      }
    }
    return found;
  }

  /** One row of a feature. */
  #filled(feature: Feature, row: Row, lengths: ReadonlyMap<Size, number>): Nested {
    const axis = axisOf(this.given.signature, feature);
    const entries = row.entries.get(feature.name);
    if (entries !== undefined && axis !== undefined) {
      this.#checkAlong(feature, axis, row);
      return this.#padded(feature, entries, axis, lengths.get(axis) ?? 0);
    }
    if (feature.kind === "mask" && axis !== undefined) {
      const source = this.#sequenceOf(axis);
      const marks = (row.entries.get(source?.name ?? "") ?? []).map(() => 1);
      if (source !== undefined) return pad(marks, lengths.get(axis) ?? 0, 0, source);
    }
    if (feature.kind === "length" && !row.values.has(feature.name)) {
      const source = this.given.signature.inputs.find(isSequence);
      const count = row.entries.get(source?.name ?? "")?.length ?? 0;
      return this.#shaped(feature, count);
    }
    const value = row.values.get(feature.name);
    return feature.kind === "id" ? this.#shaped(feature, value as number) : this.#number(feature, value);
  }

  /** One number in the shape of a row. */
  #shaped(feature: Feature, value: number): Nested {
    return restOf(this.given.signature, feature).reduce<Nested>((found) => [found], value);
  }

  /** Checks that what runs along a sequence is as long as it is. */
  #checkAlong(feature: Feature, axis: Size, row: Row): void {
    const source = this.#sequenceOf(axis);
    const expected = row.entries.get(source?.name ?? "")?.length;
    const came = row.entries.get(feature.name)?.length;
    if (source === undefined || expected === undefined || expected === came) return;
    throw new CallError(
      "wrong_length",
      `${this.#name(feature)} has ${String(came)} entries and ${this.#name(source)} has ${String(expected)}; ` +
        "pass one for each",
    );
  }

  #padded(feature: Feature, entries: readonly unknown[], axis: Size, length: number): Nested {
    const name = this.#name(feature);
    if (!isSequence(feature)) {
      const source = this.#sequenceOf(axis) ?? feature;
      const numbers = entries.map((each, place) => numberOf(`${name}[${String(place)}]`, each, feature));
      return pad(numbers, length, 0, source);
    }
    const padding = this.#items(feature).spec.padding_id;
    if (padding === null && entries.length < length) {
      throw new CallError(
        "too_short",
        `${name} has ${String(entries.length)} items; expected at least ${String(this.#bounds(feature)[0])}, ` +
          "as nothing pads it",
      );
    }
    return pad(entries as readonly number[], length, padding ?? 0, feature);
  }

  /** A number, or lists of numbers, in the shape of one row. */
  #number(feature: Feature, value: unknown): Nested {
    const shape = restOf(this.given.signature, feature);
    const single = shape.length === 1 && shape[0] === 1 && !isList(value);
    return this.#nested(feature, this.#name(feature), single ? [value] : value, shape);
  }

  #nested(feature: Feature, where: string, value: unknown, shape: readonly Size[]): Nested {
    const [first, ...rest] = shape;
    if (first === undefined) return numberOf(where, value, feature);
    const [low, high] = bounds(this.given.contract, first);
    const size = low === high ? String(low) : `${String(low)} to ${String(high)}`;
    const values = listed(where, value, rest.length === 0 ? `a list of ${size} numbers` : `${size} lists`);
    if (values.length < low || values.length > high) {
      throw new CallError("wrong_length", `${where} has ${String(values.length)} entries; expected ${size}`);
    }
    return values.map((each, place) => this.#nested(feature, `${where}[${String(place)}]`, each, rest));
  }
}

function placeOf(where: string, word: unknown, items: Items): number | undefined {
  if (typeof word !== "string") throw wrong(where, word, "a token or a title");
  return items.find(word);
}

type Nested = number | readonly Nested[];

function shapeOf(value: Nested): number[] {
  if (typeof value === "number") return [];
  const [first] = value;
  return [value.length, ...(first === undefined ? [] : shapeOf(first))];
}

function flat(value: Nested): number[] {
  return typeof value === "number" ? [value] : value.flatMap(flat);
}

/** The entries, filled with `value` to a length on the feature's side. */
function pad(entries: readonly number[], length: number, value: number, feature: Feature): number[] {
  const fill = new Array<number>(Math.max(0, length - entries.length)).fill(value);
  return feature.padding_side === "left" ? [...fill, ...entries] : [...entries, ...fill];
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** The elements of a list; refuses anything else. */
export function listed(where: string, given: unknown, expected: string): readonly unknown[] {
  if (!isList(given)) throw wrong(where, given, expected);
  return Array.from(given);
}

function numberOf(where: string, value: unknown, feature: Feature): number {
  if (feature.dtype === "bool") {
    if (typeof value !== "boolean") throw wrong(where, value, "true or false");
    return value ? 1 : 0;
  }
  const whole = feature.dtype !== "float32";
  if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) {
    throw wrong(where, value, whole ? "a whole number" : "a finite number");
  }
  const bound = feature.dtype === "int32" ? 2 ** 31 : 2 ** 63;
  if (whole && (!Number.isInteger(value) || value < -bound || value >= bound)) {
    throw wrong(where, value, `a whole number of ${feature.dtype}`);
  }
  return value;
}
