import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { datatypeOf } from '../agent/datatypes.ts';
import { askOfGolden, judgeGolden } from '../agent/golden.ts';
import type { Elements, ElementType, NamedTensor } from '../agent/ports.ts';

const ask = (request: unknown) =>
  askOfGolden('tensor', typeof request === 'string' ? request : JSON.stringify(request), null);

function tensor(name: string, type: ElementType, data: Elements, shape = [data.length]): NamedTensor {
  return { name, type, shape, data };
}

function judge(output: unknown, ...outputs: readonly NamedTensor[]) {
  return judgeGolden('tensor', output, { kind: 'tensors', outputs, inputTokens: 0 });
}

const expecting = (datatype: string, data: readonly unknown[], more: object = {}) => ({
  outputs: [{ name: 'y', datatype, shape: [data.length], data }],
  ...more,
});

function differs(verdict: ReturnType<typeof judge>, how: string): void {
  assert.deepEqual(verdict, { kind: 'different', difference: how });
}

test('a request is asked as it stands, flat or nested, with whole numbers of 64 bits', () => {
  const input =
    '{"id": "7", "inputs": [{"name": "a", "datatype": "INT64", "shape": [2], "data": [9007199254740993, -1]},' +
    ' {"name": "b", "datatype": "FP32", "shape": [2, 1], "data": [[1], [2]]}]}';
  assert.deepEqual(ask(input), {
    kind: 'tensors',
    inputs: [
      tensor('a', 'int64', BigInt64Array.of(9007199254740993n, -1n)),
      tensor('b', 'float32', Float32Array.of(1, 2), [2, 1]),
    ],
    outputs: null,
  });
});

test('the outputs that it names are asked for', () => {
  const inputs = [{ name: 'a', datatype: 'BOOL', shape: [1], data: [true] }];
  const asked = ask({ inputs, outputs: [{ name: 'z' }, { name: 'y' }] });
  assert.deepEqual(asked.kind === 'tensors' && asked.outputs, ['z', 'y']);
  const open = ask({ inputs, outputs: [] });
  assert.equal(open.kind === 'tensors' && open.outputs, null);
});

test('what is no request cannot be asked, and says why', () => {
  const a = { name: 'a', datatype: 'FP32', shape: [2], data: [1, 2] };
  const odd: readonly (readonly [unknown, RegExp])[] = [
    ['what is it?', /no inference request/],
    [{ inputs: [] }, /"inputs" must be a list of at least 1/],
    [{ inputs: [{ ...a, datatype: 'BF16' }] }, /"inputs\[0\]\.datatype" must be/],
    [{ inputs: [{ ...a, data: undefined }] }, /"inputs\[0\]\.data" is missing/],
    [{ inputs: [{ ...a, shape: [3] }] }, /a tensor of it has 2 elements; the shape \[3\] holds 3/],
    [{ inputs: [{ ...a, shape: [2 ** 40] }] }, /larger than any tensor may be/],
    [{ inputs: [{ ...a, data: ['x', 1] }] }, /has a string at 0, where a number belongs/],
  ];
  for (const [request, why] of odd) {
    const asked = ask(request);
    assert.ok(asked.kind === 'unjudged', JSON.stringify(request));
    assert.match(asked.why, why);
  }
});

test('floats may be a little away: by the tolerance, else by a share of the largest', () => {
  const given = tensor('y', 'float32', Float32Array.of(100.5, 0.5));
  assert.equal(judge(expecting('FP32', [100, 0]), given).kind, 'same');
  assert.equal(judge(expecting('FP32', [100, 0], { tolerance: 0.5 }), given).kind, 'same');
  differs(
    judge(expecting('FP32', [100, 0], { tolerance: 0.25 }), given),
    'element 0 of output "y" is 100.5, where 100 is expected (within 0.25)',
  );
  differs(
    judge(expecting('FP32', [10, 0]), tensor('y', 'float32', Float32Array.of(10, 0.25))),
    'element 1 of output "y" is 0.25, where 0 is expected (within 0.2)',
  );
});

