/** Scores as the k best, and as probabilities. */

import { CallError, shown } from "./errors.js";

export type Scored = readonly [place: number, score: number];

/** The number of items asked for. Throws `bad_k` where it is no whole number from 0. */
export function checkK(k: unknown): number {
  if (typeof k !== "number" || !Number.isInteger(k) || k < 0) {
    throw new CallError("bad_k", `k is ${shown(k)}; expected a whole number from 0`);
  }
  return k;
}

/** Throws `bad_score`, naming the first that is not a number. */
export function checkScores(scores: readonly number[], what: string): void {
  const place = scores.findIndex(Number.isNaN);
  if (place >= 0) throw notANumber(what, place);
}

function notANumber(what: string, place: number): CallError {
  return new CallError(
    "bad_score",
    `the score of ${what} ${String(place)} is not a number; build the model again`,
  );
}

/** The ids of the k best scores, best first; of equal scores the lower id comes first. */
export function topK(scores: readonly number[], k: number, leftOut: ReadonlySet<number>): number[] {
  return bestOf(scores, k, leftOut).map(([place]) => place);
}

/** The k best of the scores of ids from 0, best first; the same rules as `best`. */
export function bestOf(scores: readonly number[], k: number, leftOut: ReadonlySet<number>): Scored[] {
  const heap: Scored[] = [];
  for (let place = 0; place < scores.length; place += 1) {
    const score = scores[place] ?? Number.NaN;
    const worst = heap.length < k ? undefined : heap[0];
    if (worst !== undefined && score <= worst[1]) continue; // of equal scores the lower id was here first
    offer(heap, [place, score], k, leftOut);
  }
  return heap.sort(order);
}

/**
 * The k best of (id, score), best first, ties by the lower id. Ids in `leftOut` and scores of minus infinity are never
 * listed; where fewer are left, all of them are. Throws `bad_score`.
 */
export function best(scored: readonly Scored[], k: number, leftOut: ReadonlySet<number>): Scored[] {
  const heap: Scored[] = []; // the worst of the best on top
  for (const each of scored) offer(heap, each, k, leftOut);
  return heap.sort(order);
}

/** Puts one among the k best where it belongs there. */
function offer(heap: Scored[], each: Scored, k: number, leftOut: ReadonlySet<number>): void {
  if (Number.isNaN(each[1])) throw notANumber("id", each[0]);
  if (leftOut.has(each[0]) || each[1] === -Infinity || k === 0) return;
  if (heap.length < k) {
    heap.push(each);
    rise(heap);
  } else if (heap[0] !== undefined && order(each, heap[0]) < 0) {
    heap[0] = each;
    sink(heap);
  }
}

function order(left: Scored, right: Scored): number {
  return left[1] === right[1] ? left[0] - right[0] : right[1] > left[1] ? 1 : -1;
}

function rise(heap: Scored[]): void {
  let place = heap.length - 1;
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (!swapped(heap, above, place)) return;
    place = above;
  }
}

function sink(heap: Scored[]): void {
  let place = 0;
  for (;;) {
    const [left, right] = [2 * place + 1, 2 * place + 2];
    const [first, second] = [heap[left], heap[right]];
    if (first === undefined) return;
    const worse = second !== undefined && order(second, first) > 0 ? right : left;
    if (!swapped(heap, place, worse)) return;
    place = worse;
  }
}

/** Puts the worse of two above; whether they changed places. */
function swapped(heap: Scored[], above: number, below: number): boolean {
  const [top, bottom] = [heap[above], heap[below]];
  if (top === undefined || bottom === undefined || order(bottom, top) <= 0) return false;
  heap[above] = bottom;
  heap[below] = top;
  return true;
}

/** The probability of each logit among all that are not left out; 0 for those. */
export function softmax(logits: readonly number[], leftOut: ReadonlySet<number>): number[] {
  let top = -Infinity;
  logits.forEach((each, place) => {
    if (!leftOut.has(place) && each > top) top = each;
  });
  if (top === -Infinity) return logits.map(() => 0);
  const raised = logits.map((each, place) => (leftOut.has(place) ? 0 : Math.exp(each - top)));
  const total = raised.reduce((sum, each) => sum + each, 0);
  return raised.map((each) => each / total);
}

/** The probability of a logit. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const raised = Math.exp(logit);
  return raised / (1 + raised);
}

/** The first id whose cumulated share exceeds `draw` in [0, 1); null where none has a share. */
export function drawn(probabilities: readonly number[], draw: number, leftOut: ReadonlySet<number>): number | null {
  const whole = total(probabilities, leftOut);
  let reached = 0;
  let last: number | null = null;
  for (const [place, each] of probabilities.entries()) {
    if (leftOut.has(place) || each <= 0) continue;
    reached += each;
    last = place;
    if (reached / whole > draw) return place;
  }
  return last;
}

/** The probability of an id among all that are not left out; 0 where none has any. */
export function share(probabilities: readonly number[], place: number, leftOut: ReadonlySet<number>): number {
  const whole = total(probabilities, leftOut);
  return whole > 0 ? (probabilities[place] ?? 0) / whole : 0;
}

function total(probabilities: readonly number[], leftOut: ReadonlySet<number>): number {
  return probabilities.reduce((sum, each, place) => (leftOut.has(place) ? sum : sum + each), 0);
}
