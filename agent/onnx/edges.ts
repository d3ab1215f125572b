/** Who makes and who reads the values of a graph: what an edit must know. Built anew after every edit. */
import { notOnnx } from './model.ts';
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './onnx_pb.gen.ts';

/** More levels of graphs inside of graphs than any exporter makes. */
const MOST_LEVELS = 16;

export class Edges {
  readonly #makers = new Map<string, NodeProto>();
  readonly #readers = new Map<string, NodeProto[]>();
  readonly #constants = new Map<string, TensorProto>();
  /** Read from outside of the graph's nodes: by the caller, or by a graph inside of a node. */
  readonly #observed = new Set<string>();
  readonly #names = new Set<string>();

  /** Throws AgentError `bad_onnx` where a value has two makers: then nothing can be said about it. */
  constructor(graph: GraphProto) {
    const inputs = new Set(graph.input.map(({ name }) => name));
    for (const { name } of graph.output) this.#observed.add(name);
    for (const tensor of graph.initializer) {
      if (this.#constants.has(tensor.name)) throw notOnnx(`it has two constants "${tensor.name}"`);
      // One that is an input too is only a default, which a caller may replace.
      if (!inputs.has(tensor.name)) this.#constants.set(tensor.name, tensor);
    }
    for (const node of graph.node) this.#add(node, inputs);
    for (const name of [...inputs, ...this.#constants.keys(), ...this.#observed]) this.#names.add(name);
  }

  /** The node whose output it is; undefined for inputs and constants. */
  maker(value: string): NodeProto | undefined {
    return this.#makers.get(value);
  }

  /** Nodes that read it, each as often as it does. */
  readers(value: string): readonly NodeProto[] {
    return this.#readers.get(value) ?? [];
  }

  /** Its tensor, where it never changes. */
  constant(value: string): TensorProto | undefined {
    return this.#constants.get(value);
  }

  isObserved(value: string): boolean {
    return this.#observed.has(value);
  }

  /** The only node that reads it, where nothing else does. */
  onlyReader(value: string): NodeProto | undefined {
    const readers = this.readers(value);
    return readers.length === 1 && !this.isObserved(value) ? readers[0] : undefined;
  }

  /** A name that no value has yet, beginning with `wish`. */
  freshName(wish: string): string {
    let name = wish;
    for (let count = 2; this.#names.has(name); count += 1) name = `${wish}.${count}`;
    this.#names.add(name);
    return name;
  }

  #add(node: NodeProto, inputs: ReadonlySet<string>): void {
    for (const name of node.output.filter((output) => output !== '')) {
      if (this.#makers.has(name) || this.#constants.has(name) || inputs.has(name)) {
        throw notOnnx(`the value "${name}" is made twice`);
      }
      this.#makers.set(name, node);
      this.#names.add(name);
    }
    for (const name of node.input.filter((input) => input !== '')) {
      const readers = this.#readers.get(name);
      if (readers === undefined) this.#readers.set(name, [node]);
      else readers.push(node);
      this.#names.add(name);
    }
    for (const graph of graphsIn(node.attribute)) this.#observe(graph, MOST_LEVELS);
  }

  #observe(graph: GraphProto, levels: number): void {
    if (levels === 0) throw notOnnx('its graphs lie too deep in one another');
    for (const { name } of graph.output) this.#observed.add(name);
    for (const node of graph.node) {
      for (const name of node.input) this.#observed.add(name);
      for (const inner of graphsIn(node.attribute)) this.#observe(inner, levels - 1);
    }
  }
}

function graphsIn(attributes: readonly AttributeProto[]): readonly GraphProto[] {
  return attributes.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));
}

/** A whole-number attribute; `missing` where the node has none of this name. */
export function intAttribute(node: NodeProto, name: string, missing: number): number {
  const found = node.attribute.find((attribute) => attribute.name === name);
  return found === undefined ? missing : Number(found.i);
}

/** Forgets constants that nothing reads, and what was declared of values that nothing makes. */
export function dropUnread(graph: GraphProto): void {
  const edges = new Edges(graph);
  const inputs = new Set(graph.input.map(({ name }) => name));
  graph.initializer = graph.initializer.filter(
    ({ name }) => inputs.has(name) || edges.readers(name).length > 0 || edges.isObserved(name),
  );
  graph.valueInfo = graph.valueInfo.filter(({ name }) => edges.maker(name) !== undefined);
}
