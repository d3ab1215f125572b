/** The commands of a fleet's operator against real brokers, with a device made of the real store, drain and session. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dispatch } from '../../../agent/cli/dispatch.ts';
import { fleetCommand } from '../../../agent/cli/fleet.ts';
import { operatorCommands } from '../../../agent/cli/fleet-operator.ts';
import { systemClock } from '../../../agent/clock.ts';
import { fleetTools } from '../../../agent/collecting.ts';
import { parseBroker } from '../../../agent/fleet/broker.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { windowOptions } from '../../../agent/fleet/records/window.ts';
import { readCredentials } from '../../../agent/fleet/session/credentials.ts';
import { dial } from '../../../agent/fleet/session/dial.ts';
import { Session } from '../../../agent/fleet/session/session.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { PAYLOADS, type PayloadKind, writeEnvelope } from '../../../agent/fleet/trust/dsse.ts';
import { Store } from '../../../agent/store/store.ts';
import { committedBytes, resident, Story, stateOf } from '../../store/made.ts';
import { aedes } from '../brokers/aedes.ts';
import type { BrokerKind } from '../brokers/broker.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { nats } from '../brokers/nats.ts';
import { rabbitmq } from '../brokers/rabbitmq.ts';
import { desired } from '../trust/made.ts';

const main = join(import.meta.dirname, 'operator-main.ts');
const nodeFlags = ['--disable-warning=ExperimentalWarning', main];
const commands = [fleetCommand(operatorCommands(fleetTools))];
const patienceMs = 30_000;

interface Place {
  readonly folder: string;
  readonly database: string;
}

function placeOf(context: TestContext): Place {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-operator-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, database: join(folder, 'fleet.db') };
}

async function startCollector(context: TestContext, url: string, { database }: Place): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...nodeFlags, 'collect', '--url', url, '--db', database], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) if (/connected to the fleet/.test(line)) break;
  child.stdout.resume();
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = await exited;
  if (signal === 'SIGTERM') assert.equal(code, 0);
}

/** As `operator-main.ts`, in this process: a start of Node for each would cost more than all that is tested. */
async function run(...args: string[]): Promise<{ readonly stdout: string; readonly status: number }> {
  const [out, err]: [string[], string[]] = [[], []];
  const into = (said: string[]) => ({ write: (text: string) => said.push(text) });
  const io = { stdout: into(out), stderr: into(err), stdin: process.stdin, env: {}, isTTY: false };
  const status = await dispatch(['fleet', ...args], commands, '1.2.3', io);
  return { stdout: [...out, ...(status === 0 ? [] : err)].join(''), status };
}

class Device {
  readonly store: Store;
  readonly session: Session;
  readonly drain: Drain;

  constructor(context: TestContext, url: string, { folder }: Place) {
    this.store = new Store({
      directory: join(folder, 'state'),
      version: '1.2.3',
      clock: systemClock,
      committedBytes,
      maxRows: 100_000,
      maxBytes: 64_000_000,
      syncMs: 20,
      outbox: { maxRows: 100_000, maxBytes: 16_000_000, clockSynced: () => true },
      report: ({ message }) => assert.fail(message),
    });
    this.store.start();
    const broker = parseBroker(url);
    const [topics, control] = [topicsOf('expertd', 'pi-1'), controlOf('expertd')];
    const birth = { online: true, boot: 'boot', epoch: 1, head: 0, agent: '1.2.3', schema: 1, caps: [] };
    this.session = new Session({
      broker,
      credentials: () => readCredentials(broker, { tls: { alpn: [] } }),
      clientId: 'pi-1',
      persistent: true,
      protocol: 'auto',
      keepaliveSeconds: 10,
      firstBd: 1,
      greeting: {
        will: (bd) => ({
          topic: topics.status,
          payload: JSON.stringify({ online: false, bd }),
          retain: true,
        }),
        births: (bd) => [
          { topic: topics.status, payload: JSON.stringify({ ...birth, bd }), retain: true },
          { topic: control.hello, payload: JSON.stringify({ device: 'pi-1', bd, epoch: 1 }), retain: false },
        ],
      },
      topics: [topics.ack, topics.cmd, control.status],
      dial,
      clock: systemClock,
      // No wait between two attempts: the test has not the time of a fleet.
      random: () => 0,
      log: { info: () => undefined, warn: () => undefined },
    });
    const outbox = this.store.outbox();
    assert.ok(outbox !== null);
    this.drain = new Drain({
      outbox,
      link: this.session,
      clock: systemClock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      lingerMs: 50,
      // What a broker drops that has just started is soon sent again.
      window: { ...windowOptions, firstPatienceMs: 1_000 },
      onCollector: () => {
        const hello = JSON.stringify({ device: 'pi-1', bd: this.session.bd, epoch: 1 });
        this.session.publish(control.hello, hello, { qos: 1 }).catch(() => undefined);
      },
      report: ({ message }) => process.stderr.write(`${message}\n`),
    });
    this.drain.start();
    this.session.start();
    context.after(() => this.stop());
  }

