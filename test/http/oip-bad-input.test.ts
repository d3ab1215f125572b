import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { errorOf, infer, inferBinary, row, tensorHarness } from './oip-asking.ts';

/** A request for `sum` whose first input is changed. */
const withA = (change: object) => ({ inputs: [{ ...row('a'), ...change }, row('b')] });
const kind = (datatype: string, data: unknown, shape: readonly number[] = [1]) => ({
  inputs: [{ name: 'x', datatype, shape, data }],
});

test('every fault of the JSON is a 400 that names the tensor', async () => {
  const made = tensorHarness();
  const cases: readonly [object, RegExp][] = [
    [withA({ shape: [1, 2] }), /Input "a" has 3 elements; the shape \[1,2\] holds 2/],
    [withA({ shape: [3] }), /Input "a" is float32\[3\]; the expert takes float32\[rows,3\]/],
    [withA({ shape: [1, -3] }), /Input "a": "inputs\[0\]\.shape\[1\]" must be at least 0/],
    [withA({ shape: [1.5, 3] }), /Input "a": .*must be an integer/],
    [withA({ shape: [2 ** 53, 2 ** 53] }), /Input "a": .*must be at most/],
    [withA({ shape: [2 ** 52, 2 ** 52] }), /Input "a" has a shape .* larger than any tensor/],
    [withA({ shape: [0, 2 ** 40], data: [] }), /larger than any tensor/],
    [withA({ shape: new Array(65).fill(1) }), /Input "a": .*a list of at most 64/],
    [withA({ shape: '1,3' }), /Input "a": .*must be an array/],
    [withA({ datatype: 'FP64' }), /Input "a" is float64\[1,3\]; the expert takes float32/],
    [withA({ datatype: 'BF16' }), /Input "a": "inputs\[0\]\.datatype" must be .*"FP32"/],
    [withA({ data: [1, 2] }), /Input "a" has 2 elements/],
    [withA({ data: [[1, 2], [3]] }), /Input "a" has a list of 2 in dimension 0, whose size is 1/],
    [withA({ data: [[1, 2, [3]]] }), /Input "a" has a list at 2, where a number belongs/],
    [withA({ data: [[[1, 2, 3]]] }), /Input "a" has a list of 1 in dimension 1, whose size is 3/],
    [withA({ shape: [2, 3], data: [[1, 2, 3], 4] }), /is nested, and has no list where dimension 1 begins/],
    [withA({ data: [1, null, 3] }), /Input "a" has null at 1, where a number belongs/],
    [withA({ data: [1, 'NaN', 3] }), /Input "a" has a string at 1/],
    [withA({ data: [1, 1e39, 3] }), /Input "a" has a number at 1 that is beyond the range of float32/],
    [withA({ data: undefined }), /Input "a" has neither "data" nor "binary_data_size"/],
    [withA({ parameters: { binary_data_size: 12 } }), /Input "a" has both/],
    [
      withA({ data: undefined, parameters: { binary_data_size: 12 } }),
      /12 bytes behind the JSON, where 0 are left/,
    ],
    [withA({ data: undefined, parameters: { binary_data_size: -1 } }), /Input "a": .*at least 0/],
    [withA({ parameters: { shared_memory_region: 'x' } }), /shared_memory_region" is not supported/],
    [withA({ name: 'c' }), /Input "c" is not one that the expert has \(a, b\)/],
    [withA({ name: 'b' }), /Input "b" is given twice/],
    [withA({ name: 7 }), /"inputs\[0\]\.name" must be a string/],
    [withA({ tensor: 1 }), /"inputs\[0\]\.tensor" is not a field/],
    [{ inputs: [row('a')] }, /Input "b" is missing; the expert takes float32\[rows,3\]/],
    [{ inputs: [] }, /"inputs" must be a list of at least 1/],
    [{}, /"inputs" is missing/],
    [{ ...withA({}), outputs: [{ name: 'z' }] }, /Output "z" is not one that the expert has \(y\)/],
    [{ ...withA({}), outputs: [{ name: 'y' }, { name: 'y' }] }, /Output "y" is asked for twice/],
    [{ ...withA({}), outputs: [{ name: 'y', parameters: { classification: 3 } }] }, /classification" is not/],
    [{ ...withA({}), parameters: { sequence_id: 5 } }, /sequence_id" is not supported: experts keep nothing/],
    [{ ...withA({}), output: [] }, /"output" is not a field.*outputs/],
  ];
  for (const [body, message] of cases) {
    const response = await infer(made, body);
    assert.equal(response.statusCode, 400, `${JSON.stringify(body)} -> ${response.body}`);
    assert.match(errorOf(response), message);
  }
  assert.equal(made.service.asked.length, 0, 'none of them reached the service');
});

test('elements that are not of the datatype are refused, never rounded', async () => {
  const made = tensorHarness();
  const cases: readonly [object, RegExp][] = [
    [kind('UINT8', [256]), /beyond 0 to 255/],
    [kind('UINT8', [-1]), /beyond 0 to 255/],
    [kind('INT8', [-129]), /beyond -128 to 127/],
    [kind('INT32', [1.5]), /a number that is not whole at 0/],
    [kind('INT32', [2 ** 31]), /beyond -2147483648 to 2147483647/],
    [kind('INT64', [2 ** 63]), /beyond -9223372036854775808/],
    [kind('INT64', ['1']), /a string at 0, where a whole number/],
    [kind('UINT64', [-1]), /beyond 0 to 18446744073709551615/],
    [kind('BOOL', [1]), /a number .* at 0, where true or false belongs/],
    [kind('FP16', [65_520]), /beyond the range of float16/],
    [kind('FP64', [true]), /a boolean at 0/],
    [kind('BYTES', [7]), /where a string belongs/],
    [kind('BYTES', ['a\0b']), /zero character/],
    [kind('BYTES', ['\ud800']), /half of a surrogate pair/],
  ];
  for (const [body, message] of cases) {
    const response = await infer(made, body, 'kinds');
    assert.equal(response.statusCode, 400, response.body);
    assert.match(errorOf(response), message);
    assert.match(errorOf(response), /^Input "x" has /);
  }
});

test('bytes that lie about themselves are refused', async () => {
  const made = tensorHarness();
  const input = (size: number, datatype = 'FP32', shape: readonly number[] = [1, 3]) => ({
    inputs: [{ name: 'a', datatype, shape, parameters: { binary_data_size: size } }, row('b')],
  });
  const bytes = (count: number) => new Uint8Array(count);
  const cases: readonly [object, Uint8Array, RegExp][] = [
    [input(12), bytes(8), /Input "a" says that it has 12 bytes behind the JSON, where 8 are left/],
    [input(8), bytes(8), /Input "a" has 8 bytes; 3 elements of float32 are 12/],
    [input(12), bytes(13), /1 bytes behind the JSON belong to no input/],
    [input(2 ** 50), bytes(8), /where 8 are left/],
    [input(12, 'FP32', [2 ** 20, 3]), bytes(12), /has 12 bytes; 3145728 elements of float32 are 12582912/],
    [input(2, 'BOOL', [2]), Uint8Array.of(1, 2), /a byte at 1 that is neither 0 nor 1/],
    [input(4, 'BYTES', [1]), Uint8Array.of(255, 255, 255, 255), /ends within string 0/],
    [input(3, 'BYTES', [1]), bytes(3), /ends within the length of string 0/],
    [input(8, 'BYTES', [1]), bytes(8), /has bytes left after 1 strings/],
    [input(4, 'BYTES', [2]), bytes(4), /has 1 strings; the shape holds 2/],
    [input(5, 'BYTES', [1]), Uint8Array.of(1, 0, 0, 0, 255), /is not UTF-8/],
    [input(5, 'BYTES', [1]), Uint8Array.of(1, 0, 0, 0, 0), /zero character/],
  ];
  for (const [header, tail, message] of cases) {
    const response = await inferBinary(made, header, tail);
    assert.equal(response.statusCode, 400, response.body);
    assert.match(errorOf(response), message);
  }
  for (const headerLength of [-1, 1e6, 'all', '', '0x10', 3]) {
    const response = await inferBinary(made, input(12), bytes(12), { headerLength });
    assert.equal(response.statusCode, 400, `${headerLength}: ${response.body}`);
  }
  assert.equal(made.service.asked.length, 0);
});

test('bodies that are no JSON, or encoded, or too large', async () => {
  const made = tensorHarness({ maxBodyBytes: 2_000 });
  const send = (payload: string | Buffer, headers: Record<string, string> = {}) =>
    made.server.app.inject({
      method: 'POST',
      url: '/v2/models/sum/infer',
      headers: { host: '127.0.0.1', ...headers },
      payload,
    });
  const nan = await send('{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[NaN]}]}');
  assert.deepEqual([nan.statusCode, errorOf(nan)], [400, errorOf(await send('{'))]);
  assert.match(errorOf(await send(Buffer.from([0x7b, 0xff, 0x7d]))), /not UTF-8/);
  assert.match(errorOf(await send('')), /body is missing/);
  assert.match(errorOf(await send('{"__proto__": 1}')), /not JSON|__proto__/);
  assert.match(errorOf(await send('[]')), /body must be an object/);
  const zipped = await send('{}', { 'content-encoding': 'gzip' });
  assert.equal(zipped.statusCode, 415);
  const large = await send(`{"id":"${'x'.repeat(3_000)}"}`);
  assert.deepEqual([large.statusCode, errorOf(large).includes('larger than 2000 bytes')], [413, true]);
  const deep = await send(
    `{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":${'['.repeat(900)}1${']'.repeat(900)}}]}`,
  );
  assert.match(errorOf(deep), /Input "a" has a list at 0, where a number belongs/);
});

test('a shape that lies costs no memory', async () => {
  const made = tensorHarness();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (const data of [[1], [[1]], []]) {
    const response = await infer(made, kind('FP64', data, [2 ** 13, 2 ** 13]), 'kinds');
    assert.equal(response.statusCode, 400);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  assert.ok(most < 16e6, `${most} bytes`);
});

// ---- anything at all ------------------------------------------------------------------------------------------

const size = fc.oneof(fc.integer({ min: -2, max: 4 }), fc.maxSafeInteger(), fc.double());
const element: fc.Arbitrary<unknown> = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.bigInt().map((value) => Number(value)),
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
);
const nested = fc.letrec<{ list: unknown }>((tie) => ({
  list: fc.array(fc.oneof({ depthSize: 'small' }, element, tie('list')), { maxLength: 4 }),
}));
const datatype = fc.oneof(
  fc.constantFrom('BOOL', 'UINT8', 'INT8', 'INT32', 'INT64', 'UINT64', 'FP16', 'FP32', 'FP64', 'BYTES'),
  fc.string(),
);
const parameters = fc.record({ binary_data_size: size, binary_data: fc.boolean() }, { requiredKeys: [] });
const name = fc.oneof(fc.constantFrom('a', 'b', 'bool', 'string', 'int64', '__proto__'), fc.string());
const input = fc.record(
  { name, datatype, shape: fc.array(size, { maxLength: 4 }), parameters, data: nested.list },
  { requiredKeys: ['name', 'shape'] },
);
const body = fc.oneof(
  fc.record(
    {
      id: fc.string(),
      inputs: fc.oneof(fc.array(input, { maxLength: 3 }), fc.jsonValue()),
      outputs: fc.oneof(
        fc.array(fc.record({ name, parameters }, { requiredKeys: ['name'] }), { maxLength: 3 }),
      ),
      parameters: fc.oneof(fc.record({ binary_data_output: fc.boolean() }), fc.jsonValue()),
    },
    { requiredKeys: ['inputs'] },
  ),
  fc.jsonValue(),
);

test('whatever is sent, the answer is an answer or an error of the client', async () => {
  const made = tensorHarness();
  const model = fc.constantFrom('sum', 'kinds', 'lang-id', 'none');
  await fc.assert(
    fc.asyncProperty(
      body,
      fc.uint8Array({ maxLength: 40 }),
      model,
      fc.option(fc.nat(200)),
      async (header, tail, to, lies) => {
        const sent = lies === null ? {} : { headerLength: lies };
        const response = await inferBinary(made, header, tail, { model: to, ...sent });
        assert.ok(response.statusCode < 500, response.body);
        if (response.statusCode >= 400) assert.ok(errorOf(response).length > 0);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('what is sent well comes back as it was, as JSON and as bytes', async () => {
  const made = tensorHarness();
  const graph = { inputs: { i: 'int64[n]', f: 'float64[n]', s: 'string[n]' }, outputs: {} };
  const [first] = made.service.expertList;
  assert.ok(first !== undefined);
  made.service.expertList = [{ ...first, graph }];
  const columns = fc.nat(6).chain((length) => {
    const exactly = { minLength: length, maxLength: length };
    return fc.record({
      i: fc.array(fc.maxSafeInteger(), exactly),
      f: fc.array(
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
        exactly,
      ),
      s: fc.array(
        fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
        exactly,
      ),
    });
  });
  await fc.assert(
    fc.asyncProperty(columns, async ({ i, f, s }) => {
      const shape = [i.length];
      const inputs = [
        { name: 'i', datatype: 'INT64', shape, data: i },
        { name: 'f', datatype: 'FP64', shape, data: f },
        { name: 's', datatype: 'BYTES', shape, data: s },
      ];
      const response = await infer(made, { inputs });
      assert.equal(response.statusCode, 200, response.body);
      assert.deepEqual(response.json().outputs, JSON.parse(JSON.stringify(inputs)));
      const bytes = await infer(made, { inputs, parameters: { binary_data_output: true } });
      const tail = bytes.rawPayload.subarray(Number(bytes.headers['inference-header-content-length']));
      assert.deepEqual(tail.subarray(0, 8 * i.length), Buffer.from(BigInt64Array.from(i, BigInt).buffer));
    }),
    { numRuns: 200 },
  );
});
