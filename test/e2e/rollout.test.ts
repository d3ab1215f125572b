/** Another version of an expert takes the place of the one in use, or does not: real cells, real files, kill -9. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { RolloutView } from '../../agent/service.ts';
import { Random } from '../experts-made/random.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { RunningAgent, temporaryFolder } from './running-agent.ts';

const BYTES = 2_000_000;
const MANY = 12;
const KILLS = 6;

type Version = 1 | 2;

interface Canary {
  readonly share: number;
  readonly decisions: number;
}

/** A device with `crow`, which stays as it is, and `dove`, of which there are versions on a shelf. */
class Device {
  readonly folder = temporaryFolder();
  agent!: RunningAgent;
  #wanted: Version = 1;
  #canary: Canary | null = null;

  static async start(t: TestContext, golden?: string): Promise<Device> {
    const device = new Device();
    t.after(() => device.end());
    writeTinyLm(join(device.folder, 'experts', 'crow'), { id: 'crow', payloadBytes: BYTES });
    const lie = golden === undefined ? {} : { golden };
    device.#shelve({ version: '1.0.0', name: 'old' });
    device.#shelve({ version: '2.0.0', name: 'new', seed: 2, ...lie });
    await device.boot();
    return device;
  }

  async boot(): Promise<void> {
    this.agent = await RunningAgent.start({
      stateDir: join(this.folder, 'state'),
      config: this.#config(),
    });
    await this.agent.until(this.agent.experts, (all) =>
      all.some(({ id, state }) => id === 'dove' && state !== 'fetching'),
    );
  }

  /** The configuration wants another version from now on. */
  want(version: Version, canary: Canary | null): void {
    this.#wanted = version;
    this.#canary = canary;
    this.agent.writeConfig(this.#config());
    this.agent.signal('SIGHUP');
  }

  async kill(): Promise<void> {
    this.agent.signal('SIGKILL');
    await this.agent.exit();
    this.agent.remove();
  }

  rollout = async (): Promise<RolloutView | null> =>
    (await this.agent.experts()).find(({ id }) => id === 'dove')?.rollout ?? null;

  version = async (): Promise<string | null> =>
    (await this.agent.experts()).find(({ id }) => id === 'dove')?.version ?? null;

  async says(expert: string, text: string, stream = false): Promise<string> {
    const response = await this.agent.ask(text, expert, { stream, temperature: 0 });
    if (!stream) return this.agent.text(response);
    assert.equal(response.status, 200);
    const events = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'));
    return events
      .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] })
      .map(({ choices }) => choices[0]?.delta.content ?? '')
      .join('');
  }

  async end(): Promise<void> {
    await this.agent.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #config(): Readonly<Record<string, unknown>> {
    const uri = pathToFileURL(join(this.folder, 'shelf', `${this.#wanted}.0.0`)).href;
    const canary = this.#canary === null ? {} : { canary: this.#canary };
    return {
      expertsDir: join(this.folder, 'experts'),
      embedder: null,
      languageDetector: null,
      memory: { budget: '500MB' },
      experts: [{ id: 'dove', version: `${this.#wanted}.0.0`, sources: [{ uri }], ...canary }],
    };
  }

  #shelve(version: { version: string; name: string; seed?: number; golden?: string }): void {
    const directory = join(this.folder, 'shelf', version.version);
    writeTinyLm(directory, { id: 'dove', payloadBytes: BYTES, ...version });
  }
}

const isOver = (one: RolloutView | null): boolean =>
  one?.phase === 'committed' || one?.phase === 'rolledBack';

test('a version that says what it should answers a share, then all; no request fails and nobody else changes', async (t) => {
  const device = await Device.start(t);
  const before = await device.says('crow', 'the sea is wide');
  device.want(2, { share: 0.5, decisions: MANY });
  const seen = new Set<string>();
  const phases = new Set<string>();
  for (let n = 0; !isOver(await device.rollout()); n += 1) {
    assert.ok(n < 2_000, 'it is never over');
    phases.add((await device.rollout())?.phase ?? 'none');
    const [answer, other] = await Promise.all([
      device.says('dove', `hello ${n}`, n % 2 === 0),
      device.says('crow', 'the sea is wide'),
    ]);
    assert.match(answer, new RegExp(`^(old|new): hello ${n}$`));
    assert.equal(other, before);
    seen.add(answer.slice(0, 3));
  }
  const last = await device.rollout();
  assert.deepEqual([last?.phase, last?.failed, last?.error], ['committed', 0, null]);
  assert.ok((last?.answered ?? 0) >= MANY);
  assert.deepEqual([...seen].sort(), ['new', 'old'], 'both answered meanwhile');
  assert.ok(phases.has('probation'));
  await device.agent.until(device.version, (version) => version === '2.0.0');
  assert.equal(await device.says('dove', 'at last'), 'new: at last');
  assert.equal(await device.says('crow', 'the sea is wide'), before);
  await device.kill();
  await device.boot();
  assert.equal(await device.says('dove', 'after a kill'), 'new: after a kill');
});

