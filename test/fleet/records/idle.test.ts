/** What a device in a fleet asks of its disk, counted by the calls that the kernel sees, not by what the agent says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const main = join(import.meta.dirname, 'idle-device.ts');
const skip =
  spawnSync('strace', ['-f', '--seccomp-bpf', '-o', '/dev/null', 'true']).status === 0
    ? false
    : 'strace is not installed or may not trace here';

interface Phase {
  readonly syncs: number;
  readonly acknowledged: number;
}

/** The phases that the device ran through. */
function trace(context: TestContext): ReadonlyMap<string, Phase> {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-idle-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const output = join(folder, 'trace');
  const calls = ['-e', 'trace=write,fsync,fdatasync', '-e', 'signal=none', '-s', '100'];
  // It stops the device at these calls only, and not at the others.
  const flags = ['-f', '--seccomp-bpf', ...calls, '-o', output];
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', main, join(folder, 'state')];
  const done = spawnSync('strace', [...flags, ...node]);
  assert.equal(done.status, 0, String(done.stderr));
  const phases = new Map<string, Phase>();
  let syncs = 0;
  for (const line of readFileSync(output, 'latin1').split('\n')) {
    if (/^\d+ +f(data)?sync\(/.test(line)) syncs += 1;
    const [, phase = '', edge, acknowledged] =
      /write\(1, "(\w+) (begins|ends)(?: (\d+))?\\n"/.exec(line) ?? [];
    if (edge === 'begins') syncs = 0;
    if (edge === 'ends') phases.set(phase, { syncs, acknowledged: Number(acknowledged) });
  }
  return phases;
}

test('an idle device syncs its disk twice a minute at most, and one that decides all the time four times a second', {
  skip,
}, (context) => {
  const phases = trace(context);
  const [idle, busy] = [phases.get('idle'), phases.get('busy')];
  assert.ok(idle !== undefined && busy !== undefined);
  context.diagnostic(`an idle hour: ${idle.syncs} syncs; a busy minute: ${busy.syncs}`);
  // A look at the device waits half a minute for the disk, and an acknowledgement is not brought there at all. What
  // comes on top is the WAL, put into the database when it is long.
  assert.ok(idle.syncs <= 120 * 1.1, `${idle.syncs} in an hour`);
  assert.ok(idle.syncs > 0, 'what the device looks like is never on the disk');
  assert.ok(busy.syncs <= 240 * 1.1, `${busy.syncs} in a minute`);
  assert.ok(busy.acknowledged > 2_000, `it delivered ${busy.acknowledged} records only`);
});
