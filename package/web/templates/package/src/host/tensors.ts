/** Arrays as a model takes and gives them, row-major. */

import type { Dtype } from "./contract.js";

export type TensorData = Int32Array | BigInt64Array | Float32Array | Uint8Array;

export interface Tensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** A tensor of numbers; booleans are 0 and 1. */
export function tensorOf(dtype: Dtype, shape: readonly number[], values: readonly number[]): Tensor {
  switch (dtype) {
    case "int32":
      return { dtype, shape, data: Int32Array.from(values) };
    case "int64":
      return { dtype, shape, data: BigInt64Array.from(values, (each) => BigInt(each)) };
    case "float32":
      return { dtype, shape, data: Float32Array.from(values) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(values) };
  }
}

/** How many numbers a shape holds. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A tensor's numbers. */
export function numbersOf(tensor: Tensor): number[] {
  const { data } = tensor;
  return data instanceof BigInt64Array ? Array.from(data, Number) : Array.from(data);
}
