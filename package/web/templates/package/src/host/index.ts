/** The host logic: what stands between an app's words and a model's tensors. */

export * from "./answers.js";
export { beamSearch, PrefixTrie, type Generated, type Search, type Step } from "./beam.js";
export { best, checkK, drawn, share, sigmoid, softmax, topK } from "./best.js";
export { Host, type HostOptions, type Run, type States } from "./calls.js";
export type * from "./contract.js";
export { CallError } from "./errors.js";
export type { Given, Tokenize } from "./features.js";
export { editDistance, Items } from "./items.js";
export { replay, replayRules, type Replayed, type Vectors } from "./replay.js";
export { type Call, callsOf } from "./roles.js";
export { numbersOf, tensorOf, type Tensor, type TensorData, type Tensors } from "./tensors.js";
export { tokenize } from "./wordpiece.js";
