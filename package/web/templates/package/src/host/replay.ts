/** API vectors replayed: the same calls have the same answers in every language. */

import { plain } from "./answers.js";
import { drawn, sigmoid, softmax, topK } from "./best.js";
import type { Host, States } from "./calls.js";
import { CallError } from "./errors.js";
import type { Given } from "./features.js";
import { editDistance } from "./items.js";
import { tokenize } from "./wordpiece.js";

const ROUNDING = 1e-12; // of exponential functions, which languages compute to other last digits
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Table = Readonly<Record<string, Json>>;

export interface ApiCall {
  readonly name: string;
  readonly function: string;
  readonly method: string;
  readonly arguments: Table;
  readonly session: string;
  readonly answer: Table | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface Vectors {
  readonly schema: 1;
  readonly contract_sha256: string;
  readonly calls: readonly ApiCall[];
  readonly rules: readonly Table[];
}

/** How many calls were compared, and what differs in each that does. */
export interface Replayed {
  readonly compared: number;
  readonly differences: readonly string[];
}

/**
 * Replays the calls of the vectors.
 *
 * @param tolerances - By function and output, the largest absolute difference of its numbers.
 * @param tieTolerance - The share of the largest score within which items may swap places.
 * @param ask - How a call is made; by default by the host itself.
 */
export async function replay(
  host: Host,
  vectors: Vectors,
  tolerances: Readonly<Record<string, Readonly<Record<string, number>>>>,
  tieTolerance: number,
  ask: (method: string, given: Given, states?: States) => Promise<Table> = async (method, given, states) =>
    plain(await host.call(method, given, states)) as Table,
): Promise<Replayed> {
  const sessions = new Map<string, States>();
  const differences: string[] = [];
  for (const call of vectors.calls) {
    let states: States | undefined;
    if (call.session !== "") {
      states = sessions.get(call.session) ?? new Map();
      sessions.set(call.session, states);
    }
    const allowed = Math.max(0, ...Object.values(tolerances[call.function] ?? {}));
    const found = await answered(ask, call.method, spread(host, call), states);
    const said = difference(call, found, allowed, tieTolerance);
    if (said !== "") differences.push(`${call.method}, ${JSON.stringify(call.name)}: ${said}`);
  }
  return { compared: vectors.calls.length, differences };
}

/** What differs in each rule that needs no model. */
export function replayRules(host: Host, vectors: Vectors): Replayed {
  const differences: string[] = [];
  for (const rule of vectors.rules) {
    const name = textOf(rule, "rule");
    const given = (rule["arguments"] ?? {}) as Table;
    let found: Found;
    try {
      found = { answer: { value: ruled(host, name, given) }, error: null };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      found = { answer: null, error: { code: error.code, message: error.message } };
    }
    const wanted = "error" in rule ? (rule["error"] ?? null) : { value: rule["answer"] ?? null };
    const said = ofNumbers(wanted, found.error ?? found.answer, ROUNDING, "");
    if (said !== "") differences.push(`${name} of ${cut(given)}: ${said}`);
  }
  return { compared: vectors.rules.length, differences };
}

function ruled(host: Host, name: string, given: Table): Json {
  const numbers = (key: string): number[] => (given[key] as readonly Json[]).map(Number);
  const leftOut = new Set(Array.isArray(given["left_out"]) ? numbers("left_out") : []);
  switch (name) {
    case "top_k":
      return topK(numbers("scores"), Number(given["k"]), leftOut);
    case "softmax":
      return softmax(numbers("logits"), leftOut);
    case "sigmoid":
      return sigmoid(Number(given["logit"]));
    case "drawn":
      return drawn(numbers("probabilities"), Number(given["draw"]), leftOut);
    case "edit_distance":
      return editDistance(textOf(given, "left"), textOf(given, "right"));
    case "find": {
      const items = host.given.vocabularies.get(textOf(given, "vocabulary"));
      const word = textOf(given, "word");
      const id = items?.find(word) ?? null;
      return { id, near: id === null ? (items?.near(word) ?? []) : [] };
    }
    case "tokenize": {
      const items = host.given.vocabularies.get(textOf(given, "vocabulary"));
      const tokenizer = items?.spec.tokenizer;
      if (!items || !tokenizer) throw new RangeError("a rule about text names a vocabulary without a tokenizer");
      return tokenize(textOf(given, "text"), tokenizer, items, Number(given["most"]));
    }
    default:
      throw new RangeError(`there is no rule ${name}; generate the package by the release that built the bundle`);
  }
}

function textOf(table: Table, key: string): string {
  const value = table[key];
  if (typeof value !== "string") throw new TypeError(`${key} is ${cut(value ?? null)}; expected text`);
  return value;
}

interface Found {
  readonly answer: Table | null;
  readonly error: Table | null;
}

async function answered(
  ask: (method: string, given: Given, states?: States) => Promise<Table>,
  method: string,
  given: Given,
  states: States | undefined,
): Promise<Found> {
  try {
    return { answer: await ask(method, given, states), error: null };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { answer: null, error: { code: error.code, message: error.message } };
  }
}

/** The arguments with shorthands written out: `excluding` may be every item but some. */
function spread(host: Host, call: ApiCall): Given {
  const excluding = call.arguments["excluding"];
  if (typeof excluding !== "object" || excluding === null || !("all_but" in excluding)) return call.arguments;
  const items = host.given.vocabularies.get(host.callOf(call.method).items);
  const kept = new Set(excluding["all_but"] as readonly string[]);
  const all = items?.tokens.filter((token, place) => items.isItem(place) && !kept.has(token)) ?? [];
  return { ...call.arguments, excluding: all };
}

function difference(expected: ApiCall, found: Found, tolerance: number, tieTolerance: number): string {
  if (expected.answer === null || found.answer === null) {
    const [wanted, came] = [expected.error ?? expected.answer, found.error ?? found.answer];
    return same(wanted, came) ? "" : `answers ${cut(came)}; expected ${cut(wanted)}`;
  }
  const [wanted, came] = [expected.answer, found.answer];
  if (!same(wanted["unknown"] ?? null, came["unknown"] ?? null)) {
    return `names ${cut(came["unknown"] ?? null)} as unknown; expected ${cut(wanted["unknown"] ?? null)}`;
  }
  if ("items" in wanted) {
    return ofLists(wanted["items"] as readonly Table[], (came["items"] ?? []) as readonly Table[], tolerance, tieTolerance);
  }
  return ofNumbers(wanted, came, tolerance, "");
}

/** Lists are equal where scores are, place by place and item by item, within the tolerance. */
function ofLists(expected: readonly Table[], found: readonly Table[], tolerance: number, tieTolerance: number): string {
  if (expected.length !== found.length) {
    return `lists ${String(found.length)} items; expected ${String(expected.length)}`;
  }
  if (expected.some((each) => !("score" in each))) {
    return same(expected, found) ? "" : `lists ${cut(found)}; expected ${cut(expected)}`;
  }
  const largest = Math.max(0, ...expected.map((each) => Math.abs(Number(each["score"]))));
  const allowed = 2 * tolerance + tieTolerance * largest;
  const byId = new Map(expected.map((each) => [each["id"], each]));
  const last = expected.at(-1);
  for (const [place, want] of expected.entries()) {
    const came = found[place] ?? {};
    const other = byId.get(came["id"] ?? null) ?? { ...came, score: last?.["score"] ?? null };
    const own = came["id"] === want["id"] ? want : other;
    const near = [own, want].every((each) => Math.abs(Number(came["score"]) - Number(each["score"])) <= allowed);
    if (!near || own["token"] !== came["token"] || own["title"] !== came["title"]) {
      return `place ${String(place)} is ${cut(came)}; expected ${cut(want)}`;
    }
    const more = came["id"] === want["id"] ? ofNumbers(want, came, allowed, "") : "";
    if (more !== "") return `place ${String(place)}: ${more}`;
  }
  return "";
}

/** Where numbers differ by more than the tolerance, or anything else at all. */
function ofNumbers(expected: Json, found: Json, tolerance: number, where: string): string {
  if (typeof expected === "number" && typeof found === "number") {
    const whole = Number.isInteger(expected) && Number.isInteger(found) && tolerance === 0;
    const fits = whole ? expected === found : Math.abs(expected - found) <= tolerance;
    return fits ? "" : `${where} is ${cut(found)}; expected ${cut(expected)}`;
  }
  if (typeof expected === "object" && typeof found === "object" && expected !== null && found !== null) {
    const [left, right] = [entriesOf(expected), new Map(entriesOf(found))];
    if (left.length !== right.size) return `${where} is ${cut(found)}; expected ${cut(expected)}`;
    for (const [key, value] of left) {
      const came = right.get(key);
      if (came === undefined) return `${where} has no ${key}; expected ${cut(value)}`;
      const said = ofNumbers(value, came, tolerance, where === "" ? key : `${where}.${key}`);
      if (said !== "") return said;
    }
    return "";
  }
  return expected === found ? "" : `${where} is ${cut(found)}; expected ${cut(expected)}`;
}

function entriesOf(value: readonly Json[] | Table): [string, Json][] {
  return Object.entries<Json>(value as Table);
}

function same(left: Json, right: Json): boolean {
  return ofNumbers(left, right, 0, "value") === "";
}

function cut(value: Json): string {
  const text = JSON.stringify(value);
  return text.length < 120 ? text : `${text.slice(0, 116)}…`;
}