test('a version that does not give its golden answer is rolled back, stays so, and is tried again when cleared', async (t) => {
  const device = await Device.start(t, 'new: The sea is narrow.');
  device.want(2, null);
  const rolledBack = await device.agent.until(device.rollout, isOver);
  assert.equal(rolledBack?.phase, 'rolledBack');
  assert.equal(rolledBack.error?.code, 'golden_differs');
  assert.equal(await device.says('dove', 'hello'), 'old: hello');
  await device.kill();
  await device.boot();
  assert.equal(await device.says('dove', 'hello'), 'old: hello');
  assert.equal(
    (await device.rollout())?.error?.code,
    'golden_differs',
    'it is known why, and not tried again',
  );
  assert.equal(device.agent.output.includes('golden answers'), false);
  await device.agent.post('/expertd/v1/experts/dove/clear', {});
  await device.agent.until(device.rollout, (one) => one?.phase === 'selfTest');
  await device.agent.until(device.rollout, isOver);
  assert.equal(await device.version(), '1.0.0');
});

test('a version whose process ends while it answers is rolled back, and the old one answers what it could not', async (t) => {
  const device = await Device.start(t);
  device.want(2, { share: 1, decisions: 1_000 });
  await device.agent.until(device.rollout, (one) => one?.phase === 'probation');
  for (let n = 0; !isOver(await device.rollout()); n += 1) {
    assert.ok(n < 200, 'it is never over');
    const { cells } = await device.agent.state();
    const pid = cells.find(({ experts }) => experts.includes('dove@2.0.0'))?.pid ?? null;
    const asked = device.says('dove', `hello ${n}`);
    if (pid !== null) process.kill(pid, 'SIGKILL');
    assert.match(await asked, new RegExp(`^(old|new): hello ${n}$`));
  }
  assert.equal((await device.rollout())?.phase, 'rolledBack');
  assert.equal(await device.says('dove', 'hello'), 'old: hello');
});

test('killed once in each phase, it goes on where it was, and is committed', async (t) => {
  const device = await Device.start(t);
  device.want(2, { share: 1, decisions: MANY });
  for (const phase of ['selfTest', 'probation'] as const) {
    await device.agent.until(device.rollout, (one) => one?.phase === phase || isOver(one));
    await device.kill();
    await device.boot();
    assert.match(await device.says('dove', phase), new RegExp(`^(old|new): ${phase}$`));
  }
  await toTheEnd(device);
  assert.equal((await device.rollout())?.phase, 'committed');
  assert.equal(await device.says('dove', 'at last'), 'new: at last');
});

test('killed again and again at any moment, one version or the other answers, and it comes to an end', async (t) => {
  const device = await Device.start(t);
  const random = new Random(7);
  device.want(2, { share: 1, decisions: MANY });
  for (let round = 0; round < KILLS; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.abs(random.word()) % 400));
    await device.kill();
    await device.boot();
    assert.match(await device.says('dove', `round ${round}`), /^(old|new): round \d$/);
  }
  await toTheEnd(device);
  const rollout = await device.rollout();
  const isNew = (await device.version()) === '2.0.0';
  // After two loads that ended the agent nobody believes that it was somebody else.
  if (!isNew) assert.equal(rollout?.error?.code, 'ended_process');
  assert.equal(await device.says('dove', 'at last'), `${isNew ? 'new' : 'old'}: at last`);
});

async function toTheEnd(device: Device): Promise<void> {
  for (let n = 0; (await device.version()) !== '2.0.0' && !isOver(await device.rollout()); n += 1) {
    assert.ok(n < 200, `it is never over: ${JSON.stringify(await device.rollout())}`);
    assert.match(await device.says('dove', `hello ${n}`), new RegExp(`^(old|new): hello ${n}$`));
  }
  if ((await device.rollout())?.phase === 'rolledBack') return;
  await device.agent.until(device.version, (version) => version === '2.0.0');
}
