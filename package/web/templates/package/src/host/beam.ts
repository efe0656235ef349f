/**
 * Beam search over semantic ids: items that the model spells, token by token, as far as the catalogue has them.
 *
 *     step(prefixes) ─▶ log-probabilities ─▶ what the trie allows ─▶ the best beams ─▶ items
 *
 * Source: Rajput et al., "Recommender Systems with Generative Retrieval", 2023.
 */

import { CallError } from "./errors.js";

/** Prefixes, the start token among them, to a row of logits for each. */
export type Step = (prefixes: readonly (readonly number[])[], signal?: AbortSignal) => Promise<readonly ArrayLike<number>[]>;

/** An item's place in the catalogue, and the natural logarithm of its probability, in float32. */
export interface Generated {
  readonly item: number;
  readonly score: number;
}

export interface Search {
  /** The token that every prefix begins with; no item holds it. */
  readonly start?: number;
  /** How many prefixes live on after each step. */
  readonly beamWidth?: number;
  /** Ends the search before its next step. */
  readonly signal?: AbortSignal;
}

interface Node {
  readonly next: Map<number, Node>;
  item: number | undefined;
}

interface Beam {
  readonly prefix: readonly number[];
  readonly node: Node;
  readonly score: number;
}

/** A catalogue by the tokens that its items begin with; an item's place is its number. */
export class PrefixTrie {
  readonly length: number;
  readonly root: Node = { next: new Map(), item: undefined };
  /** The largest token of any item. */
  readonly largest: number;

  constructor(items: readonly (readonly number[])[]) {
    this.length = items[0]?.length ?? 0;
    if (this.length === 0) throw new RangeError("the catalogue has no item or no token; pass a row of tokens per item");
    for (const [place, tokens] of items.entries()) this.#add(tokens, place);
    this.largest = items.reduce((most, tokens) => Math.max(most, ...tokens), 0);
    sort(this.root);
  }

  #add(tokens: readonly number[], place: number): void {
    if (tokens.length !== this.length) {
      throw new RangeError(
        `item ${String(place)} has ${String(tokens.length)} tokens; item 0 has ${String(this.length)}`,
      );
    }
    let node = this.root;
    for (const token of tokens) {
      if (!Number.isInteger(token) || token < 0) {
        throw new RangeError(`item ${String(place)}: token ${String(token)}; expected 0 or more`);
      }
      let next = node.next.get(token);
      if (next === undefined) {
        next = { next: new Map(), item: undefined };
        node.next.set(token, next);
      }
      node = next;
    }
    if (node.item !== undefined) {
      throw new RangeError(`items ${String(node.item)} and ${String(place)} have the same tokens`);
    }
    node.item = place;
  }
}

/** Puts the tokens that may follow in ascending order. */
function sort(node: Node): void {
  const known = Array.from(node.next).sort(([left], [right]) => left - right);
  node.next.clear();
  for (const [token, next] of known) {
    node.next.set(token, next);
    sort(next);
  }
}

/**
 * At most `beamWidth` items, best first, each the end of a beam that survived every step.
 *
 * Probabilities are those of the model over its whole vocabulary. They are added in float64 and compared in float32,
 * since the last bit of a logarithm differs from language to language. Of equal scores the earlier beam wins, then the
 * smaller token. Throws `bad_score` for logits that are not numbers.
 */
export async function beamSearch(step: Step, trie: PrefixTrie, search: Search = {}): Promise<Generated[]> {
  const { start = 0, beamWidth = 10, signal } = search;
  if (!Number.isInteger(beamWidth) || beamWidth < 1) {
    throw new RangeError(`beamWidth is ${String(beamWidth)}; expected 1 or more`);
  }
  let beams: Beam[] = [{ prefix: [start], node: trie.root, score: 0 }];
  for (let depth = 0; depth < trie.length; depth += 1) {
    signal?.throwIfAborted();
    const rows = await step(
      beams.map((each) => each.prefix),
      signal,
    );
    beams = extended(beams, rows, trie.largest).slice(0, beamWidth);
  }
  signal?.throwIfAborted();
  return beams.map(({ node, score }) => ({ item: node.item ?? 0, score: Math.fround(score) }));
}

/** All prefixes that are one token longer, best first: sorting keeps the order of beams and tokens among equals. */
function extended(beams: readonly Beam[], rows: readonly ArrayLike<number>[], largest: number): Beam[] {
  if (rows.length !== beams.length) {
    throw new RangeError(`step: ${String(rows.length)} rows of logits; expected ${String(beams.length)}`);
  }
  const found: Beam[] = [];
  for (const [place, { prefix, node, score }] of beams.entries()) {
    const logs = logProbabilities(rows[place] ?? [], largest);
    for (const [token, next] of node.next) {
      found.push({ prefix: [...prefix, token], node: next, score: score + (logs[token] ?? -Infinity) });
    }
  }
  return found.sort((left, right) => compared(Math.fround(right.score), Math.fround(left.score)));
}

/** The order of two numbers, infinite ones too. */
function compared(left: number, right: number): number {
  return left === right ? 0 : left < right ? -1 : 1;
}

function logProbabilities(row: ArrayLike<number>, largest: number): number[] {
  if (row.length <= largest) {
    throw new RangeError(`step: ${String(row.length)} logits; expected more than ${String(largest)}`);
  }
  const logits = Array.from(row);
  const highest = logits.reduce((most, each) => (each > most || Number.isNaN(each) ? each : most), -Infinity);
  if (!Number.isFinite(highest)) {
    throw new CallError("bad_score", "the model's logits are NaN or infinite in a whole row; check its masks");
  }
  const sum = logits.reduce((total, each) => total + Math.exp(each - highest), 0);
  const log = Math.log(sum);
  return logits.map((each) => each - highest - log);
}
