/** JSON of the Open Inference Protocol: whole numbers that would be rounded are read, and written, digit by digit. */
import type { FastifyInstance } from 'fastify';
import { exactly } from '../../elements.ts';
import type { Elements, ElementType } from '../../ports.ts';
import { FieldError } from '../errors.ts';

/** Reads a text. Throws fastify's error for what is not JSON, or would set a prototype. */
export type ReadJson = (text: string) => unknown;

/** A reader that gives whole numbers of 64 bits as bigints where a number would not be exact. */
export function jsonReader(app: FastifyInstance): ReadJson {
  const parse = app.getDefaultJsonParser('error', 'error');
  return (text) => {
    let read: { readonly error: Error | null; readonly value: unknown } | undefined;
    // It answers at once. It takes a request as well, and looks at none.
    parse(undefined as never, text, (error, value) => {
      read = { error, value };
    });
    if (read === undefined) throw new RangeError('the parser of fastify did not answer at once');
    if (read.error !== null) throw read.error;
    return exactly(text, read.value);
  };
}

/**
 * The text of an output's `data`. Throws FieldError `not_representable` for NaN and infinities, which JSON has no words
 * for.
 */
export function dataText(name: string, type: ElementType, data: Elements): string {
  if (!ArrayBuffer.isView(data)) return JSON.stringify(data);
  if (type === 'bool') return `[${Array.from(data as Uint8Array, (bit) => bit === 1).join(',')}]`;
  const numbers = type === 'float16' ? halves(data as Uint16Array) : data;
  if (!allFinite(numbers)) {
    throw new FieldError(
      'not_representable',
      'outputs',
      `output "${name}" holds NaN or infinities, which JSON cannot say`,
      'Ask for it as bytes: "parameters": {"binary_data_output": true}.',
    );
  }
  return `[${numbers.join(',')}]`;
}

function allFinite(numbers: NodeJS.TypedArray): boolean {
  if (
    !(numbers instanceof Float32Array || numbers instanceof Float64Array || numbers instanceof Float16Array)
  )
    return true;
  return numbers.every((value) => Number.isFinite(value));
}

function halves({ buffer, byteOffset, length }: Uint16Array): Float16Array {
  return new Float16Array(buffer, byteOffset, length);
}
