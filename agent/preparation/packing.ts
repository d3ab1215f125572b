/**
 * Packs products that read the same input into one: query, key and value; gate and up. One node in place of several
 * quantises the input once and leaves less to do between steps. Each column of the joined weight is what it was, so
 * products of whole numbers stay the same to the bit.
 *
 * Where the products were the query, key and value of one GroupQueryAttention, it takes them as one input; anywhere
 * else a Split gives every reader its part under its old name.
 */
import { Edges, intAttribute } from '../onnx/edges.ts';
import { MICROSOFT, makeAttribute, makeNode } from '../onnx/graph.ts';
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.gen.ts';
import { embeddedTensor } from '../onnx/tensor.ts';
import { type Edited, type Refused, refused } from './edit.ts';
import { type Joined, type Joint, join, sum } from './joined.ts';
import type { Weight, Weights } from './weights.ts';

/** How the inputs of a product beside its first are joined, by their place; any other input is not known. */
interface Kind {
  readonly domain: string;
  readonly joints: Readonly<Record<number, Joint>>;
  readonly exact: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  MatMul: { domain: '', joints: { 1: 'columns' }, exact: false },
  DynamicQuantizeMatMul: {
    domain: MICROSOFT,
    joints: { 1: 'columns', 2: 'vector', 3: 'vector', 4: 'vector' },
    exact: true,
  },
  MatMulNBits: {
    domain: MICROSOFT,
    joints: { 1: 'rows', 2: 'rows', 3: 'rows', 5: 'rows' },
    exact: false,
  },
};

interface Product {
  readonly node: NodeProto;
  readonly kind: Kind;
  /** Its columns, N. */
  readonly width: number;
  /** By place; the first input is not among them. */
  readonly weights: ReadonlyMap<number, Weight>;
}

export interface Packing {
  readonly edited: Edited;
  /** Constants that the graph now reads and does not hold. */
  readonly tensors: readonly Joined[];
}

/** Changes `graph`, or leaves it as it is and says why. */
export function packProducts(graph: GraphProto, weights: Weights): Packing {
  const edges = new Edges(graph);
  const tensors: Joined[] = [];
  let exact = true;
  let why = 'no products of one kind read the same input';
  for (const group of findGroups(graph, edges, weights)) {
    const packed = packGroup(group, graph, edges);
    if ('why' in packed) {
      why = packed.why;
      continue;
    }
    tensors.push(...packed.tensors);
    exact &&= group.every(({ kind }) => kind.exact);
  }
  return { edited: tensors.length === 0 ? refused(why) : { done: true, exact }, tensors };
}

/** Products that differ in nothing but their weights and widths, at least two of each. */
function findGroups(graph: GraphProto, edges: Edges, weights: Weights): readonly (readonly Product[])[] {
  const groups = new Map<string, Product[]>();
  for (const node of graph.node) {
    const product = readProduct(node, edges, weights);
    if (product === null) continue;
    const key = JSON.stringify([node.opType, node.input[0], [...product.weights.keys()], attributesOf(node)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [product]);
    else group.push(product);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** null for what is no product of a kind that can be packed. */
function readProduct(node: NodeProto, edges: Edges, weights: Weights): Product | null {
  const kind = KINDS[node.opType];
  if (kind === undefined || kind.domain !== node.domain || node.output.length !== 1) return null;
  const constants = new Map<number, Weight>();
  for (const [place, name] of node.input.entries()) {
    if (place === 0 || name === '') continue;
    const tensor = edges.constant(name);
    const weight = tensor === undefined ? null : weights.of(tensor);
    if (weight === null || 'why' in weight || kind.joints[place] === undefined) return null;
    constants.set(place, weight);
  }
  const width = node.opType === 'MatMulNBits' ? intAttribute(node, 'N', 0) : (constants.get(1)?.dims[1] ?? 0);
  return width > 0 ? { node, kind, width, weights: constants } : null;
}

/** All attributes as text, but the number of columns. */
function attributesOf({ attribute }: NodeProto): string[] {
  return attribute
    .filter(({ name }) => name !== 'N')
    .map(({ name, type, i, f, s }) => `${name} ${type} ${i} ${f} ${Buffer.from(s).toString('hex')}`)
    .sort();
}

function packGroup(
  found: readonly Product[],
  graph: GraphProto,
  edges: Edges,
): { readonly tensors: readonly Joined[] } | Refused {
  const attention = attentionOf(found, edges);
  const group = attention === null ? found : inOrder(found, attention);
  const [first] = group;
  if (first === undefined) return refused('there is nothing to pack');
  const widths = group.map(({ width }) => width);
  const tensors: Joined[] = [];
  const inputs = [...first.node.input];
  for (const place of first.weights.keys()) {
    const parts = group.flatMap(({ weights }) => weights.get(place) ?? []);
    const name = edges.freshName(`${first.node.input[place]}.packed`);
    const joined = join(name, first.kind.joints[place] ?? 'rows', parts, widths);
    if ('why' in joined) return joined;
    tensors.push(joined);
    inputs[place] = name;
  }
  const output = edges.freshName(`${first.node.output[0]}.packed`);
  const { opType, domain, attribute } = first.node;
  const packed = makeNode(opType, output, inputs, { domain });
  packed.attribute = attribute.map((one) => (one.name === 'N' ? makeAttribute('N', sum(widths)) : one));
  const nodes = [packed];
  if (attention !== null) attention.input.splice(0, 3, output, '', '');
  else nodes.push(split(group, output, graph, edges));
  const old = new Set(group.map(({ node }) => node));
  const at = graph.node.findIndex((node) => old.has(node));
  graph.node = graph.node.filter((node) => !old.has(node));
  graph.node.splice(at, 0, ...nodes);
  return { tensors };
}

function split(group: readonly Product[], from: string, graph: GraphProto, edges: Edges): NodeProto {
  const sizes = edges.freshName(`${from}.sizes`);
  const widths = BigInt64Array.from(group, ({ width }) => BigInt(width));
  graph.initializer.push(embeddedTensor(sizes, [group.length], widths));
  const outputs = group.map(({ node }) => node.output[0] ?? '');
  return makeNode('Split', `${from}.split`, [from, sizes], { outputs, attributes: { axis: -1 } });
}

/** The attention whose query, key and value these are, and that nothing else reads; else null. */
function attentionOf(group: readonly Product[], edges: Edges): NodeProto | null {
  const outputs = group.map(({ node }) => node.output[0] ?? '');
  const [reader, ...others] = new Set(outputs.map((output) => edges.onlyReader(output)));
  if (reader === undefined || others.length > 0 || group.length !== 3) return null;
  const { opType, domain, input } = reader;
  const isAttention = opType === 'GroupQueryAttention' && domain === MICROSOFT;
  return isAttention && input.slice(0, 3).every((name) => outputs.includes(name)) ? reader : null;
}

function inOrder(group: readonly Product[], { input }: NodeProto): readonly Product[] {
  const place = ({ node }: Product): number => input.indexOf(node.output[0] ?? '');
  return group.toSorted((left, right) => place(left) - place(right));
}
