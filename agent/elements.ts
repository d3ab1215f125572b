/**
 * From the JSON of a tensor's `data` (Open Inference Protocol) to its elements. What does not fit is refused, never
 * rounded, cut or wrapped.
 */
import type { Elements, ElementType } from './ports.ts';
import { type NumericType, viewElements } from './tensors.ts';

type Integer = Exclude<NumericType, 'bool' | 'float16' | 'float32' | 'float64'>;

const RANGES: Readonly<Record<Integer, readonly [bigint, bigint]>> = {
  uint8: unsigned(8n),
  uint16: unsigned(16n),
  uint32: unsigned(32n),
  uint64: unsigned(64n),
  int8: signed(8n),
  int16: signed(16n),
  int32: signed(32n),
  int64: signed(64n),
};

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parseWithSources = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** As many digits as may be more than a float64 holds; up to 21, no 64-bit number has more. */
const LONG_NUMBER = /\d{16}/;
const WHOLE_64_BITS = /^-?\d{16,20}$/;

/**
 * What the JSON `text` says, which was read as `value`: INT64 and UINT64 reach beyond what a JSON number is read as, so
 * whole numbers that were rounded are bigints instead.
 */
export function exactly(text: string, value: unknown): unknown {
  return LONG_NUMBER.test(text) ? parseWithSources(text, exactNumber) : value;
}

function exactNumber(_key: string, value: unknown, { source = '' }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !WHOLE_64_BITS.test(source)) return value;
  return BigInt(source);
}

/** Why `data` is not the tensor that it claims to be: a clause without a subject. */
export class Misfit extends Error {}

/**
 * The elements of `data`, which may be flat or nested as `shape` is; `count` is how many the shape holds. Takes no more
 * memory than what was sent, whatever the shape says. Throws a Misfit.
 */
export function elementsOf(
  data: readonly unknown[],
  type: ElementType,
  shape: readonly number[],
  count: number,
): Elements {
  const flat = Array.isArray(data[0]) ? flattened(data, shape) : data;
  if (flat.length !== count) {
    throw new Misfit(`has ${flat.length} elements; the shape [${shape.join(',')}] holds ${count}`);
  }
  if (type === 'string') return flat.map(toText);
  if (type === 'bool') return Uint8Array.from(flat, toBit);
  if (type === 'float16' || type === 'float32' || type === 'float64') return floats(flat, type);
  return integers(flat, type);
}

function flattened(data: readonly unknown[], shape: readonly number[]): readonly unknown[] {
  const flat: unknown[] = [];
  const collect = (values: readonly unknown[], depth: number): void => {
    if (values.length !== shape[depth]) {
      const size = shape[depth] ?? 'none';
      throw new Misfit(`has a list of ${values.length} in dimension ${depth}, whose size is ${size}`);
    }
    const isLast = depth === shape.length - 1;
    for (const value of values) {
      if (isLast) flat.push(value);
      else if (Array.isArray(value)) collect(value, depth + 1);
      else throw new Misfit(`is nested, and has no list where dimension ${depth + 1} begins`);
    }
  };
  collect(data, 0);
  return flat;
}

function integers(flat: readonly unknown[], type: Integer): Elements {
  const [least, most] = RANGES[type];
  const check = (value: unknown, at: number): number | bigint => {
    const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
    if (!isWhole) throw new Misfit(`has ${kindOf(value)} at ${at}, where a whole number belongs`);
    if (value < least || value > most)
      throw new Misfit(`has a number at ${at} that is beyond ${least} to ${most}`);
    return value;
  };
  if (type === 'int64') return BigInt64Array.from(flat, (value, at) => BigInt(check(value, at)));
  if (type === 'uint64') return BigUint64Array.from(flat, (value, at) => BigInt(check(value, at)));
  const numbers = flat.map((value, at) => Number(check(value, at)));
  const { buffer } = arrayOf(type, numbers);
  return viewElements(type, buffer);
}

function arrayOf(type: Exclude<Integer, 'int64' | 'uint64'>, numbers: readonly number[]) {
  switch (type) {
    case 'uint8':
      return Uint8Array.from(numbers);
    case 'uint16':
      return Uint16Array.from(numbers);
    case 'uint32':
      return Uint32Array.from(numbers);
    case 'int8':
      return Int8Array.from(numbers);
    case 'int16':
      return Int16Array.from(numbers);
    case 'int32':
      return Int32Array.from(numbers);
  }
}

function floats(flat: readonly unknown[], type: 'float16' | 'float32' | 'float64'): Elements {
  const numbers = flat.map((value, at) => {
    if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
    throw new Misfit(`has ${kindOf(value)} at ${at}, where a number belongs`);
  });
  const array = { float16: Float16Array, float32: Float32Array, float64: Float64Array }[type].from(numbers);
  const beyond = array.findIndex((value) => !Number.isFinite(value));
  if (beyond >= 0) throw new Misfit(`has a number at ${beyond} that is beyond the range of ${type}`);
  return type === 'float16' ? new Uint16Array(array.buffer) : (array as Float32Array | Float64Array);
}

function toBit(value: unknown, at: number): number {
  if (typeof value === 'boolean') return Number(value);
  throw new Misfit(`has ${kindOf(value)} at ${at}, where true or false belongs`);
}

function toText(value: unknown, at: number): string {
  if (typeof value !== 'string') throw new Misfit(`has ${kindOf(value)} at ${at}, where a string belongs`);
  return checkText(value, at);
}

/** The text, if a graph can be given it. Throws a Misfit. */
export function checkText(text: string, at: number): string {
  if (!text.isWellFormed()) throw new Misfit(`has half of a surrogate pair in the string at ${at}`);
  // The runtime's binding for Node passes strings that end at their first zero.
  if (text.includes('\0'))
    throw new Misfit(`has a zero character in the string at ${at}, which cannot be passed on`);
  return text;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return 'a number that is not whole';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function unsigned(bits: bigint): readonly [bigint, bigint] {
  return [0n, 2n ** bits - 1n];
}

function signed(bits: bigint): readonly [bigint, bigint] {
  return [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}
