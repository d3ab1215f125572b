/** Which alarms are armed, where; what becomes of them; and that none holds a process up. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openForeign } from '../../../agent/linux/foreign.ts';
import { POLL, Poller } from '../../../agent/linux/poller.ts';
import { openAlarm } from '../../../agent/monitor/alarm/alarm.ts';
import { NAMES, possibleAlarms } from '../../../agent/monitor/alarm/places.ts';
import { openPsiTrigger } from '../../../agent/monitor/alarm/psi-trigger.ts';
import type { AlarmFile } from '../../../agent/monitor/alarm/source.ts';
import { Vigil } from '../../../agent/monitor/alarm/vigil.ts';
import { put, treeOf } from '../trees.ts';

const foreign = await openForeign();
const limit = { timeout: 30_000, skip: foreign === null && 'needs koffi' };
const OWN = 'sys/fs/cgroup/app.slice/expertd.service';
const V2 = {
  'proc/self/cgroup': '0::/app.slice/expertd.service\n',
  [`${OWN}/memory.current`]: '1\n',
  [`${OWN}/memory.events`]: 'high 0\n',
  'sys/fs/cgroup/app.slice/memory.current': '1\n',
  'sys/fs/cgroup/app.slice/memory.events': 'high 0\n',
};
const V1 = {
  'proc/self/cgroup': '4:memory:/\n',
  'sys/fs/cgroup/memory/memory.usage_in_bytes': '1\n',
  'sys/fs/cgroup/memory/memory.pressure_level': '',
  'sys/fs/cgroup/memory/cgroup.event_control': '',
};

const rootsOf = (root: string) => ({ procRoot: join(root, 'proc'), sysRoot: join(root, 'sys') });

function recorder() {
  const said: string[] = [];
  return { said, log: { info: (_: unknown, message: string) => void said.push(message) } };
}

test('what a device offers: PSI of itself and of the own group, levels of version 1, events of version 2', (context) => {
  const cases = [
    [{}, []],
    [{ 'proc/pressure/memory': '' }, [NAMES.device]],
    [V2, [NAMES.events]],
    [
      { ...V2, 'proc/pressure/memory': '', [`${OWN}/memory.pressure`]: '' },
      [NAMES.device, NAMES.group, NAMES.events],
    ],
    [V1, [NAMES.level]],
  ] as const;
  for (const [files, names] of cases) {
    assert.deepEqual(possibleAlarms(rootsOf(treeOf(context, files))), names, Object.keys(files).join());
  }
});

test("a file that is not the kernel's is never written to", (context) => {
  const text = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
  const root = treeOf(context, { 'proc/pressure/memory': text });
  const path = join(root, 'proc/pressure/memory');
  assert.equal(openPsiTrigger('a copy', path), null);
  assert.equal(readFileSync(path, 'utf8'), text);
});

test('a device that offers nothing is told of once, and no C function is reached', async (context) => {
  const { said, log } = recorder();
  const reach = () => assert.fail('nothing is to be waited for');
  const alarm = await openAlarm({ ...rootsOf(treeOf(context, {})), onAlarm: () => {}, log, reach });
  assert.deepEqual([alarm.sources, said.length], [[], 1]);
  assert.match(said[0] ?? '', /samples alone/);
  alarm.stop();
});

test('without koffi the groups of version 2 still ring, until it is stopped', async (context) => {
  const root = treeOf(context, { ...V2, 'proc/pressure/memory': '' });
  let rings = 0;
  const heard = Promise.withResolvers<void>();
  const onAlarm = (): void => {
    rings++;
    heard.resolve();
  };
  const reach = async () => null;
  const alarm = await openAlarm({ ...rootsOf(root), onAlarm, log: recorder().log, reach });
  assert.deepEqual(alarm.sources, [NAMES.events]);
  put(root, 'sys/fs/cgroup/app.slice/memory.events', 'high 1\n');
  await heard.promise;
  alarm.stop();
  const before = rings;
  writeFileSync(join(root, OWN, 'memory.events'), 'high 2\n');
  await new Promise(setImmediate);
  assert.equal(rings, before);
});

test('a level that the kernel does not register is not armed', limit, async (context) => {
  const { 'sys/fs/cgroup/memory/cgroup.event_control': _, ...files } = V1;
  const root = treeOf(context, files);
  // It may be written to as far as its mode says, but takes nothing.
  mkdirSync(join(root, 'sys/fs/cgroup/memory/cgroup.event_control'));
  assert.deepEqual(possibleAlarms(rootsOf(root)), [NAMES.level]);
  const before = readdirSync('/proc/self/fd').length;
  const alarm = await openAlarm({ ...rootsOf(root), onAlarm: () => {}, log: recorder().log });
  assert.deepEqual(alarm.sources, []);
  alarm.stop();
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test(
  'a file that will tell no more is closed and said; the vigil ends with the last one',
  limit,
  async () => {
    const poller = foreign === null ? null : Poller.open(foreign);
    assert.ok(poller !== null);
    const events: string[] = [];
    const fileOf = (name: string, lives: number): AlarmFile => {
      const file = poller.openCounter() ?? -1;
      let left = lives;
      writeSync(file, new BigUint64Array([1n]));
      return {
        name,
        file,
        events: POLL.in,
        take: () => left-- > 0,
        close: () => {
          events.push(`${name} closed`);
          closeSync(file);
        },
      };
    };
    const { said, log } = recorder();
    const files = [fileOf('long', 1), fileOf('short', 0)];
    // A counter that nobody reads stays ready: each round takes one of its lives.
    await new Vigil({ poller, files, onEvent: () => events.push('rang'), log, restMs: 0 }).keep();
    assert.deepEqual(events, ['short closed', 'rang', 'long closed']);
    assert.deepEqual(said, ['a memory alarm has ended', 'a memory alarm has ended']);
  },
);

for (const [how, code, signal] of [
  ['exit', 3, null],
  ['stop', 0, null],
  ['signal', null, 'SIGTERM'],
] as const) {
  // Were it held up, it would run into the limit of the test, which kills it.
  test(`a process with armed alarms is not held up at its end: ${how}`, {
    timeout: 30_000,
  }, async (context) => {
    const program = fileURLToPath(new URL('armed-agent.ts', import.meta.url));
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, how], {
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: context.signal,
      killSignal: 'SIGKILL',
    });
    const ended = once(child, 'exit');
    const [said] = await once(child.stdout, 'data');
    assert.ok(Array.isArray(JSON.parse(String(said))));
    if (signal !== null) child.kill(signal);
    assert.deepEqual(await ended, [code, signal]);
  });
}
