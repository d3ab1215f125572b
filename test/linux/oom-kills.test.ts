/** Which deaths a kill of the kernel explains, by whichever counter there is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OomKills } from '../../agent/linux/oom-kills.ts';
import { put, treeOf } from '../monitor/trees.ts';

const V1 = 'sys/fs/cgroup/memory/app';
const V2 = 'sys/fs/cgroup/app';

function killsIn(root: string): OomKills {
  return new OomKills(`${root}/proc`, `${root}/sys`);
}

test('the counter of the own control group counts, else that of the device', (context) => {
  const vmstat = { 'proc/vmstat': 'nr_free_pages 9\noom_kill 70\n' };
  const first = { 'proc/self/cgroup': '4:memory:/app\n', [`${V1}/memory.usage_in_bytes`]: '1\n' };
  const second = { 'proc/self/cgroup': '0::/app\n', [`${V2}/memory.current`]: '1\n' };
  const cases = [
    [{ ...first, [`${V1}/memory.oom_control`]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n' }, 2],
    [{ ...first, [`${V1}/memory.oom_control`]: 'oom_kill_disable 0\nunder_oom 0\n' }, 70],
    [{ ...second, [`${V2}/memory.events`]: 'low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\n' }, 3],
    [second, 70],
    [{ 'proc/self/cgroup': '0::/\n' }, 70],
    [{}, 70],
  ] as const;
  for (const [files, count] of cases) {
    assert.equal(killsIn(treeOf(context, { ...vmstat, ...files })).count(), count, JSON.stringify(files));
  }
  const none = killsIn(treeOf(context, {}));
  assert.deepEqual([none.count(), none.explains(null), none.explains(0)], [null, false, false]);
});

test('a kill explains one death, of a process that lived when it happened', (context) => {
  const root = treeOf(context, { 'proc/vmstat': 'oom_kill 5\n' });
  const kills = killsIn(root);
  const atStart = kills.count();
  assert.equal(kills.explains(atStart), false, 'nothing was killed since');
  put(root, 'proc/vmstat', 'oom_kill 6\n');
  assert.deepEqual([kills.explains(kills.count()), kills.explains(null)], [false, false]);
  put(root, 'proc/vmstat', 'oom_kill 8\n');
  assert.deepEqual(
    [1, 2, 3].map(() => kills.explains(6)),
    [true, true, false],
    'two kills, three deaths',
  );
});
