import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CellEnd, describeEnd, wasKilledByOthers } from '../../agent/cells/exit.ts';

const none: CellEnd = { code: null, signal: null, ending: null, oomKilled: false };
const stopped = { reason: 'stopped by the agent', kill: false };
const killed = { reason: 'killed by the agent: it was late', kill: true };

const CASES: readonly (readonly [Partial<CellEnd>, string])[] = [
  [{ code: 0 }, 'exit code 0'],
  [{ code: 134 }, 'exit code 134'],
  [{ signal: 'SIGSEGV' }, 'killed by SIGSEGV'],
  [{ signal: 'SIGKILL' }, 'killed by SIGKILL'],
  [{ signal: 'SIGKILL', oomKilled: true }, 'killed by SIGKILL for want of memory, as the kernel counts it'],
  [{ code: 0, ending: stopped }, 'stopped by the agent'],
  [{ code: 1, ending: stopped }, 'stopped by the agent, exit code 1'],
  [{ signal: 'SIGKILL', ending: stopped }, 'stopped by the agent, killed by SIGKILL'],
  [
    { signal: 'SIGKILL', ending: stopped, oomKilled: true },
    'stopped by the agent, killed by SIGKILL for want of memory, as the kernel counts it',
  ],
  [{ signal: 'SIGKILL', ending: killed }, 'killed by the agent: it was late'],
  [{ signal: 'SIGSEGV', ending: killed }, 'killed by the agent: it was late, killed by SIGSEGV'],
  [{ code: 0, ending: killed }, 'killed by the agent: it was late, exit code 0'],
];

for (const [end, words] of CASES) {
  test(words, () => assert.equal(describeEnd({ ...none, ...end }), words));
}

test('only SIGKILL that the agent did not send may be the kernel for want of memory', () => {
  assert.ok(wasKilledByOthers({ signal: 'SIGKILL', ending: null }));
  assert.ok(wasKilledByOthers({ signal: 'SIGKILL', ending: stopped }));
  assert.ok(!wasKilledByOthers({ signal: 'SIGKILL', ending: killed }));
  assert.ok(!wasKilledByOthers({ signal: 'SIGTERM', ending: null }));
  assert.ok(!wasKilledByOthers({ signal: null, ending: null }));
});
