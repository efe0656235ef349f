/** Items spelled id by id: what comes before runs once, the generating function for every step of a search. */

import type { Recommendations } from "./answers.js";
import type { Asked } from "./asked.js";
import { beamSearch, PrefixTrie } from "./beam.js";
import { bounds, signatureOf, vocabularySpec, type Feature, type Output } from "./contract.js";
import { CallError } from "./errors.js";
import { Encoder } from "./features.js";
import { fedBy, prefixOf } from "./roles.js";
import { countOf, numbersOf, tensorOf, type Tensor, type Tensors } from "./tensors.js";

const LEAST_BEAMS = 10; // of which fewer would miss items that begin badly

/** The items of the k best spellings that the call does not exclude; scores are log-probabilities. */
export async function generate(asked: Asked): Promise<Recommendations> {
  const k = asked.k();
  const leftOut = asked.leftOut();
  const given = encoded(asked); // a mistake is told even where nothing is asked for
  const { items } = asked;
  const places = [...items.spelled.keys()].filter((place) => !leftOut.has(place));
  if (k === 0 || places.length === 0) return asked.list([]);
  const trie = new PrefixTrie(places.map((place) => items.spelled.get(place) ?? []));
  const step = new Step(asked, await fed(asked, given));
  const found = await beamSearch((prefixes) => step.run(prefixes), trie, {
    start: step.start,
    beamWidth: Math.max(k, LEAST_BEAMS),
  });
  const listed = found.filter(({ score }) => score > -Infinity).slice(0, k);
  return asked.list(listed.map(({ item, score }) => asked.item(places[item] ?? 0, { score })));
}

/** The functions of one generation, the generating one last. */
function functionsOf(asked: Asked): string[] {
  return [...new Set(fedBy(asked.contract, asked.call.function).values()), asked.call.function];
}

/** Every function's inputs of one row; what other functions give, and the prefix, left out. */
function encoded(asked: Asked): Map<string, Tensors> {
  const rows = asked.features();
  const own = asked.call.function;
  const prefix = prefixOf(asked.contract, own, asked.call.items).name;
  const without = new Set([...fedBy(asked.contract, own).keys(), prefix]);
  return new Map(
    functionsOf(asked).map((name) => {
      const encoder = new Encoder(
        {
          ...asked.encoder.given,
          signature: signatureOf(asked.contract, name),
          spelled: asked.items,
          without: name === own ? without : new Set<string>(),
        },
        asked.encoder.unknown,
      );
      return [name, encoder.tensors(rows)] as const;
    }),
  );
}

/** The generating function's inputs of one row, those among them that other functions give. */
async function fed(asked: Asked, given: ReadonlyMap<string, Tensors>): Promise<Tensors> {
  const found: Record<string, Tensor> = { ...given.get(asked.call.function) };
  const feeding = fedBy(asked.contract, asked.call.function);
  for (const name of functionsOf(asked).slice(0, -1)) {
    const outputs = await asked.run(name, given.get(name) ?? {});
    for (const [input, giver] of feeding) {
      const output = outputs[input];
      if (giver === name && output !== undefined) found[input] = output;
    }
  }
  return found;
}

/** Logits of the next id after prefixes, in as many runs as the contract's batch asks for. */
class Step {
  readonly start: number;
  readonly #prefix: Feature;
  readonly #out: Output;

  constructor(
    readonly asked: Asked,
    readonly given: Tensors,
  ) {
    this.#prefix = prefixOf(asked.contract, asked.call.function, asked.call.items);
    const code = vocabularySpec(asked.contract, asked.call.items).spelled_in ?? "";
    const out = asked.signature.outputs.find((each) => each.meaning === "logit" && each.vocabulary === code);
    if (out === undefined) throw new RangeError("the function gives no logits over what spells its items");
    this.#out = out;
    this.start = vocabularySpec(asked.contract, code).padding_id ?? 0;
  }

  async run(prefixes: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const [low, high] = bounds(this.asked.contract, this.#prefix.shape[0] ?? 1);
    const rows: Float32Array[] = [];
    for (let start = 0; start < prefixes.length; start += high) {
      const chunk = prefixes.slice(start, start + high);
      const last = chunk.at(-1) ?? [];
      const filled = [...chunk, ...Array.from({ length: Math.max(0, low - chunk.length) }, () => last)];
      rows.push(...(await this.#rows(filled)).slice(0, chunk.length));
    }
    return rows;
  }

  async #rows(prefixes: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const [least, most] = bounds(this.asked.contract, this.#prefix.shape.at(-1) ?? 1);
    const length = prefixes[0]?.length ?? 0;
    if (length > most) {
      throw new CallError(
        "too_long",
        `${this.#prefix.name} takes ${String(most)} ids, and items are spelled in ${String(length)} or more`,
      );
    }
    const left = this.#prefix.padding_side === "left";
    const fill = new Array<number>(Math.max(0, least - length)).fill(this.start);
    const padded = prefixes.map((each) => (left ? [...fill, ...each] : [...each, ...fill]));
    const repeated = Object.entries(this.given).map(([name, each]) => [name, repeat(each, prefixes.length)]);
    const shape = [padded.length, Math.max(length, least)];
    const outputs = await this.asked.outputs({
      ...(Object.fromEntries(repeated) as Tensors),
      [this.#prefix.name]: tensorOf(this.#prefix.dtype, shape, padded.flat()),
    });
    const logits = outputs[this.#out.name];
    if (logits === undefined) throw new RangeError(`the model gives no output ${this.#out.name}`);
    return rowsOf(logits, left ? -1 : length - 1);
  }
}

/** The first row of a tensor, repeated. */
function repeat(tensor: Tensor, count: number): Tensor {
  const rest = tensor.shape.slice(1);
  const row = numbersOf(tensor).slice(0, countOf(rest));
  return tensorOf(tensor.dtype, [count, ...rest], Array.from({ length: count }, () => row).flat());
}

/** The logits of every row, at one place where there are several; -1 is the last. */
function rowsOf(logits: Tensor, place: number): Float32Array[] {
  const numbers = Float32Array.from(numbersOf(logits));
  const width = logits.shape.at(-1) ?? 0;
  const places = logits.shape.length === 2 ? 1 : (logits.shape[1] ?? 1);
  const at = logits.shape.length === 2 ? 0 : place < 0 ? places - 1 : place;
  return Array.from({ length: logits.shape[0] ?? 0 }, (_, row) => {
    const start = (row * places + at) * width;
    return numbers.slice(start, start + width);
  });
}
