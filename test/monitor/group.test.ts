/** Limits and use of a real control group of version 1. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LimitedGroup, whyNoGroup } from '../linux/limited-group.ts';

const MB = 1_048_576;
const LIMIT_BYTES = 256 * MB;
const FILE_BYTES = 64 * MB;

test('a real group of version 1: its limit is the device, and its file cache is free', {
  skip: whyNoGroup(),
  timeout: 60_000,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-group-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const program = fileURLToPath(new URL('inside-group.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, join(folder, 'file'), String(FILE_BYTES)];
  const group = new LimitedGroup(context, LIMIT_BYTES);
  const child = group.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(child.stdout !== null);
  const { cgroup, limitBytes, availableBytes, totalBytes } = JSON.parse(await text(child.stdout));
  assert.deepEqual(
    [cgroup.version, cgroup.limitBytes, limitBytes, totalBytes, cgroup.oomKills],
    [1, LIMIT_BYTES, LIMIT_BYTES, LIMIT_BYTES, 0],
  );
  assert.ok(cgroup.currentBytes > FILE_BYTES && cgroup.currentBytes <= LIMIT_BYTES, JSON.stringify(cgroup));
  const cacheBytes = cgroup.availableBytes - (LIMIT_BYTES - cgroup.currentBytes);
  assert.ok(cacheBytes > FILE_BYTES * 0.9 && cacheBytes < cgroup.currentBytes, JSON.stringify(cgroup));
  assert.equal(availableBytes, cgroup.availableBytes);
});
