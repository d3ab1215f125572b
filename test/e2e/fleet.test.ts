/**
 * A device in a fleet, from end to end: the agent as `npm start` runs it, a real broker, a real collector, and the operator's
 * own commands, as the README has them.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { sha256 } from '../../agent/catalog/package.ts';
import { ensureBundle, ROOT } from '../../scripts/bundle.mjs';
import { launchArguments } from '../../scripts/launch.mjs';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import type { TestBroker } from '../fleet/brokers/broker.ts';
import { mosquitto } from '../fleet/brokers/mosquitto.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const skip = mosquitto.missing ?? false;
const DEVICE = 'kitchen';
const HOUR_SECONDS = 3_600;
const run = promisify(execFile);

const folder = temporaryFolder();
const stateDir = join(folder, 'state');
const expertsDir = join(folder, 'experts');
const at = (name: string): string => join(folder, name);

let broker: TestBroker;
let agent: RunningAgent;
let collector: ChildProcess;
let counter = 0;

/** One of the operator's commands, which must succeed; resolves with its stdout. */
async function fleet(...args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await operator(...args);
  assert.equal(exit, 0, stderr);
  return stdout;
}

async function operator(
  ...args: readonly string[]
): Promise<{ readonly exit: unknown; readonly stdout: string; readonly stderr: string }> {
  const argv = launchArguments(ROOT, await ensureBundle(), ['fleet', ...args]);
  const options = { cwd: folder, env: { PATH: process.env['PATH'] ?? '' } };
  try {
    return { exit: 0, ...(await run(process.execPath, argv, options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    return { exit: code, stdout, stderr };
  }
}

async function startAgent(): Promise<RunningAgent> {
  return RunningAgent.start({
    stateDir,
    config: {
      expertsDir,
      embedder: null,
      languageDetector: null,
      memory: { budget: '400MB' },
      fleet: { url: broker.url, device: DEVICE },
    },
  });
}

async function sign(name: string, document: Readonly<Record<string, unknown>>, key: string): Promise<string> {
  writeFileSync(at(`${name}.json`), JSON.stringify(document));
  await fleet('sign', '--key', at(`${key}.key`), '--out', at(`${name}.dsse`), at(`${name}.json`));
  return at(`${name}.dsse`);
}

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/** Gives an order and waits for what the device says last. */
async function order(
  type: string,
  args: Readonly<Record<string, unknown>>,
  { key = 'command', waitSeconds = 20 } = {},
): Promise<string> {
  counter += 1;
  const command = {
    v: 1,
    id: `c${counter}`,
    type,
    args,
    aud: DEVICE,
    nbf: nowSeconds() - 60,
    exp: nowSeconds() + HOUR_SECONDS,
    ctr: counter,
  };
  const envelope = await sign(`command-${counter}`, command, key);
  const wait = ['--url', broker.url, '--wait', String(waitSeconds)];
  const { exit, stdout, stderr } = await operator('cmd', DEVICE, envelope, ...wait);
  return `${exit} ${stderr} ${stdout}`;
}

interface Reported {
  readonly gen_applied: number;
  readonly phase: string;
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
  readonly experts: readonly { readonly id: string; readonly version: string }[];
}

/** What the broker keeps of the device's last report. */
async function reported(): Promise<Reported | null> {
  const { reported: last } = JSON.parse(await fleet('twin', 'get', DEVICE, '--url', broker.url)) as {
    readonly reported: Reported | null;
  };
  return last;
}

async function setTwin(
  name: string,
  document: Readonly<Record<string, unknown>>,
  key: string,
): Promise<void> {
  await fleet('twin', 'set', DEVICE, await sign(name, document, key), '--url', broker.url);
}

before(async () => {
  if (skip) return;
  mkdirSync(stateDir, { recursive: true });
  writeTinyLm(join(expertsDir, 'crow'), { id: 'crow', payloadBytes: 2_000_000 });
  broker = await mosquitto.open({ folder: join(folder, 'broker') });
  await fleet('keygen', '--dir', folder, '--set', at('keys.json'), 'root', 'release', 'command');
  await fleet('enrol', DEVICE, '--set', at('keys.json'), '--out', at('enrolment.json'));
  await fleet('enrol', '--import', at('enrolment.json'), '--state-dir', stateDir);
  agent = await startAgent();
  const argv = launchArguments(ROOT, await ensureBundle(), [
    'fleet',
    'collect',
    '--url',
    broker.url,
    '--db',
    at('fleet.db'),
  ]);
  collector = spawn(process.execPath, argv, { stdio: 'ignore' });
});

after(async () => {
  collector?.kill('SIGKILL');
  await agent?.stop();
  await broker?.stop('killed');
  rmSync(folder, { recursive: true, force: true });
});

const records = async (): Promise<readonly Record<string, unknown>[]> =>
  (await fleet('records', '--db', at('fleet.db'), '--json', '--limit', '1000').catch(() => ''))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('decisions reach the collector, without the words that were said', { skip }, async () => {
  assert.match(await agent.text(await agent.ask('a secret wish', 'crow')), /a secret wish/);
  const seen = await agent.until(records, (all) => JSON.stringify(all).includes('"crow"'));
  assert.ok(!JSON.stringify(seen).includes('secret wish'));
  assert.match(await fleet('devices', '--db', at('fleet.db')), /kitchen/);
});

test('a signed command is carried out, told, and a row of the record', { skip }, async () => {
  assert.match(await order('unload', { expert: 'crow' }), /^0 .*SUCCEEDED/s);
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'absent');
  assert.match(await order('load', { expert: 'crow' }), /^0 .*SUCCEEDED/s);
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'resident');
  assert.match(await order('load', { expert: 'nobody' }), /^[14] .*nobody/s);
  await agent.until(records, (all) => JSON.stringify(all).includes('SUCCEEDED'));
});

test('a command of another key is not answered and changes nothing', { skip }, async () => {
  assert.match(
    await order('unload', { expert: 'crow' }, { key: 'release', waitSeconds: 1 }),
    /^1 .*no last answer/s,
  );
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'resident');
});

