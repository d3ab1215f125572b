/** From the bytes of an inference request to its tensors: what does not fit is refused, by the name of the tensor. */
import type { IncomingHttpHeaders } from 'node:http';
import { elementTypeOf } from '../../datatypes.ts';
import { elementsOf, Misfit } from '../../elements.ts';
import { AgentError } from '../../errors.ts';
import type { NamedTensor } from '../../ports.ts';
import { type Declarations, elementCount, inputFault, outputFault, shown } from '../../tensors.ts';
import { FieldError } from '../errors.ts';
import { type FieldTable, isObject, screen } from '../fields.ts';
import { shapeCheck } from '../validate.ts';
import { elementsFromBytes } from './binary.ts';
import type { ReadJson } from './json.ts';
import {
  INPUT_PARAMETERS,
  type InferInput,
  InferSchema,
  OUTPUT_PARAMETERS,
  REQUEST_PARAMETERS,
} from './schema.ts';

/** How many bytes at the beginning of a body are JSON; behind them come tensors as bytes. */
export const HEADER_LENGTH = 'inference-header-content-length';

export interface InferCall {
  readonly id: string | null;
  readonly inputs: readonly NamedTensor[];
  /** Names of the outputs, in their order; null is all. */
  readonly outputs: readonly string[] | null;
  /** Whether an output is to come as bytes. */
  readonly isBinary: (output: string) => boolean;
}

type Json = Readonly<Record<string, unknown>>;

const checkInfer = shapeCheck(InferSchema);
const KNOWN = Object.keys(InferSchema.properties);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Throws a FieldError that names the tensor, or the field, at fault. */
export function readInfer(body: Buffer, headers: IncomingHttpHeaders, read: ReadJson): InferCall {
  const { json, tail } = split(body, headers);
  const screened = screenBody(read(json));
  const checked = namingTensors(screened, () => checkInfer(screened));
  const bytes = new Tail(tail);
  const inputs = checked.inputs.map((input, at) => tensorOf(input, `inputs[${at}]`, bytes));
  bytes.finish();
  const { id = null, parameters, outputs = [] } = checked;
  const all = parameters?.binary_data_output ?? false;
  const asked = new Map(outputs.map((output) => [output.name, output.parameters?.binary_data ?? all]));
  return {
    id,
    inputs,
    outputs: outputs.length === 0 ? null : outputs.map(({ name }) => name),
    isBinary: (output) => asked.get(output) ?? all,
  };
}

/** Throws a FieldError where the tensors are not those that the expert declares. */
export function checkTensors(
  call: InferCall,
  declared: { readonly inputs: Declarations; readonly outputs: Declarations },
): void {
  const fault = inputFault(call.inputs, declared.inputs) ?? outputFault(call.outputs ?? [], declared.outputs);
  if (fault === null) return;
  const names = fault.side === 'input' ? call.inputs.map(({ name }) => name) : (call.outputs ?? []);
  const at = names.lastIndexOf(fault.name);
  throw new FieldError('bad_input', at < 0 ? `${fault.side}s` : `${fault.side}s[${at}]`, fault.message);
}

// ---- the frame ------------------------------------------------------------------------------------------------

function split(body: Buffer, headers: IncomingHttpHeaders): { readonly json: string; readonly tail: Buffer } {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new AgentError('unsupported_media_type', `the body is encoded as "${shown(encoding)}"`, {
      hint: 'Send it as it is: nothing is gained by compressing it for a server on the same device.',
    });
  }
  const length = headerLength(headers[HEADER_LENGTH], body.length);
  if (length === 0) throw new FieldError('bad_input', '', 'the body is missing', 'Send a JSON object.');
  try {
    return { json: utf8.decode(body.subarray(0, length)), tail: body.subarray(length) };
  } catch {
    throw new FieldError('bad_json', '', 'the JSON of the body is not UTF-8');
  }
}

function headerLength(sent: string | string[] | undefined, bodyBytes: number): number {
  if (sent === undefined) return bodyBytes;
  const length = typeof sent === 'string' && /^\d{1,15}$/.test(sent) ? Number(sent) : null;
  if (length !== null && length <= bodyBytes) return length;
  throw new FieldError(
    'bad_input',
    HEADER_LENGTH,
    `the header "${HEADER_LENGTH}" must be a number of bytes within the body, which has ${bodyBytes}`,
  );
}

