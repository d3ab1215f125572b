/**
 * Tensors as bytes (the protocol's binary tensor data extension): little-endian, row by row; BYTES as a length of four
 * bytes before each string. Every machine that expertd runs on is little-endian.
 */

import { checkText, Misfit } from '../../elements.ts';
import type { Elements, ElementType } from '../../ports.ts';
import { bytesPerElement, isNumericType, viewElements } from '../../tensors.ts';

const LENGTH_BYTES = 4;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A copy of the bytes as `count` elements. Throws a Misfit where they are not so many, or not of the type. */
export function elementsFromBytes(bytes: Buffer, type: ElementType, count: number): Elements {
  if (!isNumericType(type)) return textsFrom(bytes, count);
  const expected = count * bytesPerElement(type);
  if (bytes.length !== expected) {
    throw new Misfit(`has ${bytes.length} bytes; ${count} elements of ${type} are ${expected}`);
  }
  const odd = type === 'bool' ? bytes.findIndex((byte) => byte > 1) : -1;
  if (odd >= 0) throw new Misfit(`has a byte at ${odd} that is neither 0 nor 1`);
  return viewElements(type, new Uint8Array(bytes).buffer);
}

function textsFrom(bytes: Buffer, count: number): readonly string[] {
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (texts.length === count) throw new Misfit(`has bytes left after ${count} strings`);
    if (at + LENGTH_BYTES > bytes.length)
      throw new Misfit(`ends within the length of string ${texts.length}`);
    const start = at + LENGTH_BYTES;
    const end = start + bytes.readUInt32LE(at);
    if (end > bytes.length) throw new Misfit(`ends within string ${texts.length}`);
    texts.push(textFrom(bytes.subarray(start, end), texts.length));
    at = end;
  }
  if (texts.length < count) throw new Misfit(`has ${texts.length} strings; the shape holds ${count}`);
  return texts;
}

function textFrom(bytes: Buffer, at: number): string {
  try {
    return checkText(utf8.decode(bytes), at);
  } catch (error) {
    if (error instanceof Misfit) throw error;
    throw new Misfit(`has a string at ${at} that is not UTF-8, and graphs take text only`);
  }
}

/** The bytes of elements: a view of numbers, or strings with their lengths. */
export function bytesOf(data: Elements): Buffer {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat(
    data.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
