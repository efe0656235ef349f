/** A model called in an app's words. What runs the model is not known here: it is a function of tensors. */

import type { Answer } from "./answers.js";
import { ROLES } from "./answering.js";
import { Asked } from "./asked.js";
import { bounds, signatureOf, type Contract, type Feature } from "./contract.js";
import { CallError } from "./errors.js";
import { Encoder, type Given, type Tokenize } from "./features.js";
import type { Items } from "./items.js";
import { callsOf, type Call } from "./roles.js";
import { countOf, tensorOf, type Tensor, type Tensors } from "./tensors.js";

/** The model: a function's name and its inputs to its outputs. */
export type Run = (name: string, inputs: Tensors) => Promise<Tensors>;

/** What earlier calls left, by the state's name. */
export type States = Map<string, Tensor>;

export interface HostOptions {
  readonly contract: Contract;
  readonly vocabularies: ReadonlyMap<string, Items>;
  readonly run: Run;
  readonly tokenize: Tokenize;
}

/** What a model's functions are called with, and what they answer. */
export class Host {
  /** The functions by the name of their method. */
  readonly calls: ReadonlyMap<string, Call>;

  constructor(readonly given: HostOptions) {
    this.calls = callsOf(given.contract);
  }

  /** The call of a method. */
  callOf(method: string): Call {
    const call = this.calls.get(method);
    if (call === undefined) {
      throw new CallError("unknown_method", `${method} is no method; expected ${[...this.calls.keys()].join(", ")}`);
    }
    return call;
  }

  /**
   * The answer of a method; an argument that is undefined counts as left out. States go from call to call in `states`,
   * and begin as zeros; a call that is refused changes none. Throws CallError, and the signal's reason.
   */
  async call(method: string, given: Given, states?: States, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    const call = this.callOf(method);
    const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    checkNames(call, named);
    const kept: States = new Map(states);
    const encoder = new Encoder({
      contract: this.given.contract,
      signature: signatureOf(this.given.contract, call.function),
      vocabularies: this.given.vocabularies,
      tokenize: this.given.tokenize,
      names: new Map([...call.arguments].map(([name, feature]) => [feature, name])),
    });
    const run = async (name: string, inputs: Tensors): Promise<Tensors> => {
      signal?.throwIfAborted();
      const outputs = await this.#run(name, inputs, kept);
      signal?.throwIfAborted();
      return outputs;
    };
    const answer = await ROLES[call.role](new Asked(run, call, named, encoder));
    if (states !== undefined) for (const [name, state] of kept) states.set(name, state);
    return answer;
  }

  /** The outputs for inputs and states; the next states are kept. */
  async #run(name: string, inputs: Tensors, kept: States): Promise<Tensors> {
    const signature = signatureOf(this.given.contract, name);
    const states = signature.inputs.filter((each) => each.kind === "state");
    const held = Object.fromEntries(states.map((each) => [each.name, kept.get(each.name) ?? this.#zeros(each)]));
    const outputs = await this.given.run(name, { ...inputs, ...held });
    for (const each of states) {
      const next = signature.outputs.find((out) => out.updates === each.name);
      const state = next === undefined ? undefined : outputs[next.name];
      if (state !== undefined) kept.set(each.name, state);
    }
    return outputs;
  }

  #zeros(state: Feature): Tensor {
    const shape = state.shape.map((size) => bounds(this.given.contract, size)[0]);
    return tensorOf(state.dtype, shape, new Array<number>(countOf(shape)).fill(0));
  }
}

function checkNames(call: Call, given: Given): void {
  for (const name of Object.keys(given)) {
    if (call.names.includes(name)) continue;
    throw new CallError(
      "unknown_feature",
      `${name} is no argument of ${call.method}; expected ${call.names.join(", ")}`,
    );
  }
}
