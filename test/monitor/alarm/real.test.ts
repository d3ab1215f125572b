/** Alarms of this kernel, by real shortages in a small control group. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openForeign } from '../../../agent/linux/foreign.ts';
import { Poller } from '../../../agent/linux/poller.ts';
import { openAlarm } from '../../../agent/monitor/alarm/alarm.ts';
import { watchGroupEvents } from '../../../agent/monitor/alarm/group-events.ts';
import { hasGroupLevel, openGroupLevel } from '../../../agent/monitor/alarm/group-level.ts';
import { openPsiTrigger } from '../../../agent/monitor/alarm/psi-trigger.ts';
import type { AlarmFile } from '../../../agent/monitor/alarm/source.ts';
import { Vigil } from '../../../agent/monitor/alarm/vigil.ts';
import { LimitedGroup, whyNoGroup } from '../../linux/limited-group.ts';

const MB = 1_048_576;
/** Node itself takes half of it. */
const LIMIT_BYTES = 80 * MB;
const FILE_MB = 100;
const PSI = '/proc/pressure/memory';
const foreign = await openForeign();
const noGroup = whyNoGroup();
const limit = { timeout: 60_000 };
const silent = { info: () => {} };

function openPoller(): Poller {
  const poller = foreign === null ? null : Poller.open(foreign);
  assert.ok(poller !== null);
  return poller;
}

function whyNoTrigger(): string | false {
  if (foreign === null) return 'needs koffi';
  const trigger = openPsiTrigger('a try', PSI);
  trigger?.close();
  return trigger === null ? 'the kernel has no PSI, or sets no trigger for this user' : noGroup;
}

/** Starts a process that has too little memory, in a group of its own; resolves when it has ended, with the reason. */
async function thrash(context: TestContext, group: LimitedGroup): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-alarm-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const program = fileURLToPath(new URL('thrashing.mjs', import.meta.url));
  const args = [program, join(folder, 'file'), String(FILE_MB)];
  const child = group.spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return `nothing was heard before it ended: ${await once(child, 'exit')}`;
}

/** Waits for one file; the promise resolves when it tells of a shortage. */
function listen(context: TestContext, poller: Poller, file: AlarmFile): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const vigil = new Vigil({ poller, files: [file], onEvent: () => resolve('heard'), log: silent });
  const kept = vigil.keep();
  context.after(async () => {
    vigil.stop();
    await kept;
  });
  return promise;
}

test('a PSI trigger of the device tells of a group that thrashes', {
  ...limit,
  skip: whyNoTrigger(),
}, async (context) => {
  const group = new LimitedGroup(context, LIMIT_BYTES);
  const trigger = openPsiTrigger('PSI', PSI);
  assert.ok(trigger !== null);
  const heard = listen(context, openPoller(), trigger);
  assert.equal(await Promise.race([heard, thrash(context, group)]), 'heard');
});

test('the pressure level of a group of version 1 tells that it thrashes', {
  ...limit,
  skip: noGroup,
}, async (context) => {
  const group = new LimitedGroup(context, LIMIT_BYTES);
  assert.ok(hasGroupLevel(group.folder));
  const poller = openPoller();
  const level = openGroupLevel('level', group.folder, poller);
  assert.ok(level !== null);
  const heard = listen(context, poller, level);
  assert.equal(await Promise.race([heard, thrash(context, group)]), 'heard');
});

test('all that this device offers is armed together, and rings', {
  ...limit,
  skip: noGroup,
}, async (context) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const alarm = await openAlarm({ onAlarm: () => resolve('heard'), log: silent });
  context.after(() => alarm.stop());
  assert.ok(alarm.sources.length > 0);
  const thrashing = thrash(context, new LimitedGroup(context, LIMIT_BYTES));
  assert.equal(await Promise.race([promise, thrashing]), 'heard');
});

/** A control group of version 2; whether it counts memory or not, its files change alike. */
const UNIFIED = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((folder) =>
  existsSync(join(folder, 'cgroup.procs')),
);

test('a file of a control group of version 2 is watched like those of a disk', {
  ...limit,
  skip: whyNoUnified(),
}, async (context) => {
  const folder = makeUnified();
  context.after(() => rmdirSync(folder));
  const group = { waiting: Promise.withResolvers<void>() };
  const watcher = watchGroupEvents(join(folder, 'cgroup.events'), () => group.waiting.resolve());
  assert.ok(watcher !== null);
  context.after(() => watcher.close());
  const child = spawn('sh', ['-c', 'echo $$ > "$0/cgroup.procs" && exec cat', folder], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await group.waiting.promise;
  group.waiting = Promise.withResolvers<void>();
  const ended = once(child, 'exit');
  child.stdin.end();
  await Promise.all([ended, group.waiting.promise]);
});

function makeUnified(): string {
  const folder = join(UNIFIED ?? '', `expertd-test-${process.pid}`);
  mkdirSync(folder);
  return folder;
}

function whyNoUnified(): string | false {
  try {
    const folder = makeUnified();
    writeFileSync(join(folder, 'cgroup.procs'), '', { flag: 'r+' });
    rmdirSync(folder);
    return false;
  } catch (error) {
    return `needs a control group of version 2 that may be written to: ${String(error)}`;
  }
}
