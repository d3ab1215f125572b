import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { elementCount, fitsType, inputFault, outputFault, parseDeclared } from '../../agent/tensors.ts';

test('a shape holds the product of its sizes, exactly, or nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(40), fc.maxSafeInteger(), fc.double()), { maxLength: 8 }),
      (shape) => {
        const count = elementCount(shape);
        if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return assert.equal(count, null);
        const extent = shape.reduce((product, size) => product * BigInt(Math.max(1, size)), 1n);
        const product = shape.reduce((product, size) => product * BigInt(size), 1n);
        assert.equal(count, extent > 2n ** 26n ? null : Number(product));
      },
    ),
    { numRuns: 500 },
  );
});

test('an empty tensor may not have other sizes without a bound', () => {
  assert.equal(elementCount([0, 3]), 0);
  assert.equal(elementCount([0, 2 ** 27]), null);
  assert.equal(elementCount([]), 1);
});

test('declarations are taken apart, and put together say the same', () => {
  const word = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/);
  fc.assert(
    fc.property(word, fc.array(fc.oneof(fc.nat(1_000), word), { maxLength: 5 }), (type, dimensions) => {
      assert.deepEqual(parseDeclared(`${type}[${dimensions.join(',')}]`), { type, dimensions });
    }),
  );
  assert.deepEqual(parseDeclared('float32[ batch , 3 ]'), { type: 'float32', dimensions: ['batch', 3] });
  for (const text of ['', 'float32', 'float32[', '[3]', 'float32[3] '])
    assert.equal(parseDeclared(text), null);
});

test('data is of a type only as the very array of that type', () => {
  assert.ok(fitsType('float16', Uint16Array.of(1)) && !fitsType('float16', Float32Array.of(1)));
  assert.ok(fitsType('bool', Uint8Array.of(0, 1)) && !fitsType('bool', Uint8Array.of(2)));
  assert.ok(fitsType('string', ['a']) && !fitsType('string', ['a', 1]) && !fitsType('string', new Array(1)));
  assert.ok(!fitsType('int64', [1n]) && !fitsType('int8', Uint8Array.of(1)));
});

test('names of the language itself are no declared tensors', () => {
  const fault = inputFault([{ name: 'constructor', type: 'float32', shape: [1] }], {});
  assert.match(fault?.message ?? '', /input "constructor" is not one/);
  assert.match(outputFault(['__proto__'], {})?.message ?? '', /output "__proto__" is not one/);
});

test('a long name is cut in the message, and whole beside it', () => {
  const name = 'x'.repeat(500);
  const fault = outputFault([name], { y: 'float32[1]' });
  assert.equal(fault?.name, name);
  assert.ok((fault?.message.length ?? 0) < 200);
});
