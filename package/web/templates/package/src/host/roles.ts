/** What a function of a contract is called for, over which items, and what its arguments are called. */

import {
  bounds,
  signatureOf,
  vocabularySpec,
  type Contract,
  type Feature,
  type Output,
  type Role,
  type Signature,
  type Size,
} from "./contract.js";

const SCORES: ReadonlySet<string> = new Set(["score", "logit", "probability"]);
const OPTIONS: Readonly<Record<Role, readonly string[]>> = {
  recommend: ["k", "excluding"],
  search: ["k", "excluding"],
  generate: ["k", "excluding"],
  rank: ["candidates"],
  arrange: ["k"],
  decide: ["draw"],
  embed: [],
  predict: [],
};

/** One function as an app sees it. */
export interface Call {
  /** Its name in the contract. */
  readonly function: string;
  readonly role: Role;
  /** The role where no other function has it, else role and function. */
  readonly method: string;
  /** The vocabulary of its items; empty where it has none. */
  readonly items: string;
  /** The app's name of an argument to the feature that it fills. */
  readonly arguments: ReadonlyMap<string, string>;
  /** Every name that a call may pass, the options last. */
  readonly names: readonly string[];
  /** The feature that a candidate is an item of; empty for most roles. */
  readonly candidate: string;
}

/** Every function as an app sees it, by method. */
export function callsOf(contract: Contract): Map<string, Call> {
  const all = Object.keys(contract.functions).map((name) => [name, roleOf(contract, name)] as const);
  const generating = all.filter(([, role]) => role === "generate").map(([name]) => name);
  const inner = new Set(generating.flatMap((name) => [...fedBy(contract, name).values()]));
  const roles = all.filter(([name]) => !inner.has(name));
  const calls = new Map<string, Call>();
  for (const [name, role] of roles) {
    const alone = roles.filter(([, each]) => each === role).length === 1;
    const call = callOf(contract, name, role, alone ? role : `${role}_${name}`);
    calls.set(call.method, call);
  }
  return calls;
}

/** The role that the function states, else the one that its kinds and meanings show. */
export function roleOf(contract: Contract, name: string): Role {
  const signature = signatureOf(contract, name);
  if (signature.role !== undefined && signature.role !== "") return signature.role;
  const items = itemsOf(contract, name);
  const recommends = signature.outputs.some((each) => listsItems(contract, each));
  if (recommends) return signature.inputs.some((each) => isText(contract, each)) ? "search" : "recommend";
  if (signature.outputs.some((each) => each.meaning === "embedding")) return "embed";
  if (arranges(signature, items)) return "arrange";
  return ranks(signature, items) ? "rank" : "predict";
}

/**
 * The vocabulary of a function's items: the one stated, of generation the one that is spelled, else that of its listed
 * ids or scores, else one that an id and a sequence share, else the only one with titles; empty where none shows.
 */
export function itemsOf(contract: Contract, name: string): string {
  const signature = signatureOf(contract, name);
  if (signature.items !== undefined && signature.items !== "") return signature.items;
  if (signature.role === "generate") {
    return Object.keys(contract.vocabularies).find((each) => contract.vocabularies[each]?.spelled_in) ?? "";
  }
  const listed = signature.outputs.filter((each) => listsItems(contract, each)).map((each) => each.vocabulary);
  const singles = new Set(signature.inputs.filter((each) => each.kind === "id").map((each) => each.vocabulary));
  const shared = signature.inputs
    .filter((each) => isSequence(each) && singles.has(each.vocabulary))
    .map((each) => each.vocabulary);
  const read = new Set(signature.inputs.map((each) => each.vocabulary).filter((each) => each !== null));
  const titled = [...read].filter((each) => Boolean(contract.vocabularies[each]?.titles_sha256));
  return listed[0] ?? shared[0] ?? (titled.length === 1 ? titled[0] : undefined) ?? "";
}

/** Whether an output has a score for every id of a vocabulary, or lists ids of one. */
export function listsItems(contract: Contract, out: Output): boolean {
  const last = out.shape.at(-1);
  if (out.vocabulary === null || last === undefined) return false;
  if (out.meaning === "top_k_ids") return true;
  const { size } = vocabularySpec(contract, out.vocabulary);
  const [low, high] = bounds(contract, last);
  return SCORES.has(out.meaning) && low === size && high === size;
}

/** The inputs of a function that are outputs of another one, such as an encoder's, and of which. */
export function fedBy(contract: Contract, name: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const [other, signature] of Object.entries(contract.functions)) {
    for (const out of other === name ? [] : signature.outputs) given.set(out.name, other);
  }
  const found = new Map<string, string>();
  for (const each of signatureOf(contract, name).inputs) {
    const giver = given.get(each.name);
    if (giver !== undefined && each.kind === "dense") found.set(each.name, giver);
  }
  return found;
}

/**
 * The sequence that a generating function goes on with: the last one in what spells its items. One that a function
 * before it takes, too, is a history.
 */
export function prefixOf(contract: Contract, name: string, items: string): Feature {
  const code = vocabularySpec(contract, items).spelled_in ?? "";
  const before = new Set(
    [...fedBy(contract, name).values()].flatMap((each) => signatureOf(contract, each).inputs.map((own) => own.name)),
  );
  const spelled = signatureOf(contract, name).inputs.filter((each) => each.vocabulary === code && isSequence(each));
  const found = spelled.findLast((each) => !before.has(each.name)) ?? spelled.at(-1);
  if (found === undefined) throw new RangeError(`function ${name} takes no prefix of ids that spell its items`);
  return found;
}

