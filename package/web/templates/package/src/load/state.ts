/** How far a model is loaded. */

import type { LoadError } from "./errors.js";

export type Provider = "webgpu" | "wasm";

/** What a loader is doing. Bytes are those of the model's files; a file from the cache counts, too. */
export type LoadState =
  | { readonly status: "absent" }
  | { readonly status: "fetching"; readonly file: string; readonly loaded: number; readonly total: number }
  | { readonly status: "checking"; readonly file: string; readonly loaded: number; readonly total: number }
  | { readonly status: "compiling"; readonly provider: Provider }
  | { readonly status: "ready"; readonly provider: Provider }
  | { readonly status: "failed"; readonly error: LoadError };

/** How much of the model's files is there, in bytes. */
export interface Progress {
  readonly file: string;
  readonly loaded: number;
  readonly total: number;
}

export type OnState = (state: LoadState) => void;
