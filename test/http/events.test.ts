/** `/expertd/v1/events` over real sockets: coming back, too many clients, clients that do not read, the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readEvents, type ServerEvent } from '../../agent/cli/events.ts';
import { MAX_STREAMS } from '../../agent/http/events.ts';
import type { HttpOptions } from '../../agent/http/server.ts';
import { type Harness, harness } from './harness.ts';

const EVENTS = '/expertd/v1/events';
const TOKEN = 'a-token-of-enough-characters';

let server: Harness;
let url: string;
let clients: ClientRequest[];

async function start(options: Partial<HttpOptions> = {}): Promise<void> {
  server = harness(options);
  url = await server.server.start();
}

beforeEach(async () => {
  clients = [];
  await start();
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await server.server.stop(1_000);
});

/** Opens a stream of its own connection and resolves with the head of the reply. */
async function open(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const client = httpRequest(url + EVENTS, { agent: false, headers });
  client.on('error', () => {});
  clients.push(client);
  client.end();
  const [response] = (await once(client, 'response')) as [IncomingMessage];
  return response;
}

/** Reads until `count` events have come. */
async function first(count: number, headers: Record<string, string> = {}): Promise<ServerEvent[]> {
  const controller = new AbortController();
  const response = await fetch(url + EVENTS, { headers, signal: controller.signal });
  assert.equal(response.status, 200);
  const events: ServerEvent[] = [];
  for await (const event of readEvents(response)) {
    events.push(event);
    if (events.length === count) break;
  }
  controller.abort();
  return events;
}

async function until(test: () => boolean, what: string): Promise<void> {
  for (const endMs = Date.now() + 5_000; !test(); ) {
    assert.ok(Date.now() < endMs, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a stream', () => {
  test('begins with the state and goes on with decisions', async () => {
    const response = await open();
    assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(response.headers['cache-control'], 'no-cache, no-transform');
    let text = '';
    response.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    await until(() => text.includes('event: state'), text);
    const told = {
      id: 45,
      atMs: 1,
      event: 'loaded',
      reasons: ['medical is resident'],
      choice: null,
      steps: [],
    } as const;
    server.service.tell(told);
    await until(
      () => text.includes('id: 45\nevent: decision\ndata: {"id":45,"atMs":1,"event":"loaded"'),
      text,
    );
  });

  test('continues after Last-Event-ID from the log, oldest first', async () => {
    const events = await first(3, { 'last-event-id': '42' });
    assert.deepEqual(
      events.map(({ event, id }) => [event, id]),
      [
        ['decision', '43'],
        ['decision', '44'],
        ['state', ''],
      ],
    );
    const { event, choice } = JSON.parse(events[0]?.data ?? '');
    assert.deepEqual([event, choice.expert, choice.router], [null, null, 'rules']);
    assert.equal((await first(1, { 'last-event-id': '44' }))[0]?.event, 'state');
  });

  test('says reset where the log does not reach back, or is another one, or the number is none', async () => {
    for (const [id, why] of [
      ['7', /does not reach back to decision 7/],
      ['45', /is not in this log/],
      ['x', /is not the number/],
      ['-1', /is not the number/],
    ] as const) {
      const [event] = await first(1, { 'last-event-id': id });
      assert.equal(event?.event, 'reset', id);
      assert.match(event.data, why);
    }
  });

  test('needs the token where there is one, in a header', async () => {
    await server.server.stop(1_000);
    await start({ token: TOKEN });
    assert.equal((await open()).statusCode, 401);
    assert.equal((await fetch(`${url}${EVENTS}?token=${TOKEN}`)).status, 401);
    assert.equal((await first(1, { authorization: `Bearer ${TOKEN}` }))[0]?.event, 'state');
  });

  test('is no HEAD and no POST', async () => {
    const reply = await fetch(url + EVENTS, { method: 'HEAD' });
    assert.deepEqual([reply.status, reply.headers.get('allow')], [405, 'GET']);
    assert.equal((await fetch(url + EVENTS, { method: 'POST' })).status, 405);
    assert.equal(server.service.subscribers, 0);
  });

  test('may be read by a page of a configured origin', async () => {
    await server.server.stop(1_000);
    await start({ corsOrigins: ['https://app.example'] });
    const response = await open({ origin: 'https://app.example' });
    assert.equal(response.headers['access-control-allow-origin'], 'https://app.example');
  });
});

describe('clients', () => {
  test('a thousand at once: as many as may are served, the rest are told to wait, the agent answers', async () => {
    const opened = Promise.all(Array.from({ length: 1_000 }, () => open()));
    const sinceMs = performance.now();
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    const probeMs = performance.now() - sinceMs;
    const responses = await opened;
    const served = responses.filter(({ statusCode }) => statusCode === 200);
    const refused = responses.filter(({ statusCode }) => statusCode === 503);
    assert.deepEqual([served.length, refused.length], [MAX_STREAMS, 1_000 - MAX_STREAMS]);
    assert.deepEqual([refused[0]?.headers['retry-after'], refused[0]?.headers['connection']], ['1', 'close']);
    assert.ok(probeMs < 5_000, `a probe took ${probeMs} ms`);
    const text = await (await fetch(url + EVENTS)).text();
    assert.equal(JSON.parse(text).error.code, 'too_many_streams');
    assert.match(JSON.parse(text).error.message, /100 clients.*Close a page/);
    served[0]?.destroy();
    await until(() => server.service.subscribers === 1, 'the others still listen');
    for (const client of clients) client.destroy();
    await until(() => server.service.subscribers === 0, 'nobody listens any more');
    assert.equal((await first(1))[0]?.event, 'state');
  });

  test('one that does not read is cut off before it costs much, and the rest go on', async () => {
    const stuck = await open();
    stuck.pause();
    const reading = await open();
    let heardBytes = 0;
    reading.on('data', (piece: Buffer) => {
      heardBytes += piece.length;
    });
    const reasons = ['x'.repeat(20_000)];
    let id = 100;
    // More than any kernel buffers for one socket.
    for (let batch = 0; batch < 30; batch++) {
      for (let count = 0; count < 50; count++)
        server.service.tell({ id: id++, atMs: 1, event: 'loaded', reasons, choice: null, steps: [] });
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    let cut = false;
    stuck.on('error', () => {
      cut = true;
    });
    stuck.resume();
    await until(() => cut, 'the one that did not read was not cut off');
    await until(() => heardBytes > 25_000_000, `the other heard ${heardBytes} bytes`);
    assert.equal(server.service.subscribers, 1);
  });

  test('are let go when the server stops, at once', async () => {
    const response = await open();
    response.resume();
    const sinceMs = performance.now();
    await Promise.all([once(response, 'end'), server.server.stop(5_000)]);
    assert.ok(performance.now() - sinceMs < 2_000);
    assert.equal(server.service.subscribers, 0);
  });
});
