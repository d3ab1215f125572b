/** The kernel's OOM killer takes a cell: it is told apart from a kill by hand. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OomKills } from '../../agent/linux/oom-kills.ts';
import { LimitedGroup, whyNoGroup } from '../linux/limited-group.ts';
import { put, treeOf } from '../monitor/trees.ts';
import { StartedCells, scripted } from './started.ts';

const MB = 1_048_576;
const LIMIT_MB = 400;

test('a cell that the kernel kills at the limit of its group is told as such, one that is killed by hand is not', {
  skip: whyNoGroup(),
  timeout: 60_000,
}, async (context) => {
  const group = new LimitedGroup(context, LIMIT_MB * MB);
  const program = fileURLToPath(new URL('starved-agent.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, String(2 * LIMIT_MB)];
  const agent = group.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(agent.stdout !== null);
  const [said] = await Promise.all([text(agent.stdout), once(agent, 'exit')]);
  assert.deepEqual(JSON.parse(said), [
    {
      cell: 'hungry',
      cause: 'killed by SIGKILL for want of memory, as the kernel counts it',
      oomKilled: true,
    },
    { cell: 'modest', cause: 'killed by SIGKILL', oomKilled: false },
  ]);
});

test('a counted kill explains one death by SIGKILL, and none that the agent sent', {
  timeout: 60_000,
}, async (context) => {
  const root = treeOf(context, { 'proc/vmstat': 'oom_kill 4\n' });
  const oomKills = new OomKills(join(root, 'proc'), join(root, 'sys'));
  await using started = new StartedCells(new Map([['good', scripted('good')]]), { oomKills });
  const cells = ['meant', 'starved', 'by-hand'];
  for (const cell of cells) await started.cells.load(cell, 'fast', 'good');
  put(root, 'proc/vmstat', 'oom_kill 5\n');
  started.cells.stop('meant', true);
  await started.exited('meant');
  for (const cell of ['starved', 'by-hand']) {
    process.kill(started.pid(cell), 'SIGKILL');
    await started.exited(cell);
  }
  assert.deepEqual(
    started.exits.map(({ cell, oomKilled }) => [cell, oomKilled]),
    [
      ['meant', false],
      ['starved', true],
      ['by-hand', false],
    ],
  );
});
