/** Builds a graph node by node. Names are the caller's; the runtime checks shapes and types when it loads. */
import { create } from '@bufbuild/protobuf';
import type { OnnxModel } from './model.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.gen.ts';

export const MICROSOFT = 'com.microsoft';
/** Written by onnx 1.16 and later; read by every runtime that knows opset 21. */
const IR_VERSION = 10n;
const OPSET = 21n;

/** Whole numbers become INT, others FLOAT: pass `{ float: 1 }` where a whole number must be a FLOAT. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/** One output unless `outputs` says otherwise; an empty input or output name leaves an optional one out. */
export interface NodeOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: readonly string[];
}

export class GraphBuilder {
  readonly #graph: GraphProto;
  readonly #domains = new Set<string>();

  constructor(name: string) {
    this.#graph = create(GraphProtoSchema, { name });
  }

  /** `dims`: a number is fixed, a string names a dimension. */
  input(name: string, type: keyof typeof TensorProto_DataType, dims: readonly (number | string)[]): string {
    this.#graph.input.push(valueInfo(name, type, dims));
    return name;
  }

  output(name: string, type: keyof typeof TensorProto_DataType, dims: readonly (number | string)[]): void {
    this.#graph.output.push(valueInfo(name, type, dims));
  }

  constant(tensor: TensorProto): string {
    this.#graph.initializer.push(tensor);
    return tensor.name;
  }

  /** Adds a node named after its first output, which is `name` and is returned. */
  node(opType: string, name: string, inputs: readonly string[], options: NodeOptions = {}): string {
    if (options.domain) this.#domains.add(options.domain);
    this.#graph.node.push(makeNode(opType, name, inputs, options));
    return name;
  }

  /** The model; the builder must not be used afterwards. */
  model(producerName: string): OnnxModel {
    const opsets = [['', OPSET] as const, ...[...this.#domains].map((domain) => [domain, 1n] as const)];
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName,
      opsetImport: opsets.map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version })),
    });
    return Object.assign(model, { graph: this.#graph });
  }
}

/** A node named after its first output, which is `name` unless `outputs` says otherwise. */
export function makeNode(
  opType: string,
  name: string,
  inputs: readonly string[],
  { domain = '', attributes = {}, outputs = [name] }: NodeOptions = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name,
    domain,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, value]) => makeAttribute(key, value)),
  });
}

function valueInfo(
  name: string,
  type: keyof typeof TensorProto_DataType,
  dims: readonly (number | string)[],
): ValueInfoProto {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'string'
          ? { case: 'dimParam', value: size }
          : { case: 'dimValue', value: BigInt(size) },
    }),
  );
  const shape = create(TensorShapeProtoSchema, { dim });
  const value = create(TypeProto_TensorSchema, { elemType: TensorProto_DataType[type], shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value } }),
  });
}

/** Fixes one dimension of a declared tensor; false where it declares no such dimension. */
export function fixDimension(value: ValueInfoProto, at: number, size: number): boolean {
  const shape = value.type?.value.case === 'tensorType' ? value.type.value.value.shape : undefined;
  if (shape?.dim[at] === undefined) return false;
  shape.dim[at] = create(TensorShapeProto_DimensionSchema, {
    value: { case: 'dimValue', value: BigInt(size) },
  });
  return true;
}

/** How many dimensions a declared tensor has; null where it does not say. */
export function rankOf(value: ValueInfoProto): number | null {
  return value.type?.value.case === 'tensorType' ? (value.type.value.value.shape?.dim.length ?? null) : null;
}

/** See `Attribute` for what becomes of numbers. */
export function makeAttribute(name: string, value: Attribute): AttributeProto {
  const type = AttributeProto_AttributeType;
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: type.STRING, s: new TextEncoder().encode(value) });
  }
  if (typeof value === 'number') {
    return Number.isInteger(value)
      ? create(AttributeProtoSchema, { name, type: type.INT, i: BigInt(value) })
      : create(AttributeProtoSchema, { name, type: type.FLOAT, f: value });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: type.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: type.INTS, ints: value.map(BigInt) });
}
