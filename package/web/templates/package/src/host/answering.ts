/** What each role answers, given a call and the model. */

import type { Answer, Prediction, Predicted, Recommendation, Value } from "./answers.js";
import type { Asked } from "./asked.js";
import { best, bestOf, checkScores, drawn, share, sigmoid, softmax, type Scored } from "./best.js";
import { bounds, type Output, type Role } from "./contract.js";
import { CallError, wrong } from "./errors.js";
import { listed, type Given } from "./features.js";
import { generate } from "./generating.js";
import { axisOf, hasRows, isScore, listsItems, oneNumber, restOf } from "./roles.js";
import { numbersOf, type Tensors } from "./tensors.js";

type Answering = (asked: Asked) => Promise<Answer>;

/** The k best of all items that may be listed. */
async function recommend(asked: Asked): Promise<Answer> {
  const k = asked.k();
  const leftOut = asked.leftOut();
  const inputs = asked.inputs(); // a mistake is told even where nothing is asked for
  if (k === 0 && !asked.signature.inputs.some((each) => each.kind === "state")) return asked.list([]);
  const outputs = await asked.outputs(inputs);
  const out = asked.signature.outputs.find((each) => listsItems(asked.contract, each));
  if (out === undefined) throw new RangeError("the function lists no items");
  if (out.meaning === "top_k_ids") return asked.list(fromLists(asked, out, outputs, k, leftOut));
  const scores = asked.row(out, outputs);
  const found = bestOf(scores, k, leftOut);
  const chances = out.meaning === "logit" ? softmax(scores, asked.items.aside) : scores;
  return asked.list(
    found.map(([place, score]) => {
      const chance = out.meaning === "score" ? {} : { probability: chances[place] ?? 0 };
      return asked.item(place, { score, ...chance });
    }),
  );
}

/** The k best of the ids that the model lists, where it scores them; else the first that it lists. */
function fromLists(
  asked: Asked,
  out: Output,
  outputs: Tensors,
  k: number,
  leftOut: ReadonlySet<number>,
): Recommendation[] {
  const ids = asked.row(out, outputs);
  const scored = asked.signature.outputs.find((each) => each.meaning === "top_k_scores");
  const scores = scored === undefined ? [] : asked.row(scored, outputs);
  const known = ids
    .map((id, place): Scored => [id, scores[place] ?? 0])
    .filter(([id]) => asked.items.isItem(id) && !leftOut.has(id));
  if (scored === undefined) return known.slice(0, k).map(([id]) => asked.item(id, {}));
  return best(known, k, leftOut).map(([id, score]) => asked.item(id, { score }));
}

/** The candidates, best first by the first output; of equal scores the earlier comes first. */
async function rank(asked: Asked): Promise<Answer> {
  const records = candidatesOf(asked).map((each, place) => record(asked, place, each));
  if (records.length === 0) return asked.list([]);
  const heads = asked.signature.outputs.filter((each) => oneNumber(asked.signature, each));
  const rows = asked.features(records, true);
  const scores = await inChunks(asked, rows, heads);
  for (const each of scores) checkScores(each, "candidate");
  const first = scores[0] ?? [];
  const order = rows.map((_, place) => place);
  order.sort((left, right) => (first[right] ?? 0) - (first[left] ?? 0) || left - right);
  return asked.list(
    order.map((place) => {
      const word = String(rows[place]?.[asked.call.candidate]);
      return asked.candidate(
        word,
        scoresOf(
          heads,
          scores.map((each) => each[place] ?? 0),
        ),
      );
    }),
  );
}

/** What is to be said of one candidate's scores. */
function scoresOf(heads: readonly Output[], scores: readonly number[]): Partial<Recommendation> {
  const [head, score] = [heads[0], scores[0] ?? 0];
  const probability = head === undefined ? undefined : chance(head, score);
  return {
    score,
    ...(probability === undefined ? {} : { probability }),
    ...(heads.length > 1
      ? { scores: Object.fromEntries(heads.map((each, place) => [each.name, scores[place] ?? 0])) }
      : {}),
  };
}

/** The probability that one number of an output stands for; undefined where it is a score. */
function chance(out: Output, number: number): number | undefined {
  if (out.meaning === "logit") return sigmoid(number);
  return out.meaning === "probability" ? number : undefined;
}

function candidatesOf(asked: Asked): readonly unknown[] {
  if (!Object.hasOwn(asked.given, "candidates")) {
    throw new CallError("missing_feature", "candidates is missing; pass a list of items");
  }
  return listed("candidates", asked.given["candidates"], "a list of items");
}

/** A candidate's own features: an item alone, or a record that holds more. */
function record(asked: Asked, place: number, candidate: unknown): Given {
  const { call } = asked;
  const where = `candidates[${String(place)}]`;
  if (typeof candidate === "string") return { [call.candidate]: candidate };
  if (typeof candidate !== "object" || candidate === null || Array.isArray(candidate)) {
    throw wrong(where, candidate, "an item or a record");
  }
  const known = [call.candidate, ...call.arguments.keys()];
  const given = Object.entries(candidate).filter(([, value]) => value !== undefined);
  for (const [name] of given) {
    if (known.includes(name)) continue;
    throw new CallError(
      "unknown_feature",
      `${where}.${name} is no feature of ${call.method}; expected ${known.join(", ")}`,
    );
  }
  if (!given.some(([name]) => name === call.candidate)) {
    throw new CallError("missing_feature", `${where}.${call.candidate} is missing; pass a token or a title`);
  }
  return Object.fromEntries(given.map(([name, value]) => [call.arguments.get(name) ?? name, value as unknown]));
}

