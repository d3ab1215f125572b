import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CellEnd, describeEnd } from '../../agent/cells/exit.ts';

const none: CellEnd = { code: null, signal: null, ending: null, oomKills: null };
const stopped = { reason: 'stopped by the agent', kill: false };
const killed = { reason: 'killed by the agent: it was late', kill: true };

const CASES: readonly (readonly [Partial<CellEnd>, string])[] = [
  [{ code: 0 }, 'exit code 0'],
  [{ code: 134 }, 'exit code 134'],
  [{ signal: 'SIGSEGV' }, 'killed by SIGSEGV'],
  [{ signal: 'SIGKILL' }, 'killed by SIGKILL'],
  [{ signal: 'SIGKILL', oomKills: 0 }, 'killed by SIGKILL'],
  [
    { signal: 'SIGKILL', oomKills: 1 },
    'killed by SIGKILL; the kernel ended one process for want of memory since this cell started',
  ],
  [
    { signal: 'SIGKILL', oomKills: 3 },
    'killed by SIGKILL; the kernel ended 3 processes for want of memory since this cell started',
  ],
  [{ signal: 'SIGSEGV', oomKills: 3 }, 'killed by SIGSEGV'],
  [{ code: 0, ending: stopped }, 'stopped by the agent'],
  [{ code: 1, ending: stopped }, 'stopped by the agent, exit code 1'],
  [{ signal: 'SIGKILL', ending: stopped, oomKills: 1 }, 'stopped by the agent, killed by SIGKILL'],
  [{ signal: 'SIGKILL', ending: killed, oomKills: 1 }, 'killed by the agent: it was late'],
  [{ signal: 'SIGSEGV', ending: killed }, 'killed by the agent: it was late, killed by SIGSEGV'],
  [{ code: 0, ending: killed }, 'killed by the agent: it was late, exit code 0'],
];

for (const [end, words] of CASES) {
  test(words, () => assert.equal(describeEnd({ ...none, ...end }), words));
}
