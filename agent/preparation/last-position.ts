/**
 * Edits a decoder so that it computes `logits` for the last position only: [1, 1, vocabulary] in place of
 * [1, tokens, vocabulary]. Nothing else reads the others, and they cost a third of a prefill.
 *
 * The way back from `logits` is followed as long as every node on it treats each position by itself, to the product
 * with the vocabulary; the last position is taken right before that. A product that quantises what it reads
 * (DynamicQuantizeMatMul) takes its scale from all positions: it is taken apart, so that the scale stays that of all,
 * and the numbers the same to the bit. (Taking the position first moved logits of a real model by up to 10 % of the
 * largest, and changed the likeliest token.)
 */
import { Edges } from '../onnx/edges.ts';
import { fixDimension, MICROSOFT, makeNode, rankOf } from '../onnx/graph.ts';
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.gen.ts';
import { embeddedTensor } from '../onnx/tensor.ts';
import { type Edited, type Refused, refused } from './edit.ts';

const LOGITS = 'logits';
/** Longer ways from the product to `logits` are no decoder's. */
const MOST_NODES = 8;
/** Nodes with one input that treat each number by itself. */
const PLAIN = new Set(['Cast', 'Tanh', 'Identity', 'Relu', 'Sigmoid']);
/** Nodes with two inputs that do; the other one must be the same for all positions. */
const PAIRED = new Set(['Add', 'Sub', 'Mul', 'Div']);
/** Products of each position with a matrix, exact for one position as for many. */
const INTEGER = new Set(['MatMulInteger', 'MatMulIntegerToFloat', 'DynamicQuantizeMatMul']);

interface Way {
  readonly head: NodeProto;
  /** Values between the head and the output: their declared shapes no longer hold. */
  readonly values: ReadonlySet<string>;
}

/** Changes `graph`, or leaves it as it is and says why. */
export function keepLastPosition(graph: GraphProto): Edited {
  const edges = new Edges(graph);
  const outputs = graph.output.filter(({ name }) => name === LOGITS);
  const [logits] = outputs;
  if (logits === undefined || outputs.length > 1) return refused('the graph has no single output "logits"');
  if (rankOf(logits) !== 3) return refused('its logits are not [batch, tokens, vocabulary]');
  const way = findWay(edges);
  if ('why' in way) return way;
  takeLast(graph, way.head, edges);
  fixDimension(logits, 1, 1);
  graph.valueInfo = graph.valueInfo.filter(({ name }) => !way.values.has(name));
  return { done: true, exact: INTEGER.has(way.head.opType) };
}

function findWay(edges: Edges): Way | Refused {
  const values = new Set<string>();
  if (edges.readers(LOGITS).length > 0) return refused('other nodes read the logits');
  for (let value = LOGITS; values.size < MOST_NODES; ) {
    values.add(value);
    const node = edges.maker(value);
    if (node === undefined || node.output[0] !== value) return refused(`no node makes "${value}"`);
    if (isHead(node, edges)) return { head: node, values };
    const next = before(node, edges);
    if (next === null || values.has(next))
      return refused(`before the logits is a ${node.opType}, which is not known to treat positions singly`);
    if (edges.onlyReader(next) !== node) return refused(`other nodes read "${next}"`);
    value = next;
  }
  return refused('no product with the vocabulary was found before the logits');
}

/** A product of rows with one matrix: then its input has the positions where the logits have them. */
function isHead({ opType, domain, input }: NodeProto, edges: Edges): boolean {
  const [, matrix = '', third = '', , fifth = ''] = input;
  if (domain === MICROSOFT) {
    if (opType === 'MatMulNBits') return edges.constant(matrix) !== undefined;
    if (opType === 'DynamicQuantizeMatMul') return isMatrix(matrix, edges);
    return (
      opType === 'MatMulIntegerToFloat' &&
      isMatrix(matrix, edges) &&
      isScalar(third, edges) &&
      isScalar(fifth, edges)
    );
  }
  if (domain !== '') return false;
  // A zero point may be one a row.
  if (opType === 'MatMulInteger') return isMatrix(matrix, edges) && isScalar(third, edges);
  return opType === 'MatMul' && isMatrix(matrix, edges);
}

/** Nodes that make a matrix of a constant one. */
const RESHAPED = new Set(['Transpose', 'Cast', 'Identity', 'DequantizeLinear']);

function isMatrix(value: string, edges: Edges, depth = 4): boolean {
  const tensor = edges.constant(value);
  if (tensor !== undefined) return tensor.dims.length === 2;
  const node = edges.maker(value);
  return (
    depth > 0 &&
    node !== undefined &&
    RESHAPED.has(node.opType) &&
    isMatrix(node.input[0] ?? '', edges, depth - 1)
  );
}

/** One number for all positions; an input that is left out is one. */
function isScalar(value: string, edges: Edges): boolean {
  if (value === '') return true;
  const tensor = edges.constant(value);
  if (tensor !== undefined) return tensor.dims.every((size) => size === 1n);
  const node = edges.maker(value);
  return node?.opType === 'DynamicQuantizeLinear' && node.output[0] !== value;
}

/** The same for all positions: a number, or one a column. */
function isPerColumn(value: string, edges: Edges, depth = 4): boolean {
  const tensor = edges.constant(value);
  if (tensor !== undefined) return tensor.dims.length <= 1;
  if (isScalar(value, edges)) return true;
  const node = edges.maker(value);
  return (
    depth > 0 &&
    node !== undefined &&
    node.domain === '' &&
    PAIRED.has(node.opType) &&
    node.input.every((input) => isPerColumn(input, edges, depth - 1))
  );
}

/** The input of a node that its positions come from; null where that cannot be said. */
function before({ opType, domain, input }: NodeProto, edges: Edges): string | null {
  if (domain !== '') return null;
  const [left = '', right = ''] = input;
  if (PLAIN.has(opType)) return left;
  if (!PAIRED.has(opType)) return null;
  const [leftIs, rightIs] = [isPerColumn(left, edges), isPerColumn(right, edges)];
  if (leftIs === rightIs) return null;
  return leftIs ? right : left;
}

function takeLast(graph: GraphProto, head: NodeProto, edges: Edges): void {
  const index = edges.freshName('expertd.last');
  graph.initializer.push(embeddedTensor(index, [1], BigInt64Array.of(-1n)));
  const [input = '', matrix = '', scale = '', zeroPoint = '', bias = ''] = head.input;
  const last = edges.freshName('expertd.last_position');
  const gather = (from: string): NodeProto =>
    makeNode('Gather', last, [from, index], { attributes: { axis: 1 } });
  if (head.opType !== 'DynamicQuantizeMatMul') {
    graph.node.splice(graph.node.indexOf(head), 0, gather(input));
    head.input[0] = last;
    return;
  }
  const parts = ['bytes', 'scale', 'zero_point'].map((part) => edges.freshName(`expertd.head.${part}`));
  const [bytes = '', inputScale = '', inputZero = ''] = parts;
  const product = makeNode(
    'MatMulIntegerToFloat',
    head.output[0] ?? '',
    [last, matrix, inputScale, scale, inputZero, ...(zeroPoint + bias === '' ? [] : [zeroPoint, bias])],
    { domain: MICROSOFT },
  );
  const quantize = makeNode('DynamicQuantizeLinear', bytes, [input], { outputs: parts });
  graph.node.splice(graph.node.indexOf(head), 1, quantize, gather(bytes), product);
}
