/**
 * A device in a fleet, from end to end: the agent as `npm start` runs it, a real broker, a real collector, and the operator's
 * own commands, as the README has them.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ensureBundle, ROOT } from '../../scripts/bundle.mjs';
import { launchArguments } from '../../scripts/launch.mjs';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import type { TestBroker } from '../fleet/brokers/broker.ts';
import { mosquitto } from '../fleet/brokers/mosquitto.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const skip = mosquitto.missing ?? false;
const DEVICE = 'kitchen';
const run = promisify(execFile);

const folder = temporaryFolder();
const stateDir = join(folder, 'state');
const expertsDir = join(folder, 'experts');
const at = (name: string): string => join(folder, name);

let broker: TestBroker;
let agent: RunningAgent;
let collector: ChildProcess;

/** One of the operator's commands; resolves with what it prints. */
async function operator(...args: readonly string[]): Promise<string> {
  const argv = launchArguments(ROOT, await ensureBundle(), [...args]);
  const { stdout } = await run(process.execPath, argv, {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return stdout;
}

async function fleet(...args: readonly string[]): Promise<string> {
  return operator('fleet', ...args);
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

before(async () => {
  if (skip) return;
  mkdirSync(stateDir, { recursive: true });
  writeTinyLm(join(expertsDir, 'crow'), { id: 'crow', payloadBytes: 2_000_000 });
  broker = await mosquitto.open({ folder: join(folder, 'broker') });
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

test('killed, and while its broker was away: what was decided then reaches the collector all the same', {
  skip,
}, async () => {
  await broker.stop('killed');
  assert.match(await agent.text(await agent.ask('nobody hears this', 'crow')), /nobody hears/);
  const { log } = await agent.until(
    agent.state,
    (state) => state.log.syncedSequence === state.log.lastSequence,
  );
  agent.signal('SIGKILL');
  await agent.exit();
  agent.remove();
  await broker.start();
  agent = await startAgent();
  const has = (row: number) => (all: readonly Record<string, unknown>[]) =>
    all.some((one) => Number(one['row']) >= row);
  const all = await agent.until(records, has(log.lastSequence - 1), 60_000);
  const keys = all.map((one) => `${one['epoch']}-${one['seq']}`);
  assert.equal(new Set(keys).size, keys.length, 'each of them once');
});
