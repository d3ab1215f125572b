import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Diagnostics, diagnose } from '../../../agent/fleet/device/diagnostics.ts';
import { redactLine, redactText, redactValue } from '../../../agent/fleet/device/diagnostics-redaction.ts';
import { openLogger } from '../../../agent/logging.ts';
import type { DecisionRow } from '../../../agent/service.ts';
import { Bench, expert, FakeDevice } from './orders-set-up.ts';

const NONE = { secrets: [] };

function row(id: number): DecisionRow {
  return {
    id,
    atMs: id,
    request: `r${id}`,
    expert: 'medical',
    confidence: 1,
    router: 'named',
    reasons: ['by name'],
    ok: true,
    totalMs: 1,
  };
}

function told(
  device: FakeDevice,
  args: Parameters<typeof diagnose>[0],
  secrets: readonly string[] = [],
): Diagnostics {
  const text = diagnose(args, { device, atMs: 7, redaction: { secrets } });
  return JSON.parse(text) as Diagnostics;
}

test('state, decisions and log, or what was asked for', () => {
  const device = new FakeDevice(expert('medical', { state: 'resident' }));
  device.rows = Array.from({ length: 150 }, (_, index) => row(150 - index));
  device.lines = Array.from({ length: 600 }, (_, index) => `line ${index}`);
  const all = told(device, {});
  assert.deepEqual(all.state, {
    health: device.health(),
    state: device.state(),
    experts: device.experts(),
  });
  assert.deepEqual([all.decisions?.length, all.log?.length], [100, 500]);
  assert.equal(all.log?.at(-1), 'line 599');
  const some = told(device, { parts: ['decisions', 'log'], decisions: 2, log_lines: 1 });
  assert.deepEqual(some, { v: 1, atMs: 7, decisions: [row(150), row(149)], log: ['line 599'] });
});

/** Where secrets were seen in logs and errors. `S` is the secret. */
const PLANTED = [
  'mqtt://me:S@broker:1883',
  'fetching https://S@host/experts/x failed',
  'https://host/x?X-Amz-Signature=S&y=1 gave 403',
  'https://host/x#access_token=S',
  'Authorization: Bearer S',
  'authorization: Token S',
  'cookie: a=b; session=S',
  'password=S',
  "password: 'S'",
  'HTTP_TOKEN=S and more',
  'the passwd is known: passwd = S',
  '{"apiKey":"S","x":1}',
  'failure={"message":"no","dbPassword":"S"}',
  String.raw`body {\"client_secret\":\"S\"}`,
  '-----BEGIN PRIVATE KEY-----\nS\n-----END PRIVATE KEY-----',
  '-----BEGIN EC PRIVATE KEY-----\nS',
  '10:11:12 info    asked text=S and S again',
  '10:11:12 info    asked messages=[{"role":"user","content":"S"}]',
];
const secret = fc.stringMatching(/^[A-Za-z0-9_-]{8,40}$/);

test('a planted secret never comes out of a line or a value', () => {
  fc.assert(
    fc.property(secret, fc.constantFrom(...PLANTED), fc.string(), (word, template, before) => {
      const line = template.replaceAll('S', word);
      const lines = [line, `${before.replaceAll('"', '')} ${line}`, `${line} and so on`];
      for (const one of lines) assert.ok(!redactLine(one, NONE).includes(word), redactLine(one, NONE));
      for (const one of ['msg', 'err', 'x']) {
        const json = JSON.stringify({ level: 'info', [one]: { deep: [line] } });
        for (const written of template.includes('text=') || template.includes('messages=')
          ? []
          : [json, `<6>${json}`])
          assert.ok(!redactLine(written, NONE).includes(word), redactLine(written, NONE));
      }
    }),
    { numRuns: 400 },
  );
});

