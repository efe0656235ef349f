/** A small contract and its manifest, for tests that need no model. */

import type { Contract } from "../src/host/index.js";

export const DIGEST = "0".repeat(64);
export const TOKENS = "1".repeat(64);

export const toy: Contract = {
  schema: 1,
  dims: { batch: { min: 1, max: 4 }, length: { min: 1, max: 3 } },
  vocabularies: { item: { size: 4, padding_id: 0, unknown_id: null, sha256: TOKENS } },
  functions: {
    main: {
      method: "forward",
      inputs: [
        {
          name: "history",
          kind: "id_sequence",
          dtype: "int32",
          shape: ["batch", "length"],
          vocabulary: "item",
          padding_side: "left",
          out_of_vocabulary: "padding",
          minimum: 0,
          maximum: 1,
        },
      ],
      outputs: [
        {
          name: "scores",
          meaning: "score",
          dtype: "float32",
          shape: ["batch", 4],
          vocabulary: "item",
          unit: "",
          updates: null,
        },
      ],
    },
  },
};

/** A manifest of the toy with some keys replaced. */
export function manifestText(replaced: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    schema: 1,
    name: "toy",
    version: "1.0.0",
    contract_sha256: DIGEST,
    functions: { main: { graph: "main.onnx", data: [] } },
    vocabularies: { item: { tokens: "item.txt", titles: null, spellings: null } },
    files: { "main.onnx": { sha256: DIGEST, bytes: 9 }, "item.txt": { sha256: TOKENS, bytes: 8 } },
    ...replaced,
  });
}
