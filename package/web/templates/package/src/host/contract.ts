/** The contract: what a model's inputs and outputs mean. */

export type Dtype = "int32" | "int64" | "float32" | "bool";
export type Kind = "id" | "id_sequence" | "id_bag" | "dense" | "mask" | "length" | "state";
export type Meaning =
  | "score"
  | "logit"
  | "probability"
  | "embedding"
  | "top_k_ids"
  | "top_k_scores"
  | "state";
export type Role = "recommend" | "rank" | "search" | "embed" | "arrange" | "decide" | "predict" | "generate";
export type Size = number | string;

export interface Dim {
  readonly min: number;
  readonly max: number;
}

export interface Tokenizer {
  readonly kind: "wordpiece";
  readonly lowercase: boolean;
  readonly strip_accents: boolean | null;
  readonly tokenize_chinese_chars: boolean;
  readonly unknown: string;
  readonly start: string;
  readonly end: string;
  readonly mask: string;
  readonly max_characters_per_word: number;
}

export interface VocabularySpec {
  readonly size: number;
  readonly padding_id: number | null;
  readonly unknown_id: number | null;
  readonly sha256: string;
  readonly titles_sha256?: string;
  readonly spelled_in?: string;
  readonly spellings_sha256?: string;
  readonly tokenizer?: Tokenizer | null;
}

export interface Feature {
  readonly name: string;
  readonly kind: Kind;
  readonly dtype: Dtype;
  readonly shape: readonly Size[];
  readonly vocabulary: string | null;
  readonly padding_side: "left" | "right" | null;
  readonly out_of_vocabulary: "padding" | "unknown" | "forbid";
  readonly minimum: number;
  readonly maximum: number;
  readonly unit?: string;
}

export interface Output {
  readonly name: string;
  readonly meaning: Meaning;
  readonly dtype: Dtype;
  readonly shape: readonly Size[];
  readonly vocabulary: string | null;
  readonly unit: string;
  readonly updates: string | null;
}

export interface Signature {
  readonly method: string;
  readonly inputs: readonly Feature[];
  readonly outputs: readonly Output[];
  readonly role?: Role | "";
  readonly items?: string;
}

export interface Contract {
  readonly schema: 1;
  readonly functions: Readonly<Record<string, Signature>>;
  readonly dims: Readonly<Record<string, Dim>>;
  readonly vocabularies: Readonly<Record<string, VocabularySpec>>;
}

/** The smallest and the largest value of one entry of a shape. */
export function bounds(contract: Contract, size: Size): readonly [number, number] {
  if (typeof size === "number") return [size, size];
  const dim = contract.dims[size];
  if (dim === undefined) throw new RangeError(`the contract has no dim ${size}`);
  return [dim.min, dim.max];
}

/** The vocabulary of that name. */
export function vocabularySpec(contract: Contract, name: string): VocabularySpec {
  const spec = contract.vocabularies[name];
  if (spec === undefined) throw new RangeError(`the contract has no vocabulary ${name}`);
  return spec;
}

/** The function of that name. */
export function signatureOf(contract: Contract, name: string): Signature {
  const signature = contract.functions[name];
  if (signature === undefined) throw new RangeError(`the contract has no function ${name}`);
  return signature;
}

/** The ids that stand for no item: padding and unknown. */
export function asideOf(spec: VocabularySpec): ReadonlySet<number> {
  return new Set([spec.padding_id, spec.unknown_id].filter((each) => each !== null));
}
