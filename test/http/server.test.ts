/** Everything around the APIs: probes, metrics, paths and methods, who may call, bodies, expertd's own API. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { HttpServer } from '../../agent/http/server.ts';
import { FakeService, refusal } from '../fakes/service.ts';
import { harness, LOCAL, user } from './harness.ts';

const TOKEN = 'a-token-of-enough-characters';

describe('probes', () => {
  test('say how the process is', async () => {
    const { service, get } = harness();
    assert.equal((await get('/livez')).statusCode, 200);
    assert.equal((await get('/readyz')).statusCode, 200);
    const problem = { code: 'log_degraded', message: 'at /some/path', hint: null, retryable: false };
    service.healthView = { ...service.healthView, ready: false, problems: [problem] };
    assert.equal((await get('/readyz')).statusCode, 503);
    const health = await get('/healthz');
    assert.equal(health.statusCode, 200);
    assert.deepEqual(health.json().problems, ['log_degraded']);
  });

  test('need no token, everything else does', async () => {
    const { get } = harness({ token: TOKEN });
    for (const path of ['/livez', '/readyz', '/healthz']) assert.equal((await get(path)).statusCode, 200);
    for (const path of ['/metrics', '/v1/models', '/expertd/v1/state', '/nothing', '/livez/', '//livez']) {
      assert.equal((await get(path)).statusCode, 401, path);
    }
    const wrong = await get('/v1/models', { authorization: 'Bearer wrong' });
    assert.deepEqual([wrong.statusCode, wrong.headers['www-authenticate']], [401, 'Bearer']);
    assert.equal((await get('/v1/models', { authorization: `Bearer ${TOKEN}` })).statusCode, 200);
  });
});

describe('metrics', () => {
  test('count requests, decisions and experts', async () => {
    const { service, get, post } = harness();
    service.stateView = {
      ...service.stateView,
      counts: { loads: 5, loadFailures: 1, evictions: 2, cellExits: 0 },
    };
    await post('/v1/chat/completions', { model: 'auto', messages: user('which language?') });
    await post('/v1/chat/completions', { model: 'auto', messages: user('asdf') });
    service.failures.push(refusal('pressure'));
    await post('/v1/chat/completions', { model: 'medical', messages: user('asdf') });
    await get('/v1/models/nobody');
    const text = (await get('/metrics')).body;
    const has = (line: string) => assert.ok(text.includes(`\n${line}\n`), `${line} is not in\n${text}`);
    has('expertd_decisions_total{router="auto",outcome="answered"} 1');
    has('expertd_decisions_total{router="auto",outcome="abstained"} 1');
    has('expertd_decisions_total{router="named",outcome="pressure"} 1');
    has('expertd_memory_budget_bytes 314572800');
    has('expertd_expert_evictions_total 2');
    has('expertd_expert_state{expert="lang-id",state="absent"} 1');
    has('expertd_requests_waiting 2');
    assert.match(text, /duration_seconds_count\{route="\/v1\/models\/:id",method="GET",status="404"\} 1/);
    // What is not known is left out: a device without a reading, an agent without counts.
    assert.doesNotMatch(text, /\nexpertd_memory_available_bytes \d/);
  });

  test('have no more series than before after a second scrape', async () => {
    const { get } = harness();
    await get('/metrics');
    const count = (text: string) =>
      text.split('\n').filter((line) => line.startsWith('expertd_expert')).length;
    const first = count((await get('/metrics')).body);
    assert.equal(count((await get('/metrics')).body), first);
  });

  test('are clean to promtool', async (context) => {
    if (spawnSync('promtool', ['--version']).error !== undefined) {
      context.skip('promtool is not installed (Debian package prometheus)');
      return;
    }
    const { get, post } = harness();
    await post('/v1/chat/completions', { model: 'writer', messages: user('write'), stream: true });
    const { body } = await get('/metrics');
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: body,
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(`${stdout}${stderr}`, '');
  });
});

describe('paths and methods', () => {
  test('404 names the nearest path', async () => {
    const { get } = harness();
    const reply = await get('/v1/chat/completion');
    assert.deepEqual([reply.statusCode, reply.json().error.code], [404, 'not_found']);
    assert.match(reply.json().error.message, /\/v1\/chat\/completions/);
  });

  test('405 comes with Allow, whatever the body is', async () => {
    const { get, post } = harness();
    const wrong = await post('/livez', 'x', { 'content-type': 'text/csv' });
    assert.deepEqual([wrong.statusCode, wrong.headers['allow']], [405, 'GET, HEAD']);
    const asked = await get('/v1/embeddings');
    assert.deepEqual([asked.statusCode, asked.headers['allow']], [405, 'POST']);
  });

  test('a path that is no URL is 400', async () => {
    const { get } = harness();
    const reply = await get('/v1/models/%zz');
    assert.deepEqual([reply.statusCode, reply.json().error.code], [400, 'bad_request']);
  });
});

describe('bodies', () => {
  const send = (payload: string, type = 'application/json') =>
    harness().post('/v1/chat/completions', payload, { 'content-type': type });

  test('that are not JSON are 400', async () => {
    for (const payload of ['{', 'null{', '{"__proto__": {}}', '{"constructor": {"prototype": {}}}']) {
      const reply = await send(payload);
      assert.deepEqual([reply.statusCode, reply.json().error.code], [400, 'bad_json'], payload);
    }
  });

  test('that are missing or nested beyond reason are 400', async () => {
    assert.equal((await send('')).statusCode, 400);
    assert.equal((await send('['.repeat(400_000) + ']'.repeat(400_000))).statusCode, 400);
    assert.equal((await send(`{"tools":${'['.repeat(400_000)}${']'.repeat(400_000)}}`)).statusCode, 400);
  });

  test('of another type are 415', async () => {
    const reply = await send('model=auto', 'application/x-www-form-urlencoded');
    assert.deepEqual([reply.statusCode, reply.json().error.code], [415, 'unsupported_media_type']);
  });

  test('larger than the limit are 413, and the client reads why', async () => {
    const { server } = harness({ maxBodyBytes: 10_000 });
    const url = await server.start();
    try {
      const reply = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'auto', messages: user('x'.repeat(10_000_000)) }),
      });
      assert.equal(reply.status, 413);
      const { error } = (await reply.json()) as { error: { code: string; message: string } };
      assert.equal(error.code, 'body_too_large');
      assert.match(error.message, /10000 bytes.*http\.maxBodyBytes/);
    } finally {
      await server.stop(1_000);
    }
  });
});

describe('who may call', () => {
  const status = async (headers: Record<string, string>, options = {}) =>
    (await harness(options).get('/livez', headers)).statusCode;

  test('a Host that is not ours is refused', async () => {
    for (const host of [
      'localhost',
      'localhost:8484',
      'LOCALHOST.',
      '127.0.0.1:1',
      '127.3.2.1',
      '[::1]:8484',
    ]) {
      assert.equal(await status({ host }), 200, host);
    }
    for (const host of [
      'evil.example',
      '127.0.0.1.evil.example',
      'localhost.evil.example:8484',
      '10.0.0.1',
      '[',
    ]) {
      assert.equal(await status({ host }), 403, host);
    }
    assert.equal(await status({ host: 'pi.local:8484' }, { allowedHosts: ['pi.local'] }), 200);
    const everywhere = { host: '0.0.0.0', token: TOKEN };
    assert.equal(await status({ host: '192.168.1.7:8484' }, everywhere), 200);
    assert.equal(await status({ host: 'evil.example' }, everywhere), 403);
  });

  test('a page of another origin may not change anything', async () => {
    const { service, post } = harness();
    const unload = (origin: string) => post('/expertd/v1/experts/medical/unload', undefined, { origin });
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:3000']) {
      assert.equal((await unload(origin)).statusCode, 403, origin);
    }
    assert.deepEqual(service.commands, []);
    assert.equal((await unload('http://127.0.0.1:8484')).statusCode, 200);
  });

  test('CORS headers are sent to configured origins only', async () => {
    const app = 'https://app.example';
    const { server, get } = harness({ corsOrigins: [app], token: TOKEN });
    const headers = { host: 'localhost', origin: app };
    const preflight = await server.app.inject({ method: 'OPTIONS', url: '/v1/chat/completions', headers });
    assert.equal(preflight.statusCode, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], app);
    assert.match(String(preflight.headers['access-control-allow-headers']), /authorization/);
    const other = await get('/livez', { origin: 'https://other.example' });
    assert.equal(other.headers['access-control-allow-origin'], undefined);
    // Refusals are readable too: the page shows why.
    const refused = await get('/v1/models', { origin: app });
    assert.deepEqual([refused.statusCode, refused.headers['access-control-allow-origin']], [401, app]);
  });

  test('off loopback a token is needed to start at all', () => {
    const open = { ...LOCAL, host: '0.0.0.0' };
    const start = (options: typeof LOCAL) => new HttpServer(new FakeService(), options, { error() {} });
    assert.throws(() => start(open), { code: 'bad_config', hint: /EXPERTD_HTTP_TOKEN/ });
    assert.doesNotThrow(() => start({ ...open, token: TOKEN }));
  });
});

test('a port in use is an error that names the fix', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const address = holder.address();
  assert.ok(address !== null && typeof address === 'object');
  try {
    const { server } = harness({ port: address.port });
    await assert.rejects(server.start(), { code: 'cannot_listen', message: /is in use/, hint: /--port/ });
  } finally {
    holder.close();
  }
});

describe("expertd's own API", () => {
  test('shows state, experts and decisions', async () => {
    const { get } = harness();
    const state = (await get('/expertd/v1/state')).json();
    assert.deepEqual([state.waiting, state.health.ready], [2, true]);
    assert.equal((await get('/expertd/v1/experts')).json().experts.length, 4);
    assert.equal((await get('/expertd/v1/experts/medical')).json().pinned, true);
    assert.equal((await get('/expertd/v1/experts/medica')).statusCode, 404);
    const page = (await get('/expertd/v1/decisions?limit=2')).json();
    assert.deepEqual([page.decisions.map(({ id }: { id: number }) => id), page.next], [[44, 43], 43]);
    assert.equal((await get('/expertd/v1/decisions?before=43')).json().decisions[0].id, 42);
    assert.equal((await get('/expertd/v1/decisions/42')).json().decision.expert, 'lang-id');
    for (const id of ['7', 'last', '-1', '99999999999999999999']) {
      assert.equal((await get(`/expertd/v1/decisions/${id}`)).statusCode, 404, id);
    }
    const bad = await get('/expertd/v1/decisions?limit=many');
    assert.deepEqual([bad.statusCode, bad.json().error.param], [400, 'limit']);
    assert.equal((await get('/expertd/v1/decisions?limt=1')).json().error.param, 'limt');
  });

  test('routes without asking anybody', async () => {
    const { service, post } = harness();
    const choice = (await post('/expertd/v1/route', { question: 'what is tachycardia?' })).json();
    assert.deepEqual([choice.expert, service.asked.length], ['medical', 0]);
    assert.equal((await post('/expertd/v1/route', { question: ' ' })).json().error.param, 'question');
  });

  test('passes commands on', async () => {
    const { service, post } = harness();
    for (const command of ['load', 'park', 'unload', 'pin', 'unpin', 'clear']) {
      assert.equal((await post(`/expertd/v1/experts/lang-id/${command}`, undefined)).statusCode, 200);
    }
    assert.deepEqual(
      service.commands,
      ['load', 'park', 'unload', 'pin', 'unpin', 'clear'].map((command) => `${command} lang-id`),
    );
    assert.equal((await post('/expertd/v1/experts/nobody/pin', undefined)).statusCode, 404);
    assert.equal((await post('/expertd/v1/experts/lang-id/pin', { x: 1 })).json().error.param, 'x');
    assert.equal((await post('/expertd/v1/experts/lang-id/burn', undefined)).statusCode, 404);
  });
});
