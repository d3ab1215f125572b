/** How an agent begins and ends, and what it leaves: failed starts, signals at every moment, files, and no secrets. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeClassifier } from '../experts-made/classifier.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const TEXT = 'canary-of-a-text';
const TOKEN = 'canary-of-a-token-0123456789';

const folder = temporaryFolder();
const expertsDir = join(folder, 'experts');
const config = { expertsDir, embedder: null, languageDetector: null, memory: { budget: '500MB' } };

before(() => {
  mkdirSync(expertsDir);
  writeClassifier(join(expertsDir, 'one'), { id: 'one' });
});
after(() => rmSync(folder, { recursive: true, force: true }));

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesUnder(join(path, name)));
}

test('a start that fails half-way ends by itself, says why, and leaves nothing that is held or running', async () => {
  const stateDir = join(folder, 'half');
  const cases: readonly [Readonly<Record<string, unknown>>, RegExp, RegExp][] = [
    [
      { ...config, expertsDir: join(folder, 'nowhere') },
      /experts folder .*nowhere cannot be read/,
      /--experts-dir/,
    ],
    [
      { ...config, memory: { budget: '1MB' } },
      /memory\.budget is 1\.0 MB: less than the 83\.9 MB/,
      /--budget/,
    ],
    [
      { ...config, http: { port: 0, host: '0.0.0.0' } },
      /others can reach, and there is no token/,
      /EXPERTD_HTTP_TOKEN/,
    ],
    [
      { ...config, http: { port: 0, host: '192.0.2.1', token: TOKEN } },
      /192\.0\.2\.1:0 is not an address of this/,
      /http\.host/,
    ],
    [{ ...config, log: { maxBytes: '1kB' } }, /"log\.maxBytes" must be at least/, /1MiB/],
  ];
  for (const [wrong, message, hint] of cases) {
    const failed = await RunningAgent.spawn({ config: wrong, stateDir });
    assert.equal(await failed.exit(), 1, failed.output);
    assert.match(failed.output, message);
    assert.match(failed.output, hint);
    assert.ok(!/\n\s+at /.test(failed.output), `no stack: ${failed.output}`);
    assert.ok(!existsSync(join(stateDir, 'agent.json')));
    failed.remove();
  }
  const well = await RunningAgent.start({ config, stateDir });
  assert.equal((await well.ask('alpha', 'one')).status, 200);
  await well.stop();
});

test('signals at every moment of the start and the first load: it ends, cleanly, with its cells', async () => {
  const stateDir = join(folder, 'early');
  for (let round = 0; round < 12; round++) {
    const agent = await RunningAgent.spawn({ config, stateDir });
    const delayMs = 60 + round * 25;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    agent.signal(round % 2 === 0 ? 'SIGTERM' : 'SIGINT');
    const exit = await agent.exit();
    // Before the program has begun to listen, the signal itself ends it.
    assert.ok(
      exit === 0 || (agent.output === '' && /SIG(TERM|INT)/.test(String(exit))),
      `${exit} ${agent.output}`,
    );
    assert.ok(!existsSync(join(stateDir, 'agent.json')), `after ${delayMs} ms`);
    agent.remove();
  }
});

test('SIGHUP as soon as it listens ends nothing', async () => {
  const agent = await RunningAgent.spawn({ config });
  await agent.until(
    async () => existsSync(join(agent.stateDir, 'agent.json')),
    (exists) => exists,
  );
  agent.signal('SIGHUP');
  agent.signal('SIGHUP');
  await agent.until(
    async () => agent.output,
    (output) => /the configuration was read again/.test(output),
  );
  await agent.stop();
});

test('Ctrl-C that comes twice, as under npm, is a clean end', async () => {
  const agent = await RunningAgent.start({ config });
  agent.signal('SIGINT');
  agent.signal('SIGINT');
  assert.equal(await agent.exit(), 0);
  assert.ok(!existsSync(join(agent.stateDir, 'agent.json')));
  agent.remove();
});

test('a configuration that is deleted is refused at a reload, and the old one stays', async () => {
  const agent = await RunningAgent.start({ config });
  agent.removeConfig();
  agent.signal('SIGHUP');
  await agent.until(
    async () => agent.output,
    (output) => /the old one stays/.test(output) && /cannot be read/.test(output),
  );
  assert.equal((await agent.ask('alpha', 'one')).status, 200);
  await agent.stop();
});

test('whoever read its log goes: the agent stays, and ends cleanly when it is told to', async () => {
  const agent = await RunningAgent.start({ config: { ...config, log: { level: 'trace' } } });
  agent.closeOutput();
  for (let asked = 0; asked < 20; asked++) assert.equal((await agent.ask('alpha', 'one')).status, 200);
  agent.signal('SIGTERM');
  assert.equal(await agent.exit(), 0);
  agent.remove();
});

test('an agent.json that a kill left behind, half-written too, is in nobody’s way', async () => {
  const stateDir = join(folder, 'stale');
  mkdirSync(stateDir);
  writeFileSync(join(stateDir, 'agent.json'), '{"pid": 1, "url": "http://127.0.0.1:9"}');
  writeFileSync(join(stateDir, 'agent.json.new'), '{"pid":');
  const agent = await RunningAgent.start({ config, stateDir });
  assert.equal((await agent.ask('alpha', 'one')).status, 200);
  await agent.stop();
  assert.deepEqual(
    readdirSync(stateDir).filter((name) => name.startsWith('agent.json')),
    [],
  );
});

test('neither texts nor the token are in the log or in the state, whatever happens; files are the user’s own', async () => {
  const agent = await RunningAgent.start({
    config: { ...config, http: { port: 0, token: TOKEN }, log: { level: 'trace' } },
  });
  const init = (body: unknown): RequestInit => ({
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const post = async (path: string, body: unknown): Promise<number> => {
    const response = await agent.post(path, '', init(body));
    await response.text();
    return response.status;
  };
  const messages = [
    { role: 'system', content: `${TEXT} of the system` },
    { role: 'user', content: `${TEXT} alpha` },
  ];
  const chat = '/v1/chat/completions';
  assert.equal(await post(chat, { model: 'one', messages }), 200);
  assert.equal(await post(chat, { model: 'auto', messages }), 200);
  assert.equal(await post(chat, { model: 'one', messages, stream: true }), 200);
  assert.equal(await post(chat, { model: 'one', messages, [TEXT]: 1 }), 400);
  assert.equal(await post(chat, `{"model": "one", "messages": [{"content": "${TEXT}`), 400);
  assert.equal(await post('/v1/embeddings', { model: 'one', input: TEXT }), 400);
  assert.equal(await post('/expertd/v1/route', { question: TEXT }), 200);
  assert.equal(await post(`/${TEXT}?${TEXT}`, {}), 404);
  // A cell is killed under load, and the configuration is refused while it holds the token.
  const auth = { headers: { authorization: `Bearer ${TOKEN}` } };
  const state = (await (await fetch(`${agent.url}/expertd/v1/state`, auth)).json()) as {
    cells: { pid: number }[];
  };
  const asked = Array.from({ length: 30 }, () => post(chat, { model: 'one', messages }));
  process.kill(state.cells[0]?.pid ?? assert.fail('no cell'), 'SIGKILL');
  await Promise.all(asked);
  agent.writeConfig(`{"http": {"port": 0, "token": "${TOKEN}`);
  agent.signal('SIGHUP');
  await agent.until(
    async () => agent.output,
    (output) => /the old one stays/.test(output),
  );
  agent.signal('SIGTERM');
  assert.equal(await agent.exit(), 0);
  assert.ok(!agent.output.includes('canary'), agent.output);
  assert.ok(/"level":"debug"/.test(agent.output), 'it was told all');
  for (const path of filesUnder(agent.stateDir)) {
    assert.ok(!readFileSync(path).includes('canary'), path);
    assert.equal(statSync(path).mode & 0o077, 0, `${path} may be read by others`);
  }
  agent.remove();
});