/** The bytes behind the JSON, handed out from the front. */
class Tail {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  take(bytes: number): Buffer {
    if (bytes > this.#rest.length) {
      throw new Misfit(
        `says that it has ${bytes} bytes behind the JSON, where ${this.#rest.length} are left`,
      );
    }
    const piece = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    return piece;
  }

  finish(): void {
    if (this.#rest.length === 0) return;
    throw new FieldError(
      'bad_input',
      'inputs',
      `${this.#rest.length} bytes behind the JSON belong to no input`,
      `Check "binary_data_size" of the inputs and the header "${HEADER_LENGTH}".`,
    );
  }
}

// ---- fields ---------------------------------------------------------------------------------------------------

/** Takes out what is harmless and refuses what is not supported, so that the schema meets only what it knows. */
function screenBody(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, KNOWN, {});
  const { parameters, inputs, outputs } = kept;
  if (isObject(parameters)) {
    kept['parameters'] = screen(parameters, ['binary_data_output'], REQUEST_PARAMETERS, 'parameters.');
  }
  if (Array.isArray(inputs)) {
    kept['inputs'] = inputs.map((input, at) =>
      screenTensor(input, `inputs[${at}].`, ['name', 'datatype', 'shape', 'data'], {
        known: ['binary_data_size'],
        table: INPUT_PARAMETERS,
      }),
    );
  }
  if (Array.isArray(outputs)) {
    kept['outputs'] = outputs.map((output, at) =>
      screenTensor(output, `outputs[${at}].`, ['name'], { known: ['binary_data'], table: OUTPUT_PARAMETERS }),
    );
  }
  return kept;
}

interface Parameters {
  readonly known: readonly string[];
  readonly table: FieldTable;
}

function screenTensor(
  tensor: unknown,
  path: string,
  fields: readonly string[],
  { known, table }: Parameters,
) {
  if (!isObject(tensor)) return tensor;
  const kept = screen(tensor, [...fields, 'parameters'], {}, path);
  const { parameters, shape } = kept;
  // Sizes that were read exactly are far too large, and the schema is to say so.
  if (Array.isArray(shape))
    kept['shape'] = shape.map((size) => (typeof size === 'bigint' ? Number(size) : size));
  if (isObject(parameters)) kept['parameters'] = screen(parameters, known, table, `${path}parameters.`);
  return kept;
}

/** Adds the name of the tensor to an error about a field of it. */
function namingTensors<T>(body: unknown, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    const [, side = '', at = ''] = /^(input|output)s\[(\d+)\]/.exec(error.param) ?? [];
    const tensors = isObject(body) ? body[`${side}s`] : undefined;
    const tensor: unknown = Array.isArray(tensors) ? tensors[Number(at)] : undefined;
    const name = isObject(tensor) ? (tensor as Json)['name'] : undefined;
    if (typeof name !== 'string') throw error;
    const message = `${side} "${shown(name)}": ${error.message}`;
    throw new FieldError(error.code, error.param, message, error.hint ?? undefined);
  }
}

// ---- tensors --------------------------------------------------------------------------------------------------

function tensorOf(input: InferInput, path: string, tail: Tail): NamedTensor {
  const { name, datatype, shape } = input;
  const type = elementTypeOf(datatype);
  try {
    const count = elementCount(shape);
    if (count === null)
      throw new Misfit(`has a shape [${shape.join(',')}] that is larger than any tensor may be`);
    return { name, type, shape, data: elementsIn(input, type, count, tail) };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    throw new FieldError('bad_input', path, `input "${shown(name)}" ${error.message}`);
  }
}

function elementsIn(
  input: InferInput,
  type: NamedTensor['type'],
  count: number,
  tail: Tail,
): NamedTensor['data'] {
  const { data, shape, parameters } = input;
  const size = parameters?.binary_data_size;
  if (data !== undefined && size !== undefined) throw new Misfit('has both "data" and "binary_data_size"');
  if (size !== undefined) return elementsFromBytes(tail.take(size), type, count);
  if (data !== undefined) return elementsOf(data, type, shape, count);
  throw new Misfit('has neither "data" nor "binary_data_size"');
}
