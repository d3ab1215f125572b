/**
 * Golden answers of `tensor` experts. The input is the JSON text of an inference request of the Open Inference Protocol,
 * the output what its reply says: {outputs: [{name, datatype, shape, data}], tolerance}. Floats may be `tolerance` away,
 * and where none is given a fiftieth of the largest number of their tensor; all else is equal or different.
 */
import { type Static, Type } from 'typebox';
import { DATATYPES, type Datatype, elementTypeOf } from './datatypes.ts';
import { elementsOf, exactly, Misfit } from './elements.ts';
import type { Ask, NamedTensor } from './ports.ts';
import { describeTensor, elementCount, shown } from './tensors.ts';
import { checker } from './validation.ts';
import {
  different,
  figure,
  judging,
  quoted,
  SAME,
  type Unjudged,
  unjudged,
  type Verdict,
} from './verdict.ts';

const TensorForm = Type.Object({
  name: Type.String({ minLength: 1 }),
  datatype: Type.Unsafe<Datatype>(Type.Union(DATATYPES.map((name) => Type.Literal(name)))),
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  data: Type.Array(Type.Unknown()),
});
const RequestForm = Type.Object({
  inputs: Type.Array(TensorForm, { minItems: 1 }),
  outputs: Type.Optional(Type.Array(Type.Object({ name: Type.String({ minLength: 1 }) }))),
});
const ReplyForm = Type.Object({
  outputs: Type.Array(TensorForm, { minItems: 1 }),
  tolerance: Type.Optional(Type.Number({ minimum: 0 })),
});

const checkRequest = checker(RequestForm, { subject: 'the request' });
/** Of the largest number of a tensor: integer kernels of other CPUs round otherwise, in steps of what they scale by. */
const TOLERANCE_SHARE = 0.02;

/** What a golden input asks; what is no request, or has no tensor where it says that it has one, cannot be asked. */
export function askForTensors(input: string): Ask | Unjudged {
  const { value, problem } = checkRequest(parsed(input));
  if (problem !== null) return unjudged(`its input is no inference request: ${problem.message}`);
  const inputs = tensorsOf(value.inputs);
  if (!Array.isArray(inputs)) return inputs;
  const outputs = value.outputs ?? [];
  return { kind: 'tensors', inputs, outputs: outputs.length === 0 ? null : outputs.map(({ name }) => name) };
}

/** null for what is no JSON, which is no request either. */
function parsed(text: string): unknown {
  try {
    return exactly(text, JSON.parse(text));
  } catch {
    return null;
  }
}

function tensorsOf(tensors: readonly Static<typeof TensorForm>[]): NamedTensor[] | Unjudged {
  try {
    return tensors.map(({ name, datatype, shape, data }) => {
      const type = elementTypeOf(datatype);
      return { name, type, shape, data: elementsOf(data, type, shape, countOf(shape)) };
    });
  } catch (error) {
    if (error instanceof Misfit) return unjudged(`a tensor of it ${error.message}`);
    throw error;
  }
}

function countOf(shape: readonly number[]): number {
  const count = elementCount(shape);
  if (count === null)
    throw new Misfit(`has a shape [${shape.join(',')}] that is larger than any tensor may be`);
  return count;
}

// ---- how it is judged -----------------------------------------------------------------------------------------

export const judgeTensors = judging(ReplyForm, 'tensors', (reply, { outputs }): Verdict => {
  const expected = tensorsOf(reply.outputs);
  if (!Array.isArray(expected)) return expected;
  const given = new Map(outputs.map((tensor) => [tensor.name, tensor]));
  for (const tensor of expected) {
    const difference = differenceOf(tensor, given.get(tensor.name), reply.tolerance ?? null);
    if (difference !== null) return different(difference);
  }
  return SAME;
});

function differenceOf(
  expected: NamedTensor,
  given: NamedTensor | undefined,
  tolerance: number | null,
): string | null {
  const name = `output ${quoted(shown(expected.name))}`;
  if (given === undefined) return `it gives no ${name}`;
  if (describeTensor(given) !== describeTensor(expected))
    return `${name} is ${describeTensor(given)}, where ${describeTensor(expected)} is expected`;
  const [now, then] = [numbersOf(given), numbersOf(expected)];
  const within = isFloats(then) ? (tolerance ?? TOLERANCE_SHARE * (largest(then) || 1)) : null;
  for (let at = 0; at < then.length; at += 1) {
    const [value, wanted] = [now[at], then[at]];
    if (value === wanted || isNear(value, wanted, within)) continue;
    const room = within === null ? '' : ` (within ${figure(within)})`;
    return `element ${at} of ${name} is ${said(value)}, where ${said(wanted)} is expected${room}`;
  }
  return null;
}

type Value = number | bigint | string | undefined;
type Floats = Float16Array | Float32Array | Float64Array;

/** False where either is no number: NaN is near to nothing. */
function isNear(value: Value, wanted: Value, within: number | null): boolean {
  if (within !== null) return Math.abs(Number(value) - Number(wanted)) <= within;
  // Of what expert.json says, such a number was rounded when it was read.
  return (
    typeof wanted === 'bigint' && !Number.isSafeInteger(Number(wanted)) && Number(value) === Number(wanted)
  );
}

function numbersOf({ type, data }: NamedTensor): ArrayLike<number | bigint | string> {
  if (type !== 'float16') return data;
  const { buffer, byteOffset, length } = data as Uint16Array;
  return new Float16Array(buffer, byteOffset, length);
}

function isFloats(data: ArrayLike<unknown>): data is Floats {
  return data instanceof Float32Array || data instanceof Float64Array || data instanceof Float16Array;
}

function largest(data: Floats): number {
  let most = 0;
  for (const value of data) most = Math.max(most, Math.abs(value));
  return most;
}

function said(value: Value): string {
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'number' ? figure(value) : String(value);
}