  decide(requests: number, name: string): void {
    const story = new Story(stateOf({ embedder: resident }));
    for (let n = 0; n < requests; n += 1) story.granted(`${name}-${n}`).released(`${name}-${n}`);
    this.store.append(story.entries);
  }

  async delivered(): Promise<void> {
    await this.store.flush();
    for (let waited = 0; this.drain.health().waiting > 0; waited += 50) {
      assert.ok(
        waited < patienceMs,
        `${JSON.stringify(this.drain.health())} ${JSON.stringify(this.session.health())}`,
      );
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    this.drain.stop();
    await this.session.stop();
    await this.store.stop();
  }
}

function envelope(kind: PayloadKind, body: unknown): string {
  const signatures = [{ keyid: null, bytes: Buffer.alloc(64), minisign: null }];
  return writeEnvelope({
    payloadType: PAYLOADS[kind],
    body: Buffer.from(JSON.stringify(body)),
    signatures,
    keys: [],
  });
}

const kinds: readonly BrokerKind[] = [rabbitmq, mosquitto, nats, aedes];
// Most of it is waiting for RabbitMQ, which waits for other nodes whenever it starts.
describe('the commands of an operator', { concurrency: true }, () => {
  for (const kind of kinds) {
    test(`${kind.name}: records arrive once, through a collector and a broker that are killed`, {
      skip: kind.missing ?? false,
    }, async (context) => {
      const place = placeOf(context);
      const broker = await kind.open({ folder: place.folder });
      context.after(() => broker.stop('killed'));
      const device = new Device(context, broker.url, place);
      device.decide(50, 'before');
      const first = await startCollector(context, broker.url, place);
      await device.delivered();
      device.decide(400, 'killed');
      await end(first, 'SIGKILL');
      const second = await startCollector(context, broker.url, place);
      await device.delivered();
      await broker.stop('killed');
      device.decide(100, 'dark');
      await broker.start();
      await device.delivered();
      await end(second, 'SIGTERM');

      const listed = await run('records', '--db', place.database, '--json', '--limit', '100000');
      const keys = listed.stdout
        .trim()
        .split('\n')
        .map((row) => JSON.parse(row))
        .map(({ device: of, epoch, seq }) => `${of} ${epoch} ${seq}`);
      assert.equal(keys.length, 1_100);
      assert.equal(new Set(keys).size, 1_100);
      const [row] = (await run('devices', '--db', place.database, '--json')).stdout.trim().split('\n');
      const { records, lost, missing, conflicts, refused, agent } = JSON.parse(row ?? '{}');
      assert.deepEqual([records, lost, missing, conflicts, refused, agent], [1_100, 0, 0, 0, 0, '1.2.3']);
    });
  }

  test('twin: what was set is kept as it is and shown; what is no envelope is not published', async (context) => {
    const place = placeOf(context);
    const broker = await aedes.open({ folder: place.folder });
    context.after(() => broker.stop('killed'));
    const file = join(place.folder, 'desired.json');
    writeFileSync(file, envelope('desired', { gen: 7 }));
    assert.match((await run('twin', 'set', 'pi-1', file, '--url', broker.url)).stdout, /keeps it for pi-1/);
    const got = await run('twin', 'get', 'pi-1', '--url', broker.url);
    assert.deepEqual(JSON.parse(got.stdout), { device: 'pi-1', desired: { gen: 7 }, reported: null });
    writeFileSync(file, envelope('command', { gen: 8 }));
    assert.equal((await run('twin', 'set', 'pi-1', file, '--url', broker.url)).status, 1);
    writeFileSync(file, JSON.stringify(desired({ gen: 9, aud: 'pi-1' })));
    assert.match((await run('twin', 'set', 'pi-1', file, '--url', broker.url)).stdout, /is not signed/);
    assert.match((await run('twin', 'get', 'pi-1', '--url', broker.url)).stdout, /"gen": 7/);
  });

  test('cmd: prints the answers, put together from their parts', async (context) => {
    const place = placeOf(context);
    const broker = await aedes.open({ folder: place.folder });
    context.after(() => broker.stop('killed'));
    const device = new Device(context, broker.url, place);
    const { cmd, res } = topicsOf('expertd', 'pi-1');
    device.session.onMessage(async (topic) => {
      if (topic !== cmd) return;
      const say = (part: number, parts: number, state: string, detail: string | null): Promise<void> =>
        device.session.publish(res, JSON.stringify({ id: 'c-1', part, parts, state, reason: null, detail }), {
          qos: 1,
        });
      await say(1, 1, 'ACCEPTED', null);
      await say(2, 2, 'SUCCEEDED', 'world');
      await say(1, 2, 'SUCCEEDED', 'hello ');
    });
    await new Promise<void>((resolve) => void device.session.onUp(() => resolve()));
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const command = {
      v: 1,
      id: 'c-1',
      type: 'restart',
      args: {},
      aud: ['pi-1'],
      nbf: nowSeconds,
      exp: nowSeconds + 60,
      ctr: 1,
    };
    const file = join(place.folder, 'command.json');
    writeFileSync(file, envelope('command', command));
    const child = spawn(
      process.execPath,
      [...nodeFlags, 'cmd', 'pi-1', '--file', file, '--url', broker.url, '--wait', '20'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const [out, err]: [string[], string[]] = [[], []];
    child.stdout.on('data', (data) => out.push(String(data)));
    child.stderr.on('data', (data) => err.push(String(data)));
    const [code] = await once(child, 'close');
    assert.equal(out.join(''), 'hello world\n');
    assert.equal(err.join(''), 'ACCEPTED\nSUCCEEDED\n');
    assert.equal(code, 0);
  });

  test('cmd: keys are sent to a device, and no answer is waited for', {
    timeout: patienceMs,
  }, async (context) => {
    const place = placeOf(context);
    const broker = await aedes.open({ folder: place.folder });
    context.after(() => broker.stop('killed'));
    const { session } = new Device(context, broker.url, place);
    const heard = new Promise<string>((resolve) => {
      session.onMessage(async (_topic, payload) => resolve(Buffer.from(payload).toString()));
    });
    await new Promise<void>((resolve) => void session.onUp(() => resolve()));
    const file = join(place.folder, 'keys.dsse');
    const text = envelope('keys', { version: 2 });
    writeFileSync(file, text);
    const args = ['cmd', 'pi-1', '--file', file, '--url', broker.url];
    const child = spawn(process.execPath, [...nodeFlags, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [[code], came] = await Promise.all([once(child, 'close'), heard]);
    assert.deepEqual([code, came], [0, text]);
    writeFileSync(file, envelope('desired', { gen: 1 }));
    assert.match((await run(...args)).stdout, /not application\/vnd\.expertd\.command/);
  });

  test('what cannot be done says why', async (context) => {
    const place = placeOf(context);
    assert.deepEqual(
      [
        (await run('devices', '--db', place.database)).stdout.includes('There is no'),
        (await run('twin', 'get', 'pi-1')).stdout.includes('at which broker?'),
        (await run('records', '--since', 'yesterday', '--db', place.database)).stdout.includes(
          'neither an age nor a date',
        ),
        (await run('twin', 'get', 'a/b', '--url', 'mqtt://127.0.0.1:1')).stdout.includes(
          'cannot be the id of a device',
        ),
      ],
      [true, true, true, true],
    );
  });
});
