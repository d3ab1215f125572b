/** The reply to an inference request: JSON, and behind it the outputs that were asked for as bytes. */

import { datatypeOf } from '../../datatypes.ts';
import type { NamedTensor } from '../../ports.ts';
import { bytesOf } from './binary.ts';
import { dataText } from './json.ts';
import { HEADER_LENGTH, type InferCall } from './request.ts';

export interface InferReply {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
}

/** Throws FieldError `not_representable` where an output cannot be said in JSON. */
export function inferReply(
  model: { readonly name: string; readonly version: string },
  call: Pick<InferCall, 'id' | 'isBinary'>,
  outputs: readonly NamedTensor[],
): InferReply {
  const tail: Buffer[] = [];
  const parts = outputs.map((tensor) => {
    if (!call.isBinary(tensor.name)) return withData(tensor);
    const bytes = bytesOf(tensor.data);
    tail.push(bytes);
    return JSON.stringify({ ...headOf(tensor), parameters: { binary_data_size: bytes.length } });
  });
  const head = {
    model_name: model.name,
    model_version: model.version,
    ...(call.id === null ? {} : { id: call.id }),
  };
  const json = spliced(head, 'outputs', `[${parts.join(',')}]`);
  if (tail.length === 0)
    return { headers: { 'content-type': 'application/json; charset=utf-8' }, body: json };
  const jsonBytes = Buffer.from(json);
  const headers = { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(jsonBytes.length) };
  return { headers, body: Buffer.concat([jsonBytes, ...tail]) };
}

function headOf({ name, type, shape }: NamedTensor): object {
  return { name, datatype: datatypeOf(type), shape };
}

function withData(tensor: NamedTensor): string {
  return spliced(headOf(tensor), 'data', dataText(tensor.name, tensor.type, tensor.data));
}

/** The JSON of an object with one more field, whose JSON is at hand: 64-bit integers have no other way into it. */
function spliced(object: object, key: string, json: string): string {
  return `${JSON.stringify(object).slice(0, -1)},${JSON.stringify(key)}:${json}}`;
}
