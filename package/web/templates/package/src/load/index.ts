/** A model's way into a page: fetched, checked, kept, opened, called. */

export { Calls, Model, type CallOptions, type Item, type Names } from "./calls.js";
export { LoadError, type LoadCode } from "./errors.js";
export { Loaded, loadModel, type LoadOptions, type ModelSpec } from "./loaded.js";
export { Loader } from "./loader.js";
export type { LoadState, OnState, Progress, Provider } from "./state.js";
