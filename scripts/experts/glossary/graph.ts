/**
 * Writes the index of vectors as an ONNX graph: one `DynamicQuantizeMatMul` (com.microsoft) from a question's
 * vector to the cosine with every entry. The int8 matrix lies in a file of its own at a multiple of 64 KB, so that
 * it is mapped, not copied, whatever the page size of the device (4, 16 or 64 KB).
 *
 *     embedding f32[questions, 384] -> scores f32[questions, entries]
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export const DIMENSIONS = 384;

const PAGE_BYTES = 65_536;
const IR_VERSION = 8;
const FLOAT = 1;
const INT8 = 3;
const EXTERNAL = 1;

export interface VectorGraph {
  readonly model: Uint8Array;
  readonly data: Uint8Array;
}

/** `vectors` are unit vectors of 384 numbers, one an entry. */
export function vectorGraph(vectors: readonly Float32Array[], dataName: string): VectorGraph {
  const { matrix, scales } = quantize(vectors);
  const scaleStart = Math.ceil(matrix.byteLength / PAGE_BYTES) * PAGE_BYTES;
  const data = new Uint8Array(Math.ceil((scaleStart + scales.byteLength) / PAGE_BYTES) * PAGE_BYTES);
  data.set(new Uint8Array(matrix.buffer), 0);
  data.set(new Uint8Array(scales.buffer), scaleStart);
  const external = (name: string, type: number, dims: readonly number[], at: number, bytes: number) =>
    externalTensor({ name, type, dims, location: dataName, offset: at, length: bytes });
  const count = vectors.length;
  const graph = new BinaryWriter();
  message(graph, 1, node('DynamicQuantizeMatMul', ['embedding', 'matrix', 'scales'], ['scores']));
  text(graph, 2, 'retrieval');
  message(graph, 5, external('matrix', INT8, [DIMENSIONS, count], 0, matrix.byteLength));
  message(graph, 5, external('scales', FLOAT, [count], scaleStart, scales.byteLength));
  message(graph, 11, floatValue('embedding', ['questions', DIMENSIONS]));
  message(graph, 12, floatValue('scores', ['questions', count]));
  return { model: modelOf(graph), data };
}

/** Int8 by column, symmetric: the rounding error of a cosine stays below 0.003. */
function quantize(vectors: readonly Float32Array[]): { matrix: Int8Array; scales: Float32Array } {
  const count = vectors.length;
  const matrix = new Int8Array(DIMENSIONS * count);
  const scales = new Float32Array(count);
  vectors.forEach((vector, column) => {
    const scale = vector.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / 127;
    scales[column] = scale;
    vector.forEach((value, row) => {
      matrix[row * count + column] = Math.round(value / scale);
    });
  });
  return { matrix, scales };
}

// Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto).

function modelOf(graph: BinaryWriter): Uint8Array {
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(IR_VERSION);
  text(model, 2, 'expertd');
  message(model, 7, graph);
  message(model, 8, operatorSet('', 17));
  message(model, 8, operatorSet('com.microsoft', 1));
  return model.finish();
}

function operatorSet(domain: string, version: number): BinaryWriter {
  const set = new BinaryWriter();
  text(set, 1, domain);
  set.tag(2, WireType.Varint).int64(version);
  return set;
}

function node(operator: string, inputs: readonly string[], outputs: readonly string[]): BinaryWriter {
  const written = new BinaryWriter();
  for (const input of inputs) text(written, 1, input);
  for (const output of outputs) text(written, 2, output);
  text(written, 4, operator);
  text(written, 7, 'com.microsoft');
  return written;
}

function externalTensor(tensor: {
  name: string;
  type: number;
  dims: readonly number[];
  location: string;
  offset: number;
  length: number;
}): BinaryWriter {
  const written = new BinaryWriter();
  for (const dim of tensor.dims) written.tag(1, WireType.Varint).int64(dim);
  written.tag(2, WireType.Varint).int32(tensor.type);
  text(written, 8, tensor.name);
  const { location, offset, length } = tensor;
  for (const [key, value] of Object.entries({ location, offset, length })) {
    const pair = new BinaryWriter();
    text(pair, 1, key);
    text(pair, 2, String(value));
    message(written, 13, pair);
  }
  written.tag(14, WireType.Varint).int32(EXTERNAL);
  return written;
}

function floatValue(name: string, dims: readonly (string | number)[]): BinaryWriter {
  const shape = new BinaryWriter();
  for (const dim of dims) {
    const written = new BinaryWriter();
    if (typeof dim === 'string') text(written, 2, dim);
    else written.tag(1, WireType.Varint).int64(dim);
    message(shape, 1, written);
  }
  const tensor = new BinaryWriter();
  tensor.tag(1, WireType.Varint).int32(FLOAT);
  message(tensor, 2, shape);
  const type = new BinaryWriter();
  message(type, 1, tensor);
  const value = new BinaryWriter();
  text(value, 1, name);
  message(value, 2, type);
  return value;
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function message(writer: BinaryWriter, field: number, inner: BinaryWriter): void {
  writer.tag(field, WireType.LengthDelimited).bytes(inner.finish());
}
