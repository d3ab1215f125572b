/** Reads and writes ONNX models. What this version of the format does not know survives a read and a write. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { AgentError } from '../errors.ts';
import { type GraphProto, type ModelProto, ModelProtoSchema } from './onnx_pb.gen.ts';

/** A model with a graph, as every file that is used has one. */
export type OnnxModel = ModelProto & { graph: GraphProto };

/**
 * Parses a `.onnx` file. Embedded weights are views on `bytes`, so keep those unchanged while the model is in use.
 * Throws AgentError `bad_onnx` where the bytes are not an ONNX model.
 */
export function readModel(bytes: Uint8Array): OnnxModel {
  const model = parse(bytes);
  if (model.irVersion < 1n) throw notOnnx('it says no version of the format');
  if (!hasGraph(model)) throw notOnnx('it holds no graph');
  return model;
}

/** The bytes of a `.onnx` file. Weights kept in a file beside it are not touched. */
export function writeModel(model: OnnxModel): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw notOnnx(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function hasGraph(model: ModelProto): model is OnnxModel {
  return model.graph !== undefined;
}

/** The error of bytes that are no model. */
export function notOnnx(why: string, cause?: unknown): AgentError {
  return new AgentError('bad_onnx', `not an ONNX model: ${why}`, {
    hint: 'Fetch the file again; a pointer of Git LFS or a page of HTML in its place looks like this too.',
    cause,
  });
}