/** The numbers of every head, for as many rows at once as the contract allows. */
async function inChunks(asked: Asked, rows: readonly Given[], heads: readonly Output[]): Promise<number[][]> {
  const leading = asked.signature.inputs.find((each) => each.kind !== "state")?.shape[0];
  const most = hasRows(asked.signature) && leading !== undefined ? bounds(asked.contract, leading)[1] : 1;
  const found = heads.map((): number[] => []);
  for (let start = 0; start < rows.length; start += most) {
    const chunk = rows.slice(start, start + most);
    const outputs = await asked.outputs(asked.encoder.tensors(chunk));
    for (const [place, head] of heads.entries()) {
      const tensor = outputs[head.name];
      if (tensor !== undefined) found[place]?.push(...numbersOf(tensor).slice(0, chunk.length));
    }
  }
  return found;
}

/** The vector of the first output that is an embedding. */
async function embed(asked: Asked): Promise<Answer> {
  const outputs = await asked.outputs(asked.inputs());
  const out = asked.signature.outputs.find((each) => each.meaning === "embedding");
  if (out === undefined) throw new RangeError("the function gives no embedding");
  return { values: Float32Array.from(asked.row(out, outputs)), unknown: asked.unknown };
}

/** Every output with its unit. */
async function predict(asked: Asked): Promise<Answer> {
  const outputs = await asked.outputs(asked.inputs());
  const told = asked.signature.outputs.filter((each) => each.meaning !== "state");
  const answer: Prediction = {
    outputs: Object.fromEntries(told.map((each) => [each.name, predicted(asked, each, outputs)])),
    unknown: asked.unknown,
  };
  return answer;
}

function predicted(asked: Asked, out: Output, outputs: Tensors): Predicted {
  const numbers = asked.row(out, outputs);
  if (!oneNumber(asked.signature, out)) {
    const shape = outputs[out.name]?.shape ?? [];
    return { value: nested(numbers, hasRows(asked.signature) ? shape.slice(1) : shape), unit: out.unit };
  }
  const value = numbers[0] ?? 0;
  const probability = chance(out, value);
  return { value, unit: out.unit, ...(probability === undefined ? {} : { probability }) };
}

function nested(numbers: readonly number[], shape: readonly number[]): Value {
  const [first, ...rest] = shape;
  if (first === undefined) return numbers[0] ?? 0;
  const step = numbers.length / Math.max(1, first);
  return Array.from({ length: first }, (_, place) => nested(numbers.slice(place * step, (place + 1) * step), rest));
}

/** The page: the candidates in the model's order, k of them. */
async function arrange(asked: Asked): Promise<Answer> {
  const k = asked.k();
  const candidates = candidatesOf(asked);
  const feature = asked.feature(asked.call.candidate);
  const axis = axisOf(asked.signature, feature);
  const most = axis === undefined ? 0 : bounds(asked.contract, axis)[1];
  if (candidates.length > most) {
    throw new CallError(
      "too_many",
      `candidates has ${String(candidates.length)} items; expected at most ${String(most)}`,
    );
  }
  const inputs = asked.inputs();
  if (candidates.length === 0) return asked.list([]);
  const outputs = await asked.outputs(inputs);
  const out = asked.signature.outputs.find((each) => isScore(each) && restOf(asked.signature, each).at(-1) === axis);
  if (out === undefined) throw new RangeError("the function scores no places");
  const scores = asked.row(out, outputs);
  const offset = feature.padding_side === "left" ? scores.length - candidates.length : 0;
  const places = best(
    candidates.map((_, place) => [place, scores[offset + place] ?? 0] as const),
    k,
    new Set(),
  );
  return asked.list(places.map(([place, score]) => asked.candidate(String(candidates[place]), { score })));
}

/** An arm: drawn by its probability where the call hands in a draw, else the best. */
async function decide(asked: Asked): Promise<Answer> {
  const draw = Object.hasOwn(asked.given, "draw") ? asked.given["draw"] : undefined;
  if (draw !== undefined && !(typeof draw === "number" && draw >= 0 && draw < 1)) {
    throw new CallError("bad_draw", wrong("draw", draw, "a number from 0 to below 1").message);
  }
  const outputs = await asked.outputs(asked.inputs());
  const over = asked.signature.outputs.filter((each) => listsItems(asked.contract, each));
  const chancesOut = over.find((each) => each.meaning === "probability");
  const scoresOut = over.find((each) => each.meaning === "score") ?? over.find((each) => each.meaning === "logit");
  const chances = chancesOut === undefined ? undefined : asked.row(chancesOut, outputs);
  checkScores(chances ?? [], "id"); // a draw would pass over what is no number
  const scores = scoresOut === undefined ? (chances ?? []) : asked.row(scoresOut, outputs);
  const { aside } = asked.items;
  let arm: number | null = null;
  if (chances !== undefined && draw !== undefined) arm = drawn(chances, draw, aside);
  arm ??=
    bestOf(scores, 1, aside)[0]?.[0] ?? null;
  if (arm === null) throw new CallError("bad_score", "no arm has a score; build the model again");
  const propensity = chances === undefined || draw === undefined ? null : share(chances, arm, aside);
  return { arm: asked.item(arm, { score: scores[arm] ?? 0 }), propensity, unknown: asked.unknown };
}

/** How each role answers. */
export const ROLES: Readonly<Record<Role, Answering>> = {
  recommend,
  search: recommend,
  rank,
  embed,
  predict,
  arrange,
  decide,
  generate,
};