test('diagnostics hold no words of requests, and say what was refused', { skip }, async () => {
  const told = await order('diagnostics', {});
  assert.match(told, /^0 .*SUCCEEDED/s);
  assert.match(told, /"budgetBytes"/);
  assert.match(told, /"refused":\{"(unknown_key|bad_signature|missing_keys|no_quorum|wrong_role)/);
  assert.ok(!told.includes('secret wish'));
});

/** A document that gives the device an expert which it has not, from a folder. */
function desired(gen: number, budget = '350MB'): Readonly<Record<string, unknown>> {
  const source = join(folder, 'shelf', 'dove');
  const digest = `sha256:${sha256(readFileSync(join(source, 'expert.json')))}`;
  const { version } = JSON.parse(readFileSync(join(source, 'expert.json'), 'utf8')) as { version: string };
  return {
    v: 1,
    gen,
    aud: DEVICE,
    exp: nowSeconds() + HOUR_SECONDS,
    release_no: gen,
    min_release: 1,
    experts: [{ id: 'dove', version, digest, sources: [pathToFileURL(source).href] }],
    budget,
  };
}

test('a signed document gives the device an expert and a budget; an older one changes nothing', {
  skip,
}, async () => {
  writeTinyLm(join(folder, 'shelf', 'dove'), { id: 'dove', seed: 2, payloadBytes: 2_000_000 });
  await setTwin('gen-2', desired(2), 'release');
  const applied = await agent.until(reported, (one) => one?.gen_applied === 2 && one.phase === 'Applied');
  assert.ok(applied?.experts.some(({ id }) => id === 'dove'));
  assert.equal((await agent.state()).budgetBytes, 350_000_000);
  assert.match(await agent.text(await agent.ask('hello', 'dove')), /dove: hello/);
  await setTwin('gen-1', desired(1, '300MB'), 'release');
  await agent.until(reported, has('DesiredIgnored'));
  await setTwin('forged', desired(9, '300MB'), 'command');
  await agent.until(reported, has('DesiredRefused'));
  assert.equal((await agent.state()).budgetBytes, 350_000_000);
});

const has = (condition: string) => (one: Reported | null) =>
  one?.conditions.some(({ type }) => type === condition) ?? false;

test('told to restart, the same process begins anew, and the command is not done twice', {
  skip,
}, async () => {
  const { pid } = agent;
  assert.match(await order('restart', {}), /^0 .*SUCCEEDED/s);
  const timesUp = (): number => agent.output.match(/expertd is up/g)?.length ?? 0;
  await agent.until(
    async () => timesUp(),
    (times) => times === 2,
  );
  await agent.untilUp();
  assert.equal(agent.pid, pid);
  assert.match(await agent.text(await agent.ask('hello again', 'dove')), /dove: hello again/);
  assert.match(await order('park', { expert: 'dove' }), /^0 .*SUCCEEDED/s, 'and it hears of the next one');
  assert.equal(agent.output.match(/expertd starts again/g)?.length, 1);
});

test('killed, and while its broker was away: what the fleet wants still counts, and records come once', {
  skip,
}, async () => {
  await broker.stop('killed');
  assert.match(await agent.text(await agent.ask('nobody hears this', 'crow')), /nobody hears/);
  const { log } = await agent.until(
    agent.state,
    (state) => state.log.syncedSequence === state.log.lastSequence,
  );
  await kill();
  agent = await startAgent();
  assert.equal((await agent.state()).budgetBytes, 350_000_000);
  await agent.until(agent.experts, (all) =>
    all.some(({ id, state }) => id === 'dove' && state !== 'fetching'),
  );
  assert.match(await agent.text(await agent.ask('still here', 'dove')), /dove: still here/);
  await kill();
  await broker.start();
  agent = await startAgent();
  const reaches = (row: number) => (all: readonly Record<string, unknown>[]) =>
    all.some((one) => Number(one['row']) >= row);
  const all = await agent.until(records, reaches(log.lastSequence - 1), 60_000);
  const keys = all.map((one) => `${one['epoch']}-${one['seq']}`);
  assert.equal(new Set(keys).size, keys.length, 'each of them once');
});

async function kill(): Promise<void> {
  agent.signal('SIGKILL');
  await agent.exit();
  agent.remove();
}
