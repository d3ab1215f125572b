/**
 * The file of a compiled tokenizer, little-endian: `XTOKFLAT`; u32 version; u32 bytes of the file; u32 CRC-32 of all
 * that follows the header; u32 number of ids; then start and length (u32 each) of seven sections, each on a multiple
 * of four bytes: settings (JSON), starts (u32 an id, and one), text (UTF-8, or bytes), flags (u8 an id), slots of the
 * vocabulary (u32), merges (three u32 each), slots of the merges (u32).
 */
import { crc32 } from 'node:zlib';
import { damaged } from './refusal.ts';

const MAGIC = 'XTOKFLAT';
const VERSION = 1;
const SECTIONS = 7;
const HEADER_BYTES = 24 + 8 * SECTIONS;
const CRC_START = 20;

/** There is a token of this id in the vocabulary. */
export const PRESENT = 1;
/** A word that is this token's text is this token, and nothing else. */
export const WHOLE = 2;

export interface Tables {
  /** JSON. */
  readonly settings: Uint8Array;
  /** Where each token's text starts in `text`; the last is where the last one ends. */
  readonly starts: Uint32Array;
  readonly text: Uint8Array;
  /** One byte a token. */
  readonly flags: Uint8Array;
  /** Open addressing by the hash of the text, at half load at most: id + 1, or 0 for a free slot. */
  readonly slots: Uint32Array;
  /** Left id, right id, id of both together; the order is the rank. */
  readonly merges: Uint32Array;
  /** As `slots`, by the pair: number of the merge and one. */
  readonly mergeSlots: Uint32Array;
}

export function writeTables(tables: Tables): Uint8Array {
  const parts = ordered(tables);
  const starts: number[] = [];
  let end = HEADER_BYTES;
  for (const part of parts) {
    starts.push(end);
    end = aligned(end + part.byteLength);
  }
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, end, true);
  parts.forEach((part, at) => {
    view.setUint32(24 + 8 * at, starts[at] ?? 0, true);
    view.setUint32(28 + 8 * at, part.byteLength, true);
    file.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), starts[at]);
  });
  view.setUint32(16, crc32(file.subarray(CRC_START)), true);
  return file;
}

/** Views over `bytes`, which is kept. Throws `bad_expert` for anything but a whole file of this version. */
export function readTables(bytes: Uint8Array): Tables {
  const file = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < HEADER_BYTES || new TextDecoder('latin1').decode(file.subarray(0, 8)) !== MAGIC)
    throw damaged(`it does not begin with ${MAGIC}`);
  if (view.getUint32(8, true) !== VERSION)
    throw damaged(`it is of version ${view.getUint32(8, true)}, not ${VERSION}`);
  if (view.getUint32(12, true) !== file.length)
    throw damaged(`it has ${file.length} bytes where ${view.getUint32(12, true)} are due`);
  if (view.getUint32(16, true) !== crc32(file.subarray(CRC_START))) throw damaged('its bytes have changed');
  const part = (at: number, size: number): [ArrayBufferLike, number, number] => {
    const start = view.getUint32(24 + 8 * at, true);
    const length = view.getUint32(28 + 8 * at, true);
    if (start % 4 !== 0 || length % size !== 0 || start + length > file.length)
      throw damaged(`section ${at + 1} is out of bounds`);
    return [file.buffer, file.byteOffset + start, length / size];
  };
  const tables: Tables = {
    settings: new Uint8Array(...part(0, 1)),
    starts: new Uint32Array(...part(1, 4)),
    text: new Uint8Array(...part(2, 1)),
    flags: new Uint8Array(...part(3, 1)),
    slots: new Uint32Array(...part(4, 4)),
    merges: new Uint32Array(...part(5, 4)),
    mergeSlots: new Uint32Array(...part(6, 4)),
  };
  check(tables);
  return tables;
}

function ordered(tables: Tables): readonly (Uint8Array | Uint32Array)[] {
  const { settings, starts, text, flags, slots, merges, mergeSlots } = tables;
  return [settings, starts, text, flags, slots, merges, mergeSlots];
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

/**
 * The checksum tells what was changed by accident. Beyond that, in a file that was made to fit it, a look-up can at
 * worst miss: reading past a table gives nothing, and a free slot ends every search.
 */
function check({ starts, flags, slots, merges, mergeSlots }: Tables): void {
  if (starts.length !== flags.length + 1 || merges.length % 3 !== 0)
    throw damaged('its sections do not fit together');
  for (const table of [slots, mergeSlots])
    if (!table.includes(0) || (table.length & (table.length - 1)) !== 0)
      throw damaged('its slots are not those of a table');
}
