/** Constant tensors with their bytes, wherever those lie. Nothing that a graph says of them is believed unchecked. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type TensorProto, TensorProto_DataType } from '../onnx/onnx_pb.gen.ts';
import { bytesOf, type ExternalPlace, externalPlace } from '../onnx/tensor.ts';
import { type Refused, refused } from './edit.ts';

export interface Weight {
  readonly name: string;
  readonly dims: readonly number[];
  /** As in TensorProto. */
  readonly dataType: number;
  readonly elementBytes: number;
  /** As many as `dims` take. */
  readonly bytes: number;
  /** Path of the file that they lie in, relative to the package; null for the graph itself. */
  readonly file: string | null;
  /** Fills `target` with the bytes from `offset` on, which must be there. */
  read(target: Uint8Array, offset: number): void;
}

const ELEMENT_BYTES: Readonly<Record<number, number>> = {
  [TensorProto_DataType.FLOAT]: 4,
  [TensorProto_DataType.UINT8]: 1,
  [TensorProto_DataType.INT8]: 1,
  [TensorProto_DataType.BOOL]: 1,
  [TensorProto_DataType.UINT16]: 2,
  [TensorProto_DataType.INT16]: 2,
  [TensorProto_DataType.FLOAT16]: 2,
  [TensorProto_DataType.BFLOAT16]: 2,
  [TensorProto_DataType.INT32]: 4,
  [TensorProto_DataType.UINT32]: 4,
  [TensorProto_DataType.INT64]: 8,
  [TensorProto_DataType.UINT64]: 8,
  [TensorProto_DataType.DOUBLE]: 8,
};

export interface PackageFolder {
  /** Absolute path. */
  readonly directory: string;
  /** Path of the model, relative to it. */
  readonly model: string;
  /** The files that may be read, relative to it. */
  readonly files: ReadonlySet<string>;
}

export class Weights {
  readonly #folder: PackageFolder;
  readonly #open = new Map<string, { readonly file: number; readonly size: number }>();

  constructor(folder: PackageFolder) {
    this.#folder = folder;
  }

  /** Refused: where the tensor's shape and bytes do not agree, and where the bytes are not there. */
  of(tensor: TensorProto): Weight | Refused {
    const { name, dataType } = tensor;
    const dims = tensor.dims.map(Number);
    const elementBytes = ELEMENT_BYTES[dataType];
    if (elementBytes === undefined) return refused(`the numbers of "${name}" are of an unknown kind`);
    const bytes = dims.reduce((product, size) => product * size, elementBytes);
    if (!dims.every((size) => size >= 0) || !Number.isSafeInteger(bytes))
      return refused(`the shape of "${name}" is none`);
    const shape = { name, dims, dataType, elementBytes, bytes };
    const place = externalPlace(tensor);
    return place === null ? embedded(tensor, shape) : this.#external(shape, place);
  }

  /** Path of an external file, relative to the package. */
  pathOf({ location }: ExternalPlace): string {
    return posix.join(posix.dirname(this.#folder.model), location);
  }

  close(): void {
    for (const { file } of this.#open.values()) closeSync(file);
    this.#open.clear();
  }

  #external(shape: Omit<Weight, 'file' | 'read'>, place: ExternalPlace): Weight | Refused {
    const path = this.pathOf(place);
    if (!this.#folder.files.has(path))
      return refused(`"${shape.name}" lies in "${place.location}", which expert.json does not list`);
    const { offset } = place;
    if (!Number.isSafeInteger(offset) || offset < 0) return refused(`the place of "${shape.name}" is none`);
    // The length may be left out: then the shape says it.
    if (place.bytes !== 0 && place.bytes !== shape.bytes)
      return refused(`"${shape.name}" has ${place.bytes} bytes, and its shape ${shape.bytes}`);
    const { file, size } = this.#file(path);
    if (offset + shape.bytes > size) return refused(`"${shape.name}" lies beyond the end of "${path}"`);
    return { ...shape, file: path, read: (target, at) => readExactly(file, target, offset + at) };
  }

  #file(path: string): { readonly file: number; readonly size: number } {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const file = openSync(join(this.#folder.directory, path), 'r');
    const opened = { file, size: fstatSync(file).size };
    this.#open.set(path, opened);
    return opened;
  }
}

function embedded(tensor: TensorProto, shape: Omit<Weight, 'file' | 'read'>): Weight | Refused {
  const data = bytesIn(tensor);
  if (data.length !== shape.bytes)
    return refused(`"${shape.name}" has ${data.length} bytes, and its shape ${shape.bytes}`);
  return { ...shape, file: null, read: (target, at) => target.set(data.subarray(at, at + target.length)) };
}

/** Small tensors may come as lists of numbers. */
function bytesIn({ dataType, rawData, floatData, int32Data }: TensorProto): Uint8Array {
  if (rawData.length > 0) return rawData;
  if (dataType === TensorProto_DataType.FLOAT) return bytesOf(Float32Array.from(floatData));
  if (dataType === TensorProto_DataType.INT8) return bytesOf(Int8Array.from(int32Data));
  if (dataType === TensorProto_DataType.UINT8) return Uint8Array.from(int32Data);
  return rawData;
}

function readExactly(file: number, target: Uint8Array, at: number): void {
  for (let done = 0; done < target.length; ) {
    const read = readSync(file, target, done, target.length - done, at + done);
    if (read === 0) throw new RangeError('a file of weights became shorter while it was read');
    done += read;
  }
}
