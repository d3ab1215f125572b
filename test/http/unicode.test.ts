/** Bytes that are no text, texts that are no Unicode, durations that are none. */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { keepAliveMs } from '../../agent/http/keepalive.ts';
import { needUnicode, utf8Of } from '../../agent/http/unicode.ts';
import { harness, user } from './harness.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('a body', () => {
  test('that is not UTF-8 is refused, and the byte is named', async () => {
    for (const path of ['/v1/chat/completions', '/api/chat']) {
      const { service, post } = harness();
      const head = Buffer.from('{"model":"auto","messages":[{"role":"user","content":"é\u{fffd}');
      const body = Buffer.concat([head, Buffer.of(0xc3, 0x28), Buffer.from('"}]}')]);
      const reply = await post(path, body, JSON_TYPE);
      assert.equal(reply.statusCode, 400);
      assert.match(reply.body, new RegExp(`not UTF-8: byte ${head.length} is 0xc3`));
      assert.equal(service.asked.length, 0);
    }
  });

  test('is text exactly where all its bytes are', () => {
    const parts = fc.array(
      fc.oneof(
        fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 4 }),
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(parts, (pieces) => {
        const bytes = Buffer.concat(pieces);
        if (isUtf8(bytes)) return assert.equal(utf8Of(bytes), bytes.toString());
        assert.throws(
          () => utf8Of(bytes),
          ({ message }: Error) => {
            const at = Number(/byte (\d+)/.exec(message)?.[1]);
            // All before it is text, and with however much of what follows it is none.
            return (
              isUtf8(bytes.subarray(0, at)) &&
              [1, 2, 3, 4].every((more) => !isUtf8(bytes.subarray(0, at + more)))
            );
          },
        );
      }),
    );
  });
});

describe('half of a surrogate pair', () => {
  const cases: readonly (readonly [path: string, field: string, body: object])[] = [
    ['/v1/chat/completions', 'messages[0].content', { model: 'auto', messages: user('a\ud83d') }],
    ['/v1/completions', 'prompt', { model: 'auto', prompt: '\udc00' }],
    ['/v1/embeddings', 'input[1]', { model: 'auto', input: ['a', '\ud800b'] }],
    ['/expertd/v1/route', 'question', { question: '\ud800' }],
  ];
  for (const [path, field, body] of cases) {
    test(`is refused in ${field} of ${path}`, async () => {
      const reply = await harness().post(path, JSON.stringify(body), JSON_TYPE);
      const { error } = reply.json();
      assert.deepEqual([reply.statusCode, error.param, error.code], [400, field, 'bad_input']);
    });
  }

  test('is refused in keys of a schema, and in Ollama’s requests', async () => {
    const { post } = harness();
    const format = { type: 'object', properties: { '\ud800': {} } };
    const reply = await post('/api/generate', JSON.stringify({ model: 'writer', prompt: 'x', format }));
    assert.equal(reply.statusCode, 400);
    assert.match(reply.json().error, /^"format\.properties\..*" holds half of a surrogate pair/);
  });

  test('is found wherever it is, and nothing else is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), (value) => {
        const isWellFormed = JSON.stringify(value).search(/\\ud[89a-f]/i) < 0;
        if (isWellFormed) needUnicode(value, 'x');
        else assert.throws(() => needUnicode(value, 'x'), /half of a surrogate pair/);
      }),
    );
  });
});

describe('keep_alive', () => {
  const cases: readonly (readonly [sent: number | string | undefined, ms: number | null])[] = [
    [undefined, null],
    [0, 0],
    ['0', 0],
    ['0s', 0],
    [-1, -1],
    ['-1', -1],
    ['-5m', -1],
    [300, 300_000],
    ['300', 300_000],
    [0.5, 500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['300ms', 300],
    ['1us', 1],
    ['+2s', 2_000],
    [1e300, -1],
    ['99999999999h', -1],
  ];
  for (const [sent, ms] of cases) test(`${sent} is ${ms} ms`, () => assert.equal(keepAliveMs(sent), ms));

  for (const sent of ['', 'm', '5 m', '5x', '1m-2s', 'forever', '1.2.3s', 'NaN', '0x10s'])
    test(`"${sent}" is none`, () => assert.throws(() => keepAliveMs(sent), /"keep_alive" is no duration/));
});
