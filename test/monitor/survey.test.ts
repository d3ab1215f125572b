import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { surveyDevice } from '../../agent/monitor/survey.ts';
import { copyOf, DEVICES, fixture, put, treeOf } from './trees.ts';

function surveyOf(root: string, stateDir = root) {
  return surveyDevice({
    stateDir,
    nowMs: 5,
    loadAverage: null,
    storageBytesPerSecond: 7,
    glibcVersion: '2.36',
    procRoot: join(root, 'proc'),
    sysRoot: join(root, 'sys'),
    runRoot: join(root, 'run'),
  });
}

test('the fixtures differ in what a doctor asks for', () => {
  const told = DEVICES.map((device) => {
    const { board, psiOn, memoryController, clock, oomKills } = surveyOf(fixture(device));
    return [board, psiOn, memoryController, clock.synchronised, oomKills];
  });
  assert.deepEqual(told, [
    ['Raspberry Pi 5 Model B Rev 1.0', true, false, true, 0],
    ['NVIDIA Jetson Orin Nano Developer Kit', true, true, null, 2],
    [null, false, true, null, 0],
    [null, true, true, null, 3],
    [null, false, true, null, null],
  ]);
});

test('a copy of a device offers the alarms of its files, and is not changed by the look', (context) => {
  const root = copyOf(context, 'container-v2');
  assert.deepEqual(surveyOf(root).alarms, ['events of the control group']);
  put(root, 'proc/pressure/memory', '');
  assert.deepEqual(surveyOf(root).alarms, ['PSI of the device', 'events of the control group']);
});

test('timesyncd that runs and has reached no server is not synchronised', (context) => {
  const root = copyOf(context, 'raspberry-pi-5');
  rmSync(join(root, 'run/systemd/timesync/synchronized'));
  assert.equal(surveyOf(root).clock.synchronised, false);
});

test('a state folder that is not there yet is judged by the one that it would be made in', (context) => {
  const root = treeOf(context, {});
  const { stateDisk } = surveyOf(root, join(root, 'a/b/c'));
  assert.equal(stateDisk.path, join(root, 'a/b/c'));
  assert.equal(stateDisk.writeError, null);
  assert.ok(stateDisk.freeBytes !== null && stateDisk.totalBytes !== null);
  assert.ok(stateDisk.freeBytes > 0 && stateDisk.freeBytes <= stateDisk.totalBytes);
});

test('a read-only file system says so, also to root', (context) => {
  // Nothing but the kernel writes there.
  const { stateDisk } = surveyOf(treeOf(context, {}), '/proc/sys/kernel/random');
  if (stateDisk.writeError === null) return context.skip('this /proc is writable');
  assert.match(stateDisk.writeError, /^E[A-Z]+$/);
});

test('an unreadable device is no data, and the doctor lives', (context) => {
  const root = treeOf(context, { 'proc/cgroups': 'garbage' });
  put(root, 'proc/device-tree/model', '\0\0');
  const survey = surveyOf(root);
  assert.deepEqual(
    [survey.board, survey.psiOn, survey.memoryController, survey.availableBytes, survey.oomKills],
    [null, false, null, null, null],
  );
});
