/** Server-sent events: their order, their errors, and clients that hang up (over a real socket). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { refusal } from '../fakes/service.ts';
import { harness, user } from './harness.ts';

const CHAT = '/v1/chat/completions';
const streamed = (content: string, more: object = {}) => ({
  model: 'auto',
  messages: user(content),
  stream: true,
  ...more,
});

interface Chunk {
  readonly model: string;
  readonly choices: readonly {
    readonly delta: { role?: string; content?: string };
    finish_reason: string | null;
  }[];
  readonly usage?: object | null;
  readonly expertd?: { readonly decision: number; readonly expert: string | null };
}

function chunksOf(body: string): { readonly chunks: Chunk[]; readonly last: string } {
  const events = body.split('\n\n').filter((event) => event !== '');
  const last = events.pop() ?? '';
  return { chunks: events.map((event) => JSON.parse(event.replace(/^data: /, '')) as Chunk), last };
}

describe('a stream', () => {
  test('is role, pieces, finish, [DONE]', async () => {
    const reply = await harness().post(CHAT, streamed('write'));
    assert.equal(reply.headers['content-type'], 'text/event-stream; charset=utf-8');
    const { chunks, last } = chunksOf(reply.body);
    assert.equal(last, 'data: [DONE]');
    const deltas = chunks.map(({ choices }) => choices[0]?.delta);
    const pieces = [{ content: 'Hel' }, { content: 'lo ' }, { content: 'you' }];
    assert.deepEqual(deltas, [{ role: 'assistant', content: '' }, ...pieces, {}]);
    assert.deepEqual(
      chunks.map(({ choices }) => choices[0]?.finish_reason),
      [null, null, null, null, 'stop'],
    );
    assert.equal(chunks.at(-1)?.expertd?.decision, 42);
    assert.deepEqual([...new Set(chunks.map(({ model }) => model))], ['writer']);
    assert.ok(chunks.every((chunk) => chunk.usage === undefined));
  });

  test('says who answers before the first piece', async () => {
    const { headers } = await harness().post(CHAT, streamed('write'));
    assert.equal(headers['x-expertd-expert'], 'writer');
    assert.equal(headers['x-expertd-decision'], '42');
    assert.equal(headers['x-expertd-confidence'], '0.870');
  });

  test('of an answer that comes whole has the headers too', async () => {
    const reply = await harness().post(CHAT, streamed('which language?'));
    assert.equal(reply.headers['x-expertd-expert'], 'lang-id');
    const { chunks } = chunksOf(reply.body);
    assert.equal(chunks[1]?.choices[0]?.delta.content, 'Spanish (es), 97 %');
  });

  test('ends with the usage where it was asked for', async () => {
    const reply = await harness().post(CHAT, streamed('write', { stream_options: { include_usage: true } }));
    const { chunks } = chunksOf(reply.body);
    const usage = chunks.at(-1);
    assert.deepEqual(usage?.choices, []);
    assert.deepEqual(usage?.usage, {
      prompt_tokens: 7,
      completion_tokens: 3,
      total_tokens: 10,
      prompt_tokens_details: { cached_tokens: 5 },
    });
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  });

  test('of JSON comes in pieces from a language model, and whole from what has a form of its own', async () => {
    const response_format = { type: 'json_object' };
    const contents = async (question: string) => {
      const { chunks } = chunksOf((await harness().post(CHAT, streamed(question, { response_format }))).body);
      return chunks.map(({ choices }) => choices[0]?.delta.content).filter((content) => content);
    };
    assert.deepEqual(await contents('write'), ['Hel', 'lo ', 'you']);
    const [label, ...none] = await contents('which language?');
    assert.deepEqual([JSON.parse(label ?? '').label, none], ['es', []]);
  });

  test('that is refused before its first piece keeps the status', async () => {
    const { service, post } = harness();
    service.failures.push(refusal('pressure'));
    const reply = await post(CHAT, streamed('write'));
    assert.deepEqual([reply.statusCode, reply.json().error.code], [503, 'pressure']);
  });

  test('that fails in the middle ends with an error event and no [DONE]', async () => {
    const { service, post, logged } = harness();
    service.betweenPieces = async (index) => {
      if (index === 1) throw refusal('cell_exited');
    };
    const reply = await post(CHAT, streamed('write'));
    assert.equal(reply.statusCode, 200);
    const { last } = chunksOf(reply.body);
    assert.match(last, /^event: error\ndata: .*"code":"cell_exited"/);
    assert.equal(logged.length, 1);
  });
});

describe('a client that hangs up', () => {
  const cases: readonly (readonly [what: string, body: object, waitsForHead: boolean])[] = [
    ['in the middle of a stream', streamed('write'), true],
    ['before a plain answer', { model: 'writer', messages: user('write') }, false],
  ];
  for (const [what, body, waitsForHead] of cases) {
    test(`${what} aborts the request`, { timeout: 10_000 }, async () => {
      const { service, server, get } = harness();
      const reached = Promise.withResolvers<void>();
      const aborted = Promise.withResolvers<void>();
      service.betweenPieces = async (_index, signal) => {
        reached.resolve();
        if (!signal.aborted) await once(signal, 'abort');
        aborted.resolve();
        throw refusal('run_failed');
      };
      const url = new URL(await server.start());
      try {
        const headers = { 'content-type': 'application/json' };
        const call = httpRequest({ port: url.port, path: CHAT, method: 'POST', headers });
        call.on('error', () => {});
        call.end(JSON.stringify(body));
        if (waitsForHead) {
          const [response] = await once(call, 'response');
          response.on('error', () => {});
        }
        await reached.promise;
        call.destroy();
        await aborted.promise;
        assert.equal(service.signals[0]?.aborted, true);
        await turn();
        assert.match((await get('/metrics')).body, /outcome="hung_up"\} 1/);
      } finally {
        await server.stop(1_000);
      }
    });
  }

  test('is not what a complete reply looks like', async () => {
    const { service, server } = harness();
    const url = await server.start();
    try {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ model: 'auto', messages: user('which language?') });
      const reply = await fetch(url + CHAT, { method: 'POST', headers, body });
      await reply.text();
    } finally {
      await server.stop(1_000);
    }
    assert.equal(service.signals[0]?.aborted, false);
  });
});

test('stop ends what does not end by itself at the deadline', { timeout: 10_000 }, async () => {
  const { service, server } = harness();
  const reached = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  service.betweenPieces = async (_index, signal) => {
    reached.resolve();
    if (!signal.aborted) await once(signal, 'abort');
    aborted.resolve();
  };
  const url = await server.start();
  const headers = { 'content-type': 'application/json' };
  const reply = fetch(url + CHAT, { method: 'POST', headers, body: JSON.stringify(streamed('write')) })
    .then((response) => response.text())
    .catch(() => 'broken off');
  await reached.promise;
  await server.stop(50);
  await aborted.promise;
  assert.equal(await reply, 'broken off');
});