/** Whether a feature is a sequence or a bag of ids. */
export function isSequence(feature: Feature): boolean {
  return feature.kind === "id_sequence" || feature.kind === "id_bag";
}

/** Whether a feature's values are ids of a vocabulary. */
export function isId(feature: Feature): boolean {
  return feature.kind === "id" || isSequence(feature);
}

/** Whether a feature is text, which its vocabulary's tokenizer cuts into tokens. */
export function isText(contract: Contract, feature: Feature): boolean {
  return feature.vocabulary !== null && Boolean(vocabularySpec(contract, feature.vocabulary).tokenizer);
}

/** Whether the first axis of every input counts rows: calls of one user, or candidates. */
export function hasRows(signature: Signature): boolean {
  const inputs = signature.inputs.filter((each) => each.kind !== "state");
  const leading = new Set(inputs.map((each) => each.shape[0]));
  if (leading.size !== 1 || leading.has(undefined)) return false;
  return inputs.every((each) => !isSequence(each) || each.shape.length > 1);
}

/** A feature's or output's shape without the axis that counts rows. */
export function restOf(signature: Signature, each: Feature | Output): readonly Size[] {
  return hasRows(signature) ? each.shape.slice(1) : each.shape;
}

/** Whether an output is one number a row. */
export function oneNumber(signature: Signature, out: Output): boolean {
  const rest = restOf(signature, out);
  return SCORES.has(out.meaning) && (rest.length === 0 || (rest.length === 1 && rest[0] === 1));
}

/** Whether an output is a score of some kind. */
export function isScore(out: Output): boolean {
  return SCORES.has(out.meaning);
}

/** The axis that runs along a feature's entries; undefined for a feature of one entry. */
export function axisOf(signature: Signature, feature: Feature): Size | undefined {
  return restOf(signature, feature).at(-1);
}

function ofItems(signature: Signature, items: string): Feature[] {
  return items === "" ? [] : signature.inputs.filter((each) => each.vocabulary === items);
}

function arranges(signature: Signature, items: string): boolean {
  const axes = new Set(
    ofItems(signature, items)
      .filter(isSequence)
      .map((each) => axisOf(signature, each)),
  );
  return signature.outputs.some((each) => {
    const last = restOf(signature, each).at(-1);
    return isScore(each) && last !== undefined && axes.has(last);
  });
}

function ranks(signature: Signature, items: string): boolean {
  const single = ofItems(signature, items).some((each) => each.kind === "id");
  return single && signature.outputs.some((each) => oneNumber(signature, each));
}

function callOf(contract: Contract, name: string, role: Role, method: string): Call {
  const signature = signatureOf(contract, name);
  const items = itemsOf(contract, name);
  const fits = (each: Feature): boolean =>
    (role === "rank" && each.kind === "id") || (role === "arrange" && isSequence(each));
  const candidate = ofItems(signature, items).find(fits)?.name ?? "";
  const inputs = role === "generate" ? askedInputs(contract, name, items) : signature.inputs;
  const named = argumentsOf(contract, signature, inputs, role, items, candidate);
  return {
    function: name,
    role,
    method,
    items,
    arguments: named,
    names: [...named.keys(), ...OPTIONS[role]],
    candidate,
  };
}

/** The inputs that generation is asked for: those of every function that takes part. */
function askedInputs(contract: Contract, name: string, items: string): Feature[] {
  const feeding = fedBy(contract, name);
  const without = new Set([...feeding.keys(), prefixOf(contract, name, items).name]);
  const functions = [...new Set(feeding.values()), name];
  const parts = functions.flatMap((each) => signatureOf(contract, each).inputs);
  return [...new Map(parts.map((each) => [each.name, each])).values()].filter((each) => !without.has(each.name));
}

/** Whether a state, or what a sequence says of itself, so that no argument fills it. */
function isFilled(signature: Signature, feature: Feature): boolean {
  if (feature.kind === "state") return true;
  const sequences = signature.inputs.filter(isSequence);
  if (feature.kind === "mask") {
    return sequences.some((each) => axisOf(signature, each) === axisOf(signature, feature));
  }
  return feature.kind === "length" && sequences.length === 1;
}

/** Arguments and their features: the one sequence of items is the history, the one text the text. */
function argumentsOf(
  contract: Contract,
  signature: Signature,
  inputs: readonly Feature[],
  role: Role,
  items: string,
  candidate: string,
): Map<string, string> {
  const words = new Set(items === "" ? [] : [items]);
  if (role === "generate") words.add(vocabularySpec(contract, items).spelled_in ?? "");
  const histories = inputs.filter((each) => isSequence(each) && words.has(each.vocabulary ?? ""));
  const texts = inputs.filter((each) => isText(contract, each));
  const taken = (name: string, own: string): boolean => own !== name && inputs.some((each) => each.name === name);
  const found = new Map<string, string>();
  for (const { name, ...feature } of inputs) {
    if (isFilled(signature, { name, ...feature }) || (role === "rank" && name === candidate)) continue;
    let called = name;
    if (role === "arrange" && name === candidate) called = "candidates";
    else if (
      (role === "recommend" || role === "generate") &&
      histories.length === 1 &&
      histories[0]?.name === name &&
      !taken("history", name)
    ) {
      called = "history";
    } else if (texts.length === 1 && texts[0]?.name === name && !taken("text", name)) called = "text";
    const reserved = role === "arrange" ? [...OPTIONS[role], "candidates"] : OPTIONS[role];
    while (name !== candidate && (reserved.includes(called) || taken(called, name))) called = `${called}_feature`;
    found.set(called, name);
  }
  return found;
}
