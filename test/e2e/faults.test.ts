/** What breaks: cells and agents that are killed, states that are held or read-only, requests that are nonsense. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeClassifier } from '../experts-made/classifier.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const KILLS = 100;

const folder = temporaryFolder();
const expertsDir = join(folder, 'experts');
const config = { expertsDir, embedder: null, memory: { budget: '500MB' } };
let agent: RunningAgent;

before(async () => {
  mkdirSync(expertsDir);
  for (const id of ['one', 'two']) writeClassifier(join(expertsDir, id), { id });
  agent = await RunningAgent.start({ config });
});
after(async () => {
  await agent.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function errorOf(
  response: Response,
): Promise<{ status: number; code: string; message: string; param: string | null }> {
  const { error } = (await response.json()) as {
    error: { code: string; message: string; param: string | null };
  };
  return { status: response.status, ...error };
}

test('a cell that is killed under load: requests are tried once more, and all are answered', async () => {
  assert.equal((await agent.ask('alpha', 'one')).status, 200);
  const asked = Array.from({ length: 60 }, () => agent.ask('alpha', 'one'));
  const { cells } = await agent.state();
  const [cell] = cells;
  assert.ok(cell?.pid != null);
  process.kill(cell.pid, 'SIGKILL');
  const statuses = (await Promise.all(asked)).map((response) => response.status);
  assert.deepEqual(
    statuses.filter((status) => status !== 200),
    [],
  );
  assert.equal((await agent.ask('beta', 'two')).status, 200);
});

test('bad requests are refused by the name of the field, and the agent stays up', async () => {
  const cases: readonly [unknown, number, RegExp][] = [
    ['{"model": ', 400, /JSON/],
    [{ model: 'nobody', messages: [{ role: 'user', content: 'x' }] }, 404, /"nobody"/],
    [{ model: 'one', messages: 'hello' }, 400, /messages/],
    [{ model: 'one', messages: [{ role: 'user', content: 7 }] }, 400, /content/],
    [{ model: 'one', messages: [] }, 400, /messages/],
    [
      { model: 'one', messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function' }] },
      400,
      /tools/,
    ],
    [{ model: 'one', messages: [{ role: 'user', content: 'x' }], temprature: 1 }, 400, /temprature/],
    [{ model: 'one', messages: [{ role: 'user', content: 'y'.repeat(10_000_000) }] }, 413, /bytes/],
  ];
  for (const [body, status, pattern] of cases) {
    const error = await errorOf(await agent.post('/v1/chat/completions', body));
    assert.equal(error.status, status, JSON.stringify(error));
    assert.match(error.message, pattern);
  }
  assert.equal((await errorOf(await agent.post('/v1/embeddings', { model: 'one', input: 'x' }))).status, 400);
  assert.equal((await agent.ask('alpha', 'one')).status, 200);
});

test('a prompt of 100,000 characters is answered', async () => {
  const response = await agent.ask(`alpha ${'alpha '.repeat(16_700)}`, 'one');
  assert.match(await agent.text(response), /one-alpha/);
});

test('a foreign Host is refused: a page in a browser cannot reach the agent by another name', async () => {
  const { request } = await import('node:http');
  const { port } = new URL(agent.url);
  const status = await new Promise<number>((resolve, reject) => {
    request(
      { host: '127.0.0.1', port, path: '/v1/models', headers: { host: 'evil.example' } },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    )
      .on('error', reject)
      .end();
  });
  assert.ok(status >= 400 && status < 500, String(status));
});

test('a second agent on the same state directory is told who holds it', async () => {
  const second = await RunningAgent.spawn({ config, stateDir: agent.stateDir });
  assert.equal(await second.exit(), 1);
  assert.match(second.output, new RegExp(`in use by process ${agent.pid}`));
  second.remove();
  assert.equal((await agent.ask('alpha', 'one')).status, 200);
});

test('a port that is in use is named, with the fix', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const blocked = await RunningAgent.spawn({ config: { ...config, http: { port } } });
  assert.equal(await blocked.exit(), 1);
  assert.match(blocked.output, new RegExp(`${port} is in use`));
  assert.match(blocked.output, /--port/);
  blocked.remove();
  server.close();
});

test('a state directory that cannot be made is named, with the fix', async () => {
  const stateDir = '/dev/null/expertd-state';
  const sealed = await RunningAgent.spawn({ config, stateDir });
  assert.equal(await sealed.exit(), 1);
  assert.match(sealed.output, /\/dev\/null\/expertd-state/);
  assert.match(sealed.output, /--state-dir/);
  sealed.remove();
});

test('a misspelt configuration is refused at the start and at a reload, where the old one stays', async () => {
  const wrong = await RunningAgent.spawn({ config: { memmory: { budget: '1GB' } } });
  assert.equal(await wrong.exit(), 1);
  assert.match(wrong.output, /"memmory" is not a field/);
  assert.match(wrong.output, /"memory"/);
  wrong.remove();
  agent.writeConfig({ ...config, memory: { bugdet: '1GB' } });
  agent.signal('SIGHUP');
  await agent.until(
    async () => agent.output,
    (output) => /the old one stays/.test(output),
  );
  assert.equal((await agent.state()).budgetBytes, 500_000_000);
  agent.writeConfig({ ...config, memory: { budget: '600MB' } });
  agent.signal('SIGHUP');
  await agent.until(
    () => agent.state(),
    (state) => state.budgetBytes === 600_000_000,
  );
});

test('SIGTERM ends the agent and its cells, and takes agent.json away', async () => {
  const short = await RunningAgent.start({ config });
  await short.ask('alpha', 'one');
  const { cells } = await short.state();
  const pid = cells[0]?.pid ?? assert.fail('no cell');
  short.signal('SIGTERM');
  assert.equal(await short.exit(), 0);
  assert.throws(() => process.kill(pid, 0), /ESRCH/);
  short.remove();
});

test(`kill -9 of the agent under load, ${KILLS} times: every decision whose reply arrived is in the database`, async () => {
  const stateDir = join(folder, 'killed');
  let checked = 0;
  let pending: string[] = [];
  for (let round = 0; round <= KILLS; round++) {
    const killed = await RunningAgent.start({ config, stateDir });
    for (const id of pending) {
      const story = await killed.explain(id);
      assert.ok(story.choice !== null || story.decision.router !== null, `decision ${id} has no choice`);
      checked++;
    }
    pending = [];
    if (round === KILLS) {
      await killed.stop();
      break;
    }
    const replies = Array.from({ length: 12 }, (_, i) =>
      killed.ask('alpha', i % 2 === 0 ? 'one' : 'nobody-here'),
    );
    // The kill falls into the middle of them: after as many replies as the round's number says.
    let arrived = 0;
    const recorded = replies.map(async (reply) => {
      const response = await reply;
      const id = response.headers.get('x-expertd-decision');
      if (response.status === 200 && id !== null) pending.push(id);
      if (++arrived > round % 12) killed.signal('SIGKILL');
    });
    await Promise.allSettled(recorded);
    killed.signal('SIGKILL');
    await killed.exit();
    killed.remove();
  }
  assert.ok(checked >= KILLS, `only ${checked} replies arrived`);
});
