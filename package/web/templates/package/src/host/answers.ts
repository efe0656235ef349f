/** What a call gives back. */

/** A word that no token or title is; `near` holds up to three that it may have been meant for. */
export interface Unknown {
  readonly given: string;
  readonly near: readonly string[];
}

/** One item of an answer. */
export interface Recommendation {
  /** Its place in the vocabulary. */
  readonly id: number;
  /** Its stable key. */
  readonly token: string;
  /** What people read; the token where the vocabulary has no title for it. */
  readonly title: string;
  /** As the model gave it; absent where it gives ids alone. */
  readonly score?: number;
  /** Where the output is a logit or a probability. */
  readonly probability?: number;
  /** Of every output, where the model has several heads. */
  readonly scores?: Readonly<Record<string, number>>;
}

/** Items, best first; `unknown` names the words of the call that the model does not know. */
export type Recommendations = readonly Recommendation[] & { readonly unknown: readonly Unknown[] };

/** A vector. */
export interface Embedding {
  readonly values: Float32Array;
  readonly unknown: readonly Unknown[];
}

/** A number, or lists of numbers. */
export type Value = number | readonly Value[];

/** One output: as the model gave it, in its unit, and the probability that one logit stands for. */
export interface Predicted {
  readonly value: Value;
  readonly unit: string;
  readonly probability?: number;
}

/** Every output by name. */
export interface Prediction {
  readonly outputs: Readonly<Record<string, Predicted>>;
  readonly unknown: readonly Unknown[];
}

/** An arm, and how probable it was that it would be drawn; null where it was not drawn. */
export interface Decision {
  readonly arm: Recommendation;
  readonly propensity: number | null;
  readonly unknown: readonly Unknown[];
}

export type Answer = Recommendations | Embedding | Prediction | Decision;

/** A list with what was unknown beside it. */
export function recommendations(items: readonly Recommendation[], unknown: readonly Unknown[]): Recommendations {
  return Object.assign([...items], { unknown });
}

/** The answer as plain JSON values; keys that say nothing are left out. */
export function plain(answer: Answer): Record<string, unknown> {
  const unknown = answer.unknown.length > 0 ? { unknown: answer.unknown } : {};
  if (isList(answer)) return { items: [...answer], ...unknown };
  if ("outputs" in answer) {
    const outputs = Object.entries(answer.outputs).map(([name, each]) => {
      const { unit, ...rest } = each;
      return [name, unit === "" ? rest : each] as const;
    });
    return { outputs: Object.fromEntries(outputs), ...unknown };
  }
  if ("arm" in answer) return { arm: answer.arm, propensity: answer.propensity, ...unknown };
  return { values: Array.from(answer.values), ...unknown };
}

function isList(answer: Answer): answer is Recommendations {
  return Array.isArray(answer);
}
