/** A server whose one special expert takes tensors, and requests to it in both forms of the protocol. */
import assert from 'node:assert/strict';
import type { Response } from 'light-my-request';
import type { HttpOptions } from '../../agent/http/server.ts';
import { GRAPHS } from '../experts-made/tensor.ts';
import { expertView } from '../fakes/service.ts';
import { type Harness, harness } from './harness.ts';

/** Three experts: `sum` and `kinds` with the graphs of that name, and `lang-id`, which takes text. */
export function tensorHarness(options: Partial<HttpOptions> = {}): Harness {
  const made = harness(options);
  made.service.expertList = [
    expertView('sum', 'tensor', { graph: GRAPHS.sum }),
    // The fake answers an output with the input of its name.
    expertView('kinds', 'tensor', { graph: { inputs: GRAPHS.kinds.inputs, outputs: GRAPHS.kinds.inputs } }),
    expertView('lang-id', 'text-classification'),
  ];
  return made;
}

export const row = (name: string, data: unknown = [1, 2, 3]) => ({
  name,
  datatype: 'FP32',
  shape: [1, 3],
  data,
});

export function infer(made: Harness, body: unknown, model = 'sum'): Promise<Response> {
  return made.post(`/v2/models/${model}/infer`, body);
}

/** Sends JSON with bytes behind it. */
export function inferBinary(
  made: Harness,
  header: unknown,
  tail: Uint8Array,
  { model = 'sum', headerLength }: { model?: string; headerLength?: number | string } = {},
): Promise<Response> {
  const json = Buffer.from(JSON.stringify(header));
  return made.server.app.inject({
    method: 'POST',
    url: `/v2/models/${model}/infer`,
    headers: {
      host: '127.0.0.1:8484',
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(headerLength ?? json.length),
    },
    payload: Buffer.concat([json, tail]),
  });
}

/** JSON and bytes of a reply that holds both. */
export function parts(response: Response): { readonly json: Record<string, unknown>; readonly tail: Buffer } {
  const length = Number(response.headers['inference-header-content-length']);
  assert.ok(Number.isSafeInteger(length), 'the reply has no length of its JSON');
  const raw = response.rawPayload;
  return { json: JSON.parse(raw.subarray(0, length).toString()), tail: raw.subarray(length) };
}

export function errorOf(response: Response): string {
  const body = response.json<Record<string, unknown>>();
  assert.deepEqual(Object.keys(body), ['error'], response.body);
  assert.equal(typeof body['error'], 'string');
  return String(body['error']);
}
