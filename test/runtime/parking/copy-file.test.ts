/** The file of a parked expert: where it may be, what it refuses, and that no name of it stays. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CopyFile, openUnlinked } from '../../../agent/runtime/parking/copy-file.ts';
import { folder, MB, skip } from './allocations.ts';

const moduleUrl = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
const COPY_FILE = moduleUrl('../../../agent/runtime/parking/copy-file.ts');
const ALLOCATIONS = moduleUrl('./allocations.ts');
const node = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e'];
const env = { ...process.env, NODE_OPTIONS: '' };

test('it holds what is written to it, and has no name', { skip }, async (t) => {
  const directory = folder(t);
  const file = await CopyFile.create(directory, MB, 0);
  assert.deepEqual(readdirSync(directory), []);
  await file.write(new Uint8Array(3_000).fill(3), 5_000);
  await file.sync();
  const read = new Uint8Array(3_000);
  assert.ok(file.read(read, 5_000));
  assert.ok(read.every((byte) => byte === 3));
  assert.equal(file.read(read, 5_001), false);
  await file.readAhead(new Uint8Array(3_000), 5_000);
  await file.close();
  await file.close();
});

test('where files cannot be without a name, it loses it at once, and others that were left behind', {
  skip,
}, async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, 'parked-by-a-process-that-was-killed'), '');
  writeFileSync(join(directory, 'other'), '');
  const handle = await openUnlinked(directory);
  assert.deepEqual(readdirSync(directory), ['other']);
  await handle.write('it can be written');
  await handle.close();
});

test('what the disk does not give back is nothing to run with', { skip }, async (t) => {
  const file = await CopyFile.create(folder(t), MB, 0);
  await file.write(new Uint8Array(3_000), 0);
  // As far as reading goes, a handle that was closed is a disk that fails.
  await file.close();
  await assert.rejects(file.readAhead(new Uint8Array(3_000), 0), {
    code: 'weights_changed',
    message: /their copy cannot be read: .*EBADF|file closed/,
  });
});

const MEMORY = '/dev/shm';
const TMPFS = 0x01021994;
const noTmpfs = skip || (isTmpfs(MEMORY) ? false : `${MEMORY} is not in memory here`);

test('a folder in memory gains nothing', { skip: noTmpfs }, async () => {
  await assert.rejects(CopyFile.create(MEMORY, 0, 0), /is in memory itself/);
});

test('a disk that takes no more says so', { skip }, (t) => {
  const script = `
    import { CopyFile } from ${COPY_FILE};
    const file = await CopyFile.create(${JSON.stringify(folder(t))}, 0, 0);
    await file.write(new Uint8Array(60_000), 0);
    const error = await file.write(new Uint8Array(60_000), 60_000).catch((error) => error);
    console.log(error.code, error.message);
  `;
  // A limit of 64 blocks of 1,024 bytes for any file stands for a disk that is full.
  const command = 'ulimit -f 64 && exec "$0" "$@"';
  const out = execFileSync('bash', ['-c', command, process.execPath, ...node, script], {
    env,
    encoding: 'utf8',
  });
  assert.match(out, /^not_parkable Its weights stay in memory: .*EFBIG/);
});

test('a process that is killed leaves nothing, whatever it was doing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const directory = folder(t);
  const script = `
    import { Block, MB, parking } from ${ALLOCATIONS};
    const say = (what) => process.stdout.write(what + '\\n');
    const watch = parking.watch();
    const blocks = Array.from({ length: 8 }, (_, at) => new Block(4 * MB, at));
    const claim = watch.claim([]);
    say('copy');
    await claim.copy(${JSON.stringify(directory)}, 0);
    say('adopt');
    claim.adopt();
    say('park');
    for (;;) {
      claim.park();
      await claim.resume(true);
      for (const block of blocks) block.read(0, 4 * MB);
    }
  `;
  for (const [word, delayMs] of [
    ['copy', 0],
    ['copy', 8],
    ['adopt', 0],
    ['park', 0],
    ['park', 20],
  ] as const) {
    const child = spawn(process.execPath, [...node, script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    let said = '';
    for await (const text of child.stdout.setEncoding('utf8')) {
      said += text;
      if (said.includes(word)) break;
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    assert.ok(child.kill('SIGKILL'), `it was still running: ${said}`);
    await ended;
    assert.deepEqual(readdirSync(directory), [], `after "${word}"`);
  }
});

function isTmpfs(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS;
  } catch {
    return false;
  }
}
