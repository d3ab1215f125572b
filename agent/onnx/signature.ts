/** What a graph takes and gives, and which files its weights lie in: read from the model file alone, without a runtime. */
import type { OnnxModel } from './model.ts';
import { type GraphProto, type NodeProto, type TensorProto, TensorProto_DataType } from './onnx_pb.gen.ts';
import { externalPlace } from './tensor.ts';

/** An input or an output. */
export interface GraphValue {
  readonly name: string;
  /** In ONNX Runtime's words, as `float32`; null for what is no tensor, or of a type that has no word here. */
  readonly type: string | null;
  /** A text names a dimension of any size; null where the graph does not say how many there are. */
  readonly dims: readonly (number | string)[] | null;
}

export interface Signature {
  /** Without those that are constants of the graph. */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

/** A file of weights, as the graph names it: relative to the folder of the model file. */
export interface WeightFile {
  readonly location: string;
  /** The least size that holds all tensors of the graph. */
  readonly bytes: number;
}

const TYPES: Readonly<Partial<Record<TensorProto_DataType, string>>> = {
  [TensorProto_DataType.FLOAT]: 'float32',
  [TensorProto_DataType.DOUBLE]: 'float64',
  [TensorProto_DataType.FLOAT16]: 'float16',
  [TensorProto_DataType.BFLOAT16]: 'bfloat16',
  [TensorProto_DataType.INT8]: 'int8',
  [TensorProto_DataType.INT16]: 'int16',
  [TensorProto_DataType.INT32]: 'int32',
  [TensorProto_DataType.INT64]: 'int64',
  [TensorProto_DataType.UINT8]: 'uint8',
  [TensorProto_DataType.UINT16]: 'uint16',
  [TensorProto_DataType.UINT32]: 'uint32',
  [TensorProto_DataType.UINT64]: 'uint64',
  [TensorProto_DataType.BOOL]: 'bool',
  [TensorProto_DataType.STRING]: 'string',
};

export function signatureOf({ graph }: OnnxModel): Signature {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  return {
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(toValue),
    outputs: graph.output.map(toValue),
  };
}

/** The files beside the model that hold its weights, each once; empty where all weights are in the model file. */
export function weightFiles(model: OnnxModel): readonly WeightFile[] {
  const found = new Map<string, number>();
  const note = (tensor: TensorProto): void => {
    const place = externalPlace(tensor);
    if (place === null) return;
    const end = place.offset + place.bytes;
    found.set(place.location, Math.max(end, found.get(place.location) ?? 0));
  };
  visitGraph(model.graph, note);
  for (const { node } of model.functions) visitNodes(node, note);
  return [...found].map(([location, bytes]) => ({ location, bytes }));
}

function visitGraph({ initializer, node }: GraphProto, note: (tensor: TensorProto) => void): void {
  initializer.forEach(note);
  visitNodes(node, note);
}

/** Branches and loops hold graphs of their own. */
function visitNodes(nodes: readonly NodeProto[], note: (tensor: TensorProto) => void): void {
  for (const { attribute } of nodes) {
    for (const { t, tensors, g, graphs } of attribute) {
      if (t !== undefined) note(t);
      tensors.forEach(note);
      if (g !== undefined) visitGraph(g, note);
      for (const inner of graphs) visitGraph(inner, note);
    }
  }
}

function toValue({ name, type }: GraphProto['input'][number]): GraphValue {
  const value = type?.value;
  if (value?.case !== 'tensorType') return { name, type: null, dims: null };
  const { elemType, shape } = value.value;
  const dims = shape?.dim.map(({ value: size }, at) => {
    if (size.case === 'dimValue') return Number(size.value);
    return size.case === 'dimParam' && size.value !== '' ? size.value : `d${at}`;
  });
  return { name, type: TYPES[elemType as TensorProto_DataType] ?? null, dims: dims ?? null };
}