test('halves are compared as the numbers that they are', () => {
  const bits = new Uint16Array(Float16Array.of(1.5, -2).buffer);
  assert.equal(judge(expecting('FP16', [1.5, -2]), tensor('y', 'float16', bits)).kind, 'same');
  differs(
    judge(expecting('FP16', [1.5, 2]), tensor('y', 'float16', bits)),
    'element 1 of output "y" is -2, where 2 is expected (within 0.04)',
  );
});

test('NaN and infinities are never what is expected', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const verdict = judge(expecting('FP32', [1]), tensor('y', 'float32', Float32Array.of(value)));
    assert.equal(verdict.kind, 'different');
  }
});

test('whole numbers, truths and texts are equal or different', () => {
  differs(
    judge(expecting('INT32', [1, 2], { tolerance: 5 }), tensor('y', 'int32', Int32Array.of(1, 3))),
    'element 1 of output "y" is 3, where 2 is expected',
  );
  differs(
    judge(expecting('BOOL', [true]), tensor('y', 'bool', Uint8Array.of(0))),
    'element 0 of output "y" is 0, where 1 is expected',
  );
  differs(
    judge(expecting('BYTES', ['sea']), tensor('y', 'string', ['land'])),
    'element 0 of output "y" is "land", where "sea" is expected',
  );
});

test('a number of 64 bits that was rounded when it was read is near to what it was', () => {
  const expected: unknown = JSON.parse(
    '{"outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}',
  );
  assert.equal(judge(expected, tensor('y', 'int64', BigInt64Array.of(9007199254740993n))).kind, 'same');
  assert.equal(judge(expected, tensor('y', 'int64', BigInt64Array.of(9007199254740999n))).kind, 'different');
  assert.equal(judge(expecting('INT64', [5]), tensor('y', 'int64', BigInt64Array.of(6n))).kind, 'different');
});

test('each expected output is there, with its type and shape; others may be there too', () => {
  const given = tensor('y', 'float32', Float32Array.of(1, 2));
  assert.equal(judge(expecting('FP32', [1, 2]), tensor('x', 'bool', Uint8Array.of(1)), given).kind, 'same');
  differs(judge(expecting('FP32', [1, 2])), 'it gives no output "y"');
  differs(judge(expecting('FP64', [1, 2]), given), 'output "y" is float32[2], where float64[2] is expected');
  differs(judge(expecting('FP32', [1]), given), 'output "y" is float32[2], where float32[1] is expected');
});

test('an output that is no reply is not judged', () => {
  const given = tensor('y', 'float32', Float32Array.of(1));
  for (const output of [
    {},
    { outputs: {} },
    expecting('FP32', ['1']),
    expecting('FP32', [1], { tolerance: -1 }),
  ])
    assert.equal(judge(output, given).kind, 'unjudged', JSON.stringify(output));
});

test('property: any JSON is judged or not, and nothing throws', () => {
  const given = tensor('y', 'float32', Float32Array.of(1));
  const likely = fc.record(
    {
      name: fc.constantFrom('y', 'x', ''),
      datatype: fc.constantFrom(...(['float32', 'int8', 'string'] as const).map(datatypeOf), 'FP8'),
      shape: fc.array(fc.oneof(fc.nat(2), fc.jsonValue()), { maxLength: 3 }),
      data: fc.array(fc.oneof(fc.nat(2), fc.jsonValue()), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  const outputs = fc.oneof(fc.jsonValue(), fc.record({ outputs: fc.array(likely, { maxLength: 2 }) }));
  fc.assert(
    fc.property(outputs, (output) => {
      assert.match(judge(output, given).kind, /^(same|different|unjudged)$/);
      const inputs = (output as { outputs?: unknown } | null)?.outputs;
      assert.match(ask({ inputs }).kind, /^(tensors|unjudged)$/);
    }),
  );
});
