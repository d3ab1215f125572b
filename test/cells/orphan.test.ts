import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const skip = process.platform !== 'linux' && 'needs prctl(2)';

test('an agent that is killed leaves no cell behind, not even one that blocks', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-orphan-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const fifo = join(folder, 'held');
  execFileSync('mkfifo', [fifo]);
  const agent = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('agent-process.ts', import.meta.url)),
      fifo,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  // Opens when the first cell holds the other end, and ends when no process holds it any more.
  const held = createReadStream(fifo);
  const released = once(held.resume(), 'end');
  const [line] = await once(agent.stdout, 'data');
  assert.equal(String(line), 'ready\n');
  agent.kill('SIGKILL');
  await released;
});
