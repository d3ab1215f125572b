/**
 * What is true of every tensor, wherever it comes from: element types and their arrays, how many elements a shape
 * holds, and whether tensors are those that an expert declares. Pure; both ends of the pipe to a cell use it.
 */
import type { Elements, ElementType, NamedTensor } from './ports.ts';

/** Arrays that hold the elements of all types but `string`. */
const ARRAYS = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type NumericType = keyof typeof ARRAYS;
export type NumericElements = Exclude<Elements, readonly string[]>;

/** What a frame between agent and cell can carry, at a byte an element. */
const MAX_ELEMENTS = 64 * 1024 * 1024;
const DECLARATION = /^(\w+)\[(.*)\]$/;

/** Whether the word is an element type that tensors can have here; `bfloat16` for one is not. */
export function isElementType(word: unknown): word is ElementType {
  return typeof word === 'string' && (word === 'string' || isNumericType(word));
}

export function isNumericType(word: string): word is NumericType {
  return Object.hasOwn(ARRAYS, word);
}

export function bytesPerElement(type: NumericType): number {
  return ARRAYS[type].BYTES_PER_ELEMENT;
}

/** The bytes of `count` elements as their array, which is a view: `bytes` must be aligned, and at the start of a buffer. */
export function viewElements(type: NumericType, bytes: ArrayBuffer): NumericElements {
  return new ARRAYS[type](bytes);
}

/** True where `data` is the very array that the type has. */
export function fitsType(type: ElementType, data: unknown): data is Elements {
  // Unlike `every`, `findIndex` looks into holes.
  if (type === 'string') return Array.isArray(data) && data.findIndex((one) => typeof one !== 'string') < 0;
  if (!(data instanceof ARRAYS[type])) return false;
  return type !== 'bool' || (data as Uint8Array).every((value) => value <= 1);
}

/**
 * How many elements a shape holds. null where a size is negative, no whole number, or where the sizes multiply to more
 * than any tensor may have. A size of zero makes a tensor empty, not its other sizes harmless: a graph that sums over
 * the empty dimension would make them.
 */
export function elementCount(shape: readonly number[]): number | null {
  let extent = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return null;
    extent *= Math.max(1, size);
    if (extent > MAX_ELEMENTS) return null;
  }
  return shape.includes(0) ? 0 : extent;
}

/** `float32[2,3]`, as manifests write it. */
export function describeTensor({ type, shape }: Pick<NamedTensor, 'type' | 'shape'>): string {
  return `${type}[${shape.join(',')}]`;
}

// ---- what an expert declares ----------------------------------------------------------------------------------

/** Values of a graph by name, each as `int64[batch,sequence]`: `model.inputs` and `model.outputs` of a manifest. */
export type Declarations = Readonly<Record<string, string>>;

export interface Declared {
  /** As it is written; `isElementType` says whether it is one. */
  readonly type: string;
  /** A text names a dimension of any size. */
  readonly dimensions: readonly (number | string)[];
}

/** Takes `int64[batch,384]` apart; null where it is not of that form. */
export function parseDeclared(text: string): Declared | null {
  const [, type, inner = ''] = DECLARATION.exec(text) ?? [];
  if (type === undefined) return null;
  const words = inner.trim() === '' ? [] : inner.split(',').map((word) => word.trim());
  return { type, dimensions: words.map((word) => (/^\d+$/.test(word) ? Number(word) : word)) };
}

/** What is wrong with a request for tensors. */
export interface TensorFault {
  readonly side: 'input' | 'output';
  /** Name of the tensor at fault. */
  readonly name: string;
  /** A clause that names it, to begin a sentence with. */
  readonly message: string;
}

/** The first thing that keeps the inputs from being exactly those declared; null where nothing does. */
export function inputFault(
  inputs: readonly Omit<NamedTensor, 'data'>[],
  declared: Declarations,
): TensorFault | null {
  const seen = new Set<string>();
  for (const tensor of inputs) {
    const { name } = tensor;
    const text = Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (text === undefined) return fault('input', name, `is not one that the expert has (${list(declared)})`);
    if (seen.has(name)) return fault('input', name, 'is given twice');
    seen.add(name);
    if (!isLike(tensor, parseDeclared(text)))
      return fault('input', name, `is ${describeTensor(tensor)}; the expert takes ${text}`);
  }
  const missing = Object.keys(declared).find((name) => !seen.has(name));
  return missing === undefined
    ? null
    : fault('input', missing, `is missing; the expert takes ${declared[missing]}`);
}

/** The first name that is no declared output, or is asked for twice; null where all are. */
export function outputFault(names: readonly string[], declared: Declarations): TensorFault | null {
  for (const [at, name] of names.entries()) {
    if (!Object.hasOwn(declared, name))
      return fault('output', name, `is not one that the expert has (${list(declared)})`);
    if (names.indexOf(name) < at) return fault('output', name, 'is asked for twice');
  }
  return null;
}

function isLike({ type, shape }: Omit<NamedTensor, 'data'>, declared: Declared | null): boolean {
  return (
    declared !== null &&
    declared.type === type &&
    declared.dimensions.length === shape.length &&
    declared.dimensions.every((size, at) => typeof size === 'string' || size === shape[at])
  );
}

function fault(side: TensorFault['side'], name: string, what: string): TensorFault {
  return { side, name, message: `${side} "${shown(name)}" ${what}` };
}

function list(declared: Declarations): string {
  return Object.keys(declared).slice(0, 20).map(shown).join(', ');
}

/** A name as an error may show it: names of a request have no bound of their own. */
export function shown(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}...` : name;
}
