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

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/** Gives an order and waits for what the device says last. */
async function order(words: string, { key = 'command', waitSeconds = 20 } = {}): Promise<string> {
  return heard([...words.split(' '), '--key', at(`${key}.key`)], waitSeconds);
}

async function heard(words: readonly string[], waitSeconds: number): Promise<string> {
  const wait = ['--url', broker.url, '--wait', String(waitSeconds)];
  const { exit, stdout, stderr } = await operator('cmd', DEVICE, ...words, ...wait);
  return `${exit} ${stderr} ${stdout}`;
}

interface Reported {
  readonly gen_applied: number;
  readonly phase: string;
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
  readonly experts: readonly {
    readonly id: string;
    readonly version: string;
    readonly phase: string | null;
  }[];
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
  writeFileSync(at(`${name}.json`), JSON.stringify(document));
  await fleet('twin', 'set', DEVICE, at(`${name}.json`), '--key', at(`${key}.key`), '--url', broker.url);
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
  assert.match(await order('unload crow'), /^0 .*SUCCEEDED/s);
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'absent');
  assert.match(await order('load crow'), /^0 .*SUCCEEDED/s);
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'resident');
  assert.match(await order('load nobody'), /^[14] .*nobody/s);
  await agent.until(records, (all) => JSON.stringify(all).includes('SUCCEEDED'));
});

test('a command that was signed elsewhere is sent as it is', { skip }, async () => {
  const life = { nbf: nowSeconds() - 60, exp: nowSeconds() + HOUR_SECONDS };
  const args = { expert: 'crow' };
  const command = { v: 1, id: 'by-hand', type: 'pin', args, aud: DEVICE, ...life, ctr: Date.now() };
  writeFileSync(at('pin.json'), JSON.stringify(command));
  await fleet('sign', '--key', at('command.key'), '--out', at('pin.dsse'), at('pin.json'));
  assert.match(await heard(['--file', at('pin.dsse')], 20), /^0 .*SUCCEEDED/s);
  assert.match(await order('unpin crow'), /^0 .*SUCCEEDED/s);
});

test('a command of another key is not answered and changes nothing', { skip }, async () => {
  assert.match(await order('unload crow', { key: 'release', waitSeconds: 1 }), /^1 .*no last answer/s);
  assert.equal((await agent.experts()).find(({ id }) => id === 'crow')?.state, 'resident');
});

test('diagnostics hold no words of requests, and say what was refused', { skip }, async () => {
  const told = await order('diagnostics');
  assert.match(told, /^0 .*SUCCEEDED/s);
  assert.match(told, /"budgetBytes"/);
  assert.match(told, /"refused":\{"(unknown_key|bad_signature|missing_keys|no_quorum|wrong_role)/);
  assert.ok(!told.includes('secret wish'));
});

/** A document that gives the device an expert which it has not, from a folder. */
function desired(
  gen: number,
  { budget = '350MB', shelf = 'dove', canary = null as object | null } = {},
): Readonly<Record<string, unknown>> {
  const source = join(folder, 'shelf', shelf);
  const digest = `sha256:${sha256(readFileSync(join(source, 'expert.json')))}`;
  const { version } = JSON.parse(readFileSync(join(source, 'expert.json'), 'utf8')) as { version: string };
  return {
    v: 1,
    gen,
    aud: DEVICE,
    exp: nowSeconds() + HOUR_SECONDS,
    release_no: gen,
    min_release: 1,
    experts: [
      {
        id: 'dove',
        version,
        digest,
        sources: [pathToFileURL(source).href],
        ...(canary === null ? {} : { canary }),
      },
    ],
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
  await setTwin('gen-1', desired(1, { budget: '300MB' }), 'release');
  await agent.until(reported, has('DesiredIgnored'));
  await setTwin('forged', desired(9, { budget: '300MB' }), 'command');
  await agent.until(reported, has('DesiredRefused'));
  assert.equal((await agent.state()).budgetBytes, 350_000_000);
});

const has = (condition: string) => (one: Reported | null) =>
  one?.conditions.some(({ type }) => type === condition) ?? false;

test('a new version answers a share, and then takes the place of the old one; a bad one is rolled back and told', {
  skip,
}, async () => {
  const shelve = (shelf: string, version: string, more = {}): unknown =>
    writeTinyLm(join(folder, 'shelf', shelf), { id: 'dove', version, payloadBytes: 2_000_000, ...more });
  shelve('dove-2', '2.0.0', { name: 'dove', seed: 3 });
  const canary = { share: 1, decisions: 5 };
  await setTwin('gen-3', desired(3, { shelf: 'dove-2', canary }), 'release');
  const phaseOf = (one: Reported | null): string | null | undefined =>
    one?.experts.find(({ id }) => id === 'dove')?.phase;
  await agent.until(reported, (one) => phaseOf(one) === 'PROBATION' && one?.phase === 'Proving');
  for (let n = 0; n < canary.decisions; n += 1)
    assert.match(await agent.text(await agent.ask(`hello ${n}`, 'dove')), /^dove: hello/);
  const applied = await agent.until(reported, (one) => one?.gen_applied === 3);
  assert.equal(applied?.experts.find(({ id }) => id === 'dove')?.version, '2.0.0');

  shelve('dove-3', '3.0.0', { golden: 'dove: something else' });
  await setTwin('gen-4', desired(4, { shelf: 'dove-3' }), 'release');
  const rolledBack = await agent.until(reported, (one) => one?.phase === 'RolledBack');
  assert.deepEqual([phaseOf(rolledBack), rolledBack?.gen_applied], ['ROLLED_BACK', 3]);
  assert.match(JSON.stringify(rolledBack?.conditions), /golden_differs/);
  assert.match(await agent.text(await agent.ask('still', 'dove')), /^dove: still/);
  await setTwin('gen-5', desired(5, { shelf: 'dove-2' }), 'release');
  await agent.until(reported, (one) => one?.gen_applied === 5 && one.phase === 'Applied');
});

test('told to restart, the same process begins anew, and the command is not done twice', {
  skip,
}, async () => {
  const { pid } = agent;
  agent.writeConfig('{"http": ');
  assert.match(await order('restart'), /^0 .*SUCCEEDED/s);
  const timesUp = (): number => agent.output.match(/expertd is up/g)?.length ?? 0;
  await agent.until(
    async () => timesUp(),
    (times) => times === 2,
  );
  await agent.untilUp();
  assert.equal(agent.pid, pid);
  assert.match(agent.output, /the new configuration is refused, and the old one stays/);
  assert.match(await agent.text(await agent.ask('hello again', 'dove')), /dove: hello again/);
  assert.match(await order('park dove'), /^0 .*SUCCEEDED/s, 'and it hears of the next one');
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
