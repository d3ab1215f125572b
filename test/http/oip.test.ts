import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expertView, refusal } from '../fakes/service.ts';
import { errorOf, infer, inferBinary, parts, row, tensorHarness } from './oip-asking.ts';

test('what the server is, and how it is', async () => {
  const made = tensorHarness();
  const { name, version, extensions } = (await made.get('/v2')).json();
  assert.equal(name, 'expertd');
  assert.equal(version, '0.0.1');
  assert.ok(extensions.includes('binary_tensor_data') && extensions.includes('model_repository'));
  assert.deepEqual((await made.get('/v2/health/live')).json(), { live: true });
  assert.deepEqual((await made.get('/v2/health/ready')).json(), { ready: true });
  made.service.healthView = { ...made.service.healthView, ready: false };
  const unready = await made.get('/v2/health/ready');
  assert.deepEqual([unready.statusCode, unready.json()], [503, { ready: false }]);
});

test('metadata is what the manifest declares, under a version or not', async () => {
  const made = tensorHarness();
  const expected = {
    name: 'sum',
    versions: ['1.0.0'],
    platform: 'onnx',
    inputs: [
      { name: 'a', datatype: 'FP32', shape: [-1, 3] },
      { name: 'b', datatype: 'FP32', shape: [-1, 3] },
    ],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
  };
  assert.deepEqual((await made.get('/v2/models/sum')).json(), expected);
  assert.deepEqual((await made.get('/v2/models/sum/versions/1.0.0')).json(), expected);
  const kinds = (await made.get('/v2/models/kinds')).json<{ inputs: { name: string; datatype: string }[] }>();
  const datatypes = Object.fromEntries(kinds.inputs.map(({ name, datatype }) => [name, datatype]));
  assert.equal(datatypes['string'], 'BYTES');
  assert.equal(datatypes['float16'], 'FP16');
  assert.equal(datatypes['uint64'], 'UINT64');
  assert.equal(datatypes['bool'], 'BOOL');
});

test('a model is ready while it can be asked, in memory or not', async () => {
  const made = tensorHarness();
  const readiness = async (state: Parameters<typeof expertView>[2]) => {
    made.service.expertList = [expertView('sum', 'tensor', state)];
    const response = await made.get('/v2/models/sum/ready');
    assert.equal(response.statusCode === 200, response.json().ready);
    return response.json().ready;
  };
  assert.equal(await readiness({ state: 'resident' }), true);
  assert.equal(await readiness({ state: 'absent' }), true);
  assert.equal(await readiness({ state: 'quarantined' }), false);
  assert.equal(await readiness({ state: 'fetching', task: null, graph: null }), false);
});

test('inference goes through the service, as a request for tensors of that expert', async () => {
  const made = tensorHarness();
  made.service.answerOf = () => ({
    kind: 'tensors',
    outputs: [{ name: 'y', type: 'float32', shape: [1, 3], data: Float32Array.of(3, 6, 9.5) }],
    inputTokens: 0,
  });
  const response = await infer(made, {
    id: 'x1',
    inputs: [row('a'), row('b', [[1, 2, 3]])],
    outputs: [{ name: 'y' }],
  });
  assert.equal(response.statusCode, 200, response.body);
  assert.deepEqual(response.json(), {
    model_name: 'sum',
    model_version: '1.0.0',
    id: 'x1',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 3], data: [3, 6, 9.5] }],
  });
  assert.equal(response.headers['x-expertd-decision'], '42');
  assert.equal(response.headers['x-expertd-expert'], 'sum');
  const [asked] = made.service.asked;
  const data = Float32Array.of(1, 2, 3);
  const tensor = { type: 'float32', shape: [1, 3], data };
  assert.deepEqual(asked, {
    want: 'tensors',
    model: 'sum',
    ask: {
      kind: 'tensors',
      inputs: [
        { name: 'a', ...tensor },
        { name: 'b', ...tensor },
      ],
      outputs: ['y'],
    },
    waitMs: null,
    keepAliveMs: null,
  });
});

test('the body may come without a content type, as the reference client sends it', async () => {
  const made = tensorHarness();
  made.service.expertList = [
    expertView('same', 'tensor', { graph: { inputs: { a: 'float32[1,3]' }, outputs: {} } }),
  ];
  const payload = Buffer.from(JSON.stringify({ inputs: [row('a')] }));
  const headers = { host: '127.0.0.1:8484', 'content-length': String(payload.length) };
  const response = await made.server.app.inject({
    method: 'POST',
    url: '/v2/models/same/infer',
    headers,
    payload,
  });
  assert.equal(response.statusCode, 200, response.body);
  const chat = { method: 'POST', url: '/v1/chat/completions', headers, payload } as const;
  assert.equal((await made.server.app.inject(chat)).statusCode, 415, 'nowhere else');
});

