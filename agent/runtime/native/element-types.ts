/** Element types of tensors: the library's numbers (ONNXTensorElementDataType), their names in JavaScript, their size. */
import type { Tensor } from 'onnxruntime-node';

const NAMES: readonly (Tensor.Type | null)[] = [
  null,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
];

/** Throws a TypeError for what JavaScript has no name for, such as bfloat16. */
export function nameOfType(code: number): Tensor.Type {
  const name = NAMES[code];
  if (name) return name;
  throw new TypeError(`the graph has a tensor of element type ${code}, which cannot be handled here`);
}

export function codeOfType(name: Tensor.Type): number {
  return NAMES.indexOf(name);
}
