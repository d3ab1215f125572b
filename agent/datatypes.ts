/** Element types in the words of the Open Inference Protocol, and in ours. */
import type { ElementType } from './ports.ts';
import { isElementType, parseDeclared } from './tensors.ts';

const NAMES = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
} as const satisfies Record<ElementType, string>;

export type Datatype = (typeof NAMES)[ElementType];

export const DATATYPES: readonly Datatype[] = Object.values(NAMES);

const TYPES: ReadonlyMap<string, ElementType> = new Map(
  Object.entries(NAMES).map(([type, name]) => [name, type as ElementType]),
);

export function datatypeOf(type: ElementType): Datatype {
  return NAMES[type];
}

export function elementTypeOf(datatype: Datatype): ElementType {
  const type = TYPES.get(datatype);
  if (type === undefined) throw new RangeError(`no datatype ${datatype}`);
  return type;
}

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  /** -1 stands for a dimension of any size. */
  readonly shape: readonly number[];
}

/** What a manifest declares as `int64[batch,384]`, as the protocol shows it. */
export function metadataOf(declared: Readonly<Record<string, string>>): readonly TensorMetadata[] {
  return Object.entries(declared).map(([name, text]) => {
    const { type, dimensions } = parseDeclared(text) ?? { type: text, dimensions: [] };
    const shape = dimensions.map((size) => (typeof size === 'number' ? size : -1));
    return { name, datatype: isElementType(type) ? NAMES[type] : type, shape };
  });
}