test('tensors travel as bytes, each way by itself', async () => {
  const made = tensorHarness();
  const echo = { inputs: { a: 'float32[n]', s: 'string[n]' }, outputs: { a: 'float32[n]', s: 'string[n]' } };
  made.service.expertList = [expertView('sum', 'tensor', { graph: echo })];
  const numbers = new Uint8Array(Float32Array.of(1.5, Number.NaN).buffer);
  const texts = Buffer.from([2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0]);
  const input = (name: string, datatype: string, size: number) => ({
    name,
    datatype,
    shape: [2],
    parameters: { binary_data_size: size },
  });
  const header = {
    inputs: [input('a', 'FP32', 8), input('s', 'BYTES', 10)],
    outputs: [{ name: 's', parameters: { binary_data: false } }, { name: 'a' }],
    parameters: { binary_data_output: true },
  };
  const response = await inferBinary(made, header, Buffer.concat([numbers, texts]));
  assert.equal(response.statusCode, 200, response.body);
  assert.equal(response.headers['content-type'], 'application/octet-stream');
  const { json, tail } = parts(response);
  assert.deepEqual(json['outputs'], [
    { name: 's', datatype: 'BYTES', shape: [2], data: ['é', ''] },
    { name: 'a', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
  ]);
  assert.deepEqual(new Uint8Array(tail), numbers);
});

test('64-bit integers are exact in JSON, both ways', async () => {
  const made = tensorHarness();
  const graph = { inputs: { i: 'int64[3]', u: 'uint64[1]' }, outputs: { i: 'int64[3]', u: 'uint64[1]' } };
  made.service.expertList = [expertView('sum', 'tensor', { graph })];
  const i = '[9007199254740993,-9223372036854775808,-1]';
  const u = '[18446744073709551615]';
  const body = `{"inputs":[{"name":"i","datatype":"INT64","shape":[3],"data":${i}},{"name":"u","datatype":"UINT64","shape":[1],"data":${u}}]}`;
  const response = await made.post('/v2/models/sum/infer', body, { 'content-type': 'application/json' });
  assert.equal(response.statusCode, 200, response.body);
  assert.ok(response.body.includes(`"data":${i}`) && response.body.includes(`"data":${u}`), response.body);
});

test('NaN in an output cannot be JSON, and the error says what can', async () => {
  const made = tensorHarness();
  made.service.answerOf = () => ({
    kind: 'tensors',
    outputs: [{ name: 'y', type: 'float32', shape: [1], data: Float32Array.of(Number.NaN) }],
    inputTokens: 0,
  });
  const response = await infer(made, { inputs: [row('a'), row('b')] });
  assert.equal(response.statusCode, 406);
  assert.match(errorOf(response), /Output "y" holds NaN.*binary_data_output/);
});

test('experts of other tasks take no tensors, and the error says where to ask them', async () => {
  const made = tensorHarness();
  for (const response of [
    await infer(made, { inputs: [row('a')] }, 'lang-id'),
    await made.get('/v2/models/lang-id'),
  ]) {
    assert.equal(response.statusCode, 400);
    assert.match(errorOf(response), /"lang-id" does text-classification: it takes no tensors.*\/v1\/chat/);
  }
  assert.equal(made.service.asked.length, 0);
  assert.equal((await made.get('/v2/models/lang-id/ready')).statusCode, 200);
});

test('an unknown model or version is a 404 that helps; refusals keep status and headers', async () => {
  const made = tensorHarness();
  const unknown = await infer(made, { inputs: [row('a')] }, 'sun');
  assert.equal(unknown.statusCode, 404);
  assert.match(errorOf(unknown), /No expert "sun" is installed.*"sum".*repository\/index/);
  const version = await made.get('/v2/models/sum/versions/2/ready');
  assert.equal(version.statusCode, 404);
  assert.match(errorOf(version), /no version "2".*1\.0\.0/);
  made.service.failures = [refusal('loading', { retryAfterMs: 2_500 })];
  const loading = await infer(made, { inputs: [row('a'), row('b')] });
  assert.equal(loading.statusCode, 503);
  assert.equal(loading.headers['retry-after'], '3');
  assert.equal(loading.headers['x-expertd-decision'], '41');
  assert.match(errorOf(loading), /Refused with loading/);
});

test('errors have the protocol’s shape under /v2 alone', async () => {
  const made = tensorHarness();
  assert.match(errorOf(await made.get('/v2/nothing')), /nothing at/);
  assert.match(errorOf(await made.post('/v2', {})), /does not take this method/);
  assert.equal(typeof (await made.get('/v2nothing')).json().error, 'object');
  assert.equal(typeof (await made.get('/v1/nothing')).json().error, 'object');
});

test('auto is for requests in words', async () => {
  const made = tensorHarness();
  const response = await infer(made, { inputs: [row('a')] }, 'auto');
  assert.equal(response.statusCode, 400);
  assert.equal(made.service.asked[0]?.model, null);
});
