/** Writes the file of weights beside a model: the runtime maps it, so that weights need no copy in memory. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import type { TensorProto } from './onnx_pb.gen.ts';
import { bytesOf, checkCount, elementType, externalTensor, type TensorData } from './tensor.ts';

/** The largest page of the supported kernels (some arm64), so that a large tensor starts on a page everywhere. */
export const LARGEST_PAGE_BYTES = 65_536;
/** Tensors below this share a page with others. */
const SMALL_BYTES = 16_384;
const SMALL_ALIGNMENT = 64;

export interface TensorSize {
  readonly name: string;
  readonly dims: readonly number[];
  /** As in TensorProto. */
  readonly dataType: number;
  readonly bytes: number;
}

export class ExternalDataWriter {
  readonly #file: number;
  readonly #location: string;
  readonly #hash = createHash('sha256');
  readonly #pageBytes: number;
  #offset = 0;

  /**
   * Creates the file at `path`; fails if it is there, since a mapped file must never be overwritten.
   * `pageBytes` is a power of two.
   */
  constructor(path: string, pageBytes = LARGEST_PAGE_BYTES) {
    this.#pageBytes = pageBytes;
    this.#file = openSync(path, 'wx');
    this.#location = basename(path);
  }

  /** Appends one tensor; returns the reference that goes into the graph. */
  add(name: string, dims: readonly number[], data: TensorData): TensorProto {
    checkCount(name, dims, data.length);
    const bytes = bytesOf(data);
    return this.addPieces({ name, dims, dataType: elementType(data), bytes: bytes.length }, [bytes]);
  }

  /**
   * Appends one tensor that comes in pieces, each of which may be overwritten once the next was asked for. Throws
   * RangeError where they are not as many bytes as it says; the file is of no use then.
   */
  addPieces({ name, dims, dataType, bytes }: TensorSize, pieces: Iterable<Uint8Array>): TensorProto {
    const alignment = bytes < SMALL_BYTES ? SMALL_ALIGNMENT : this.#pageBytes;
    this.#write(new Uint8Array(-this.#offset & (alignment - 1)));
    const place = { location: this.#location, offset: this.#offset, bytes };
    for (const piece of pieces) this.#write(piece);
    const written = this.#offset - place.offset;
    if (written !== bytes) throw new RangeError(`tensor ${name}: ${written} bytes came, not ${bytes}`);
    return externalTensor(name, dims, dataType, place);
  }

  /** Syncs and closes the file; returns what a manifest says of it. */
  finish(): { readonly bytes: number; readonly sha256: string } {
    fsyncSync(this.#file);
    this.close();
    return { bytes: this.#offset, sha256: this.#hash.digest('hex') };
  }

  /** Closes the file without finishing it, after an error. */
  close(): void {
    closeSync(this.#file);
  }

  #write(bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    this.#hash.update(bytes);
    this.#offset += bytes.length;
  }
}
