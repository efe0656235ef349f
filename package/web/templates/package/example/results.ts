/** An answer as elements. */

import type { Answer, Recommendation, Recommendations, Unknown } from "../src/host/index.js";
import { element } from "./elements.js";
import { labelOf } from "./form.js";

const SHOWN = 64; // numbers of a vector

/** An answer, the time it took, and what the model did not know. */
export function results(answer: Answer, milliseconds: number, add?: (token: string) => void): HTMLElement[] {
  const head = element(
    "div",
    { class: "head" },
    element("h2", {}, "Answer"),
    element("p", { class: "quiet" }, `${milliseconds.toFixed(1)} ms`),
  );
  return [head, ...unknown(answer.unknown), body(answer, add)];
}

function body(answer: Answer, add?: (token: string) => void): HTMLElement {
  if (isList(answer)) return list(answer, add);
  if ("arm" in answer) {
    const chance = answer.propensity === null ? "not drawn" : answer.propensity.toPrecision(4);
    return pairs([
      ["Arm", answer.arm.title],
      ["Propensity", chance],
    ]);
  }
  if ("outputs" in answer) {
    return pairs(
      Object.entries(answer.outputs).map(([name, each]) => {
        const chance = each.probability === undefined ? "" : `, probability ${each.probability.toFixed(4)}`;
        return [labelOf(name), `${JSON.stringify(each.value)} ${each.unit}${chance}`];
      }),
    );
  }
  const numbers = [...answer.values.slice(0, SHOWN)].map((each) => each.toFixed(3)).join("  ");
  return pairs([[`${String(answer.values.length)} numbers`, numbers]]);
}

function isList(answer: Answer): answer is Recommendations {
  return Array.isArray(answer);
}

function list(items: Recommendations, add?: (token: string) => void): HTMLElement {
  if (items.length === 0) return element("p", { class: "empty" }, "Nothing is left to list.");
  const scores = items.map((each) => each.probability ?? each.score ?? 0);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const share = (score: number): number => (high > low ? 0.12 + (0.88 * (score - low)) / (high - low) : 1);
  return element(
    "ol",
    { class: "list" },
    ...items.map((each, place) => row(each, place + 1, share(scores[place] ?? 0), add)),
  );
}

function row(item: Recommendation, place: number, share: number, add?: (token: string) => void): HTMLElement {
  const score = item.probability ?? item.score;
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("width", `${(100 * share).toFixed(1)}%`);
  const made = element(
    "li",
    {},
    bar,
    element("span", { class: "rank" }, String(place)),
    element("span", { class: "title" }, item.title),
    element("span", { class: "score" }, score === undefined ? "" : score.toFixed(3)),
  );
  if (add !== undefined) {
    const button = element("button", { class: "add", type: "button", "aria-label": `Add ${item.title} to the history` }, "Add");
    button.addEventListener("click", () => {
      add(item.token);
    });
    made.append(button);
  }
  return made;
}

function unknown(words: readonly Unknown[]): HTMLElement[] {
  return words.map(({ given, near }) => {
    const meant = near.length === 0 ? "" : ` Did you mean ${near.join(" or ")}?`;
    return element("p", { class: "hint" }, `The model does not know “${given}”.${meant}`);
  });
}

function pairs(found: readonly (readonly [string, string])[]): HTMLElement {
  return element("dl", {}, ...found.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}
