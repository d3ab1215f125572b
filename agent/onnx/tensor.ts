/** Constant tensors of a graph. All data is little-endian, as the format demands and every supported CPU is. */
import { create } from '@bufbuild/protobuf';
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from './onnx_pb.gen.ts';

export type TensorData = Float32Array | Int8Array | Uint8Array | Int32Array | BigInt64Array;

/** Where the bytes of a tensor lie in a file beside the model. */
export interface ExternalPlace {
  /** Name of the file, relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A tensor whose bytes are in the model file. `dims` must multiply to the number of elements. */
export function embeddedTensor(name: string, dims: readonly number[], data: TensorData): TensorProto {
  checkCount(name, dims, data.length);
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: elementType(data),
    rawData: bytesOf(data),
  });
}

/** A tensor whose bytes are in a file beside the model. */
export function externalTensor(
  name: string,
  dims: readonly number[],
  dataType: number,
  place: ExternalPlace,
): TensorProto {
  const entries = { location: place.location, offset: String(place.offset), length: String(place.bytes) };
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

/** Where a tensor's bytes lie outside the model file; null where they are in it. */
export function externalPlace(tensor: TensorProto): ExternalPlace | null {
  if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) return null;
  const entry = (key: string): string => tensor.externalData.find((pair) => pair.key === key)?.value ?? '';
  return {
    location: entry('location'),
    offset: Number(entry('offset') || 0),
    bytes: Number(entry('length') || 0),
  };
}

export function elementType(data: TensorData): number {
  if (data instanceof Float32Array) return TensorProto_DataType.FLOAT;
  if (data instanceof Int8Array) return TensorProto_DataType.INT8;
  if (data instanceof Uint8Array) return TensorProto_DataType.UINT8;
  if (data instanceof Int32Array) return TensorProto_DataType.INT32;
  return TensorProto_DataType.INT64;
}

/** The bytes behind a typed array, without a copy. */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function checkCount(name: string, dims: readonly number[], count: number): void {
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (expected !== count) {
    throw new RangeError(`tensor ${name}: ${count} elements do not fill [${dims.join(', ')}]`);
  }
}