test('a planted secret never comes out of what the logger wrote', () => {
  for (const isTTY of [true, false]) {
    const lines: string[] = [];
    const write = (line: string): number => lines.push(line.trimEnd());
    const log = openLogger({ level: 'debug', isTTY, toJournal: !isTTY, write });
    log.info({ token: 'S3CRET-A', inner: { deep: { password: 'S3CRET-B' } } }, 'hello');
    log.warn({ url: 'https://u:S3CRET-C@host/?sig=S3CRET-D', prompt: 'S3CRET-E is what I asked' }, 'fetch');
    log.error({ err: new Error('connect mqtts://u:S3CRET-F@host failed') }, 'broken');
    const redacted = lines.map((line) => redactLine(line, NONE)).join('\n');
    assert.doesNotMatch(redacted, /S3CRET/);
    assert.match(redacted, /hello[\s\S]*fetch[\s\S]*broken/);
  }
});

test('known secrets never come out, however they are written', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 4, maxLength: 30 }), fc.string(), (word, around) => {
      fc.pre(!'[hidden]'.includes(word) && !around.includes(word) && word.trim().length >= 4);
      const redaction = { secrets: [word] };
      const places = [`${around}${word}${around}`, JSON.stringify({ x: word }), encodeURIComponent(word)];
      for (const place of places) {
        const text = redactText(place, redaction);
        assert.ok(!text.includes(word) && !text.includes(JSON.stringify(word).slice(1, -1)), text);
      }
      const value = JSON.stringify(redactValue({ list: [word], [word]: { a: word } }, redaction));
      assert.ok(
        !value.includes(JSON.stringify(word).slice(1, -1)) ||
          '{"list":["[hidden]"],"[hidden]":{"a":"[hidden]"}}'.includes(word),
        value,
      );
    }),
    { numRuns: 300 },
  );
});

test('what is no secret stays', () => {
  const lines = [
    '10:11:12 info    expertd is up url=http://127.0.0.1:8484 version=1.2.3',
    'load medical in c1: needs 41.2 MB (measured), 60 MB are free',
    'contextTokens=2048 prompt_tokens: 12',
  ];
  for (const line of lines) assert.equal(redactLine(line, NONE), line);
  const view = { id: 'x', files: { contextTokens: 5 }, graph: { inputs: { token_type_ids: 'int64[1]' } } };
  assert.deepEqual(redactValue(view, NONE), view);
  const counts = { fleet: { refused: { bad_signature: 3, no_token: 1, bad_json: 2 } } };
  assert.deepEqual(redactValue(counts, NONE), counts);
  const refusal = 'desired gen 7: REJECTED, bad_signature: its signature is not that of its bytes';
  assert.equal(redactLine(refusal, NONE), refusal);
});

test('a line made to be slow is not', () => {
  const hostile = [
    'a'.repeat(8_000),
    'a:'.repeat(4_000),
    '://'.repeat(2_600),
    '"\\'.repeat(4_000),
    'token '.repeat(1_300),
  ];
  for (const line of hostile) assert.ok(redactLine(line, NONE).length <= 8_100);
});

test('an answer in parts is whole, and holds no secret', async (context) => {
  const bench = new Bench(context, expert('medical', { source: 'https://me:hunter22@host/medical' }));
  bench.device.lines = Array.from(
    { length: 2_000 },
    (_, index) => `${index} "ä" http-token-of-this-device ${'x'.repeat(200)}`,
  );
  await bench.order({ type: 'diagnostics', args: { log_lines: 2_000 } });
  const parts = bench.sent.filter(({ state }) => state === 'SUCCEEDED');
  assert.ok(parts.length > 3);
  const text = parts.map(({ detail }) => detail).join('');
  const answer = JSON.parse(text) as Diagnostics;
  assert.equal(answer.log?.length, 2_000);
  assert.doesNotMatch(text, /http-token-of|hunter22/);
  await bench.order({ type: 'diagnostics', args: { log_lines: 2_000 } });
  assert.equal(bench.last('c1')?.reason, 'answer_not_kept');
});
