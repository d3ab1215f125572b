import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const skip = process.platform !== 'linux' && 'needs Linux';
const libcUrl = JSON.stringify(fileURLToPath(new URL('../../agent/linux/libc.ts', import.meta.url)));

/** Blocks gone from the middle of the heap: only a trim gives their pages back. */
const TRIM = `
  import { openLibc } from ${libcUrl};
  import { readRssBytes } from ${JSON.stringify(fileURLToPath(new URL('../../agent/linux/process.ts', import.meta.url)))};
  const libc = await openLibc();
  let blocks = Array.from({ length: 1_000 }, () => new Uint8Array(60_000).fill(1));
  const kept = blocks.at(-1);
  blocks = null;
  // The second collection waits for V8's other thread to free the array buffers.
  gc();
  gc();
  const before = readRssBytes('self');
  const trimmed = libc.trimHeap();
  console.log(JSON.stringify({ trimmed, freed: before - readRssBytes('self'), kept: kept.length }));
`;

test('trimming gives free heap back to the kernel', { skip }, () => {
  const out = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', TRIM], {
    env: { ...process.env, NODE_OPTIONS: '', MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_ARENA_MAX: '1' },
    encoding: 'utf8',
  });
  const { trimmed, freed } = JSON.parse(out) as { trimmed: boolean; freed: number };
  assert.equal(trimmed, true);
  assert.ok(freed > 20_000_000, `${freed} bytes came back of 60 MB`);
});

/** A parent whose child blocks its thread for good; both tell their process ids. */
const PARENT = `
  import { spawn } from 'node:child_process';
  const child = spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(`
    import { openLibc } from ${libcUrl};
    const bound = (await openLibc()).dieWithParent();
    process.stdout.write(process.pid + ' ' + bound + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  `)}], { stdio: ['ignore', 'inherit', 'inherit'] });
  setInterval(() => {}, 1_000);
`;

test('a child that blocks its thread ends with its parent', { skip, timeout: 30_000 }, async () => {
  const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const [line] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string];
  assert.match(line, /^\d+ true\n$/);
  // Both hold the pipe: it ends when the second of them does.
  const ended = once(parent.stdout, 'end');
  parent.kill('SIGKILL');
  await ended;
});
