/** Several tensors joined into one, piece by piece, so that only a piece is in memory at a time. */
import type { TensorSize } from '../onnx/external-data.ts';
import { type Refused, refused } from './edit.ts';
import type { Weight } from './weights.ts';

/** A tensor that is not there yet. */
export interface Joined extends TensorSize {
  pieces(): Iterable<Uint8Array>;
}

/**
 * `columns`: [K, N] side by side. `rows`: [N, ...] one after the other. `vector`: a number a column, or one for all of
 * them, which is repeated then.
 */
export type Joint = 'columns' | 'rows' | 'vector';

const PIECE_BYTES = 256 * 1024;

/** `widths` are the columns of each part, N. */
export function join(
  name: string,
  joint: Joint,
  parts: readonly Weight[],
  widths: readonly number[],
): Joined | Refused {
  const [first] = parts;
  if (first === undefined || parts.some(({ dataType }) => dataType !== first.dataType))
    return refused('their weights are of several kinds');
  const fits = parts.every((part, at) => joinable(joint, part, first, widths[at] ?? 0));
  if (!fits) return refused(`the shapes of "${first.name}" and its neighbours do not fit together`);
  const { dataType, elementBytes } = first;
  const dims = joinedDims(joint, parts, widths);
  const bytes = dims.reduce((product, size) => product * size, elementBytes);
  const pieces = {
    columns: () => sideBySide(parts),
    rows: () => inTurn(parts),
    vector: () => repeated(parts, widths),
  }[joint];
  return { name, dims, dataType, bytes, pieces };
}

function joinable(joint: Joint, { dims }: Weight, first: Weight, width: number): boolean {
  const [size = 1, ...rest] = dims;
  if (joint === 'columns') return dims.length === 2 && size === first.dims[0] && rest[0] === width;
  if (joint === 'vector') return dims.length <= 1 && (size === 1 || size === width);
  // Scales of blocks may come flat.
  if (dims.length === 1) return first.dims.length === 1 && width > 0 && size % width === 0;
  return (
    dims.length === first.dims.length &&
    size === width &&
    rest.every((other, at) => other === first.dims[at + 1])
  );
}

function joinedDims(joint: Joint, parts: readonly Weight[], widths: readonly number[]): number[] {
  const width = sum(widths);
  const dims = parts[0]?.dims ?? [];
  if (joint === 'columns') return [dims[0] ?? 0, width];
  if (joint === 'vector') return [width];
  return dims.length === 1 ? [sum(parts.map((part) => part.dims[0] ?? 0))] : [width, ...dims.slice(1)];
}

/** Some rows of all parts at a time. */
function* sideBySide(parts: readonly Weight[]): Generator<Uint8Array> {
  const strides = parts.map(({ dims, elementBytes }) => (dims[1] ?? 0) * elementBytes);
  const stride = sum(strides);
  const rows = parts[0]?.dims[0] ?? 0;
  const step = Math.min(rows, Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, stride))));
  const [pieces, blocks] = [new Uint8Array(step * stride), new Uint8Array(step * Math.max(...strides))];
  for (let from = 0; from < rows; from += step) {
    const count = Math.min(step, rows - from);
    let column = 0;
    for (const [at, part] of parts.entries()) {
      const width = strides[at] ?? 0;
      const block = blocks.subarray(0, count * width);
      part.read(block, from * width);
      for (let row = 0; row < count; row += 1)
        pieces.set(block.subarray(row * width, (row + 1) * width), row * stride + column);
      column += width;
    }
    yield pieces.subarray(0, count * stride);
  }
}

function* inTurn(parts: readonly Weight[]): Generator<Uint8Array> {
  for (const part of parts) yield* piecesOf(part);
}

/** The bytes of a tensor as they are; each piece is overwritten by the next. */
export function* piecesOf(weight: Weight): Generator<Uint8Array> {
  const pieces = new Uint8Array(Math.min(PIECE_BYTES, weight.bytes));
  for (let at = 0; at < weight.bytes; at += pieces.length) {
    const piece = pieces.subarray(0, Math.min(pieces.length, weight.bytes - at));
    weight.read(piece, at);
    yield piece;
  }
}

function* repeated(parts: readonly Weight[], widths: readonly number[]): Generator<Uint8Array> {
  for (const [at, part] of parts.entries()) {
    const width = widths[at] ?? 0;
    const bytes = new Uint8Array(part.bytes);
    part.read(bytes, 0);
    const times = width * part.elementBytes === bytes.length ? 1 : width;
    for (let time = 0; time < times; time += 1) yield bytes;
  }
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
