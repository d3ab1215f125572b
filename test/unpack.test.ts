import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { AgentError } from '../agent/errors.ts';
import { cacheCandidates, mountOptions, whyUnsafe } from '../agent/folders.ts';
import { type PackedFiles, parseIndex, unpack } from '../agent/unpack.ts';
import { packAssets } from '../scripts/build/pack.ts';

/** Packs texts as the build does. */
function packed(folder: string, texts: Record<string, string>): PackedFiles {
  const sources = Object.entries(texts).map(([path, text], index) => {
    const file = join(folder, `source-${index}`);
    writeFileSync(file, text);
    return { path, file };
  });
  const assets = packAssets(sources, mkdtempSync(join(folder, 'assets-')));
  const content = (path: string) => readFileSync(assets[path] ?? assert.fail(`${path} was not packed`));
  return { ...parseIndex(content('files.json').toString()), read: content };
}

function place(t: TestContext): { work: string; cache: string } {
  const work = mkdtempSync(join(tmpdir(), 'expertd-unpack-'));
  t.after(() => rmSync(work, { recursive: true, force: true }));
  return { work, cache: join(work, 'cache') };
}

const TEXTS = { 'natives/a.node': 'a'.repeat(9_000_000), 'experts/b/expert.json': '{"id":"b"}' };

function noLeftovers(cache: string): void {
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.startsWith('.')),
    [],
  );
}

describe('unpacking', () => {
  test('writes everything once, read-only, and says so', (t) => {
    const { work, cache } = place(t);
    const files = packed(work, TEXTS);
    assert.ok((files.files[0]?.frames.length ?? 0) > 1, 'a large file has several frames');
    const first = unpack(files, { candidates: [cache], bootId: '1' });
    assert.equal(first.wrote, true);
    for (const [path, text] of Object.entries(TEXTS)) {
      assert.equal(readFileSync(join(first.directory, path), 'utf8') === text, true, path);
      assert.equal(statSync(join(first.directory, path)).mode & 0o777, 0o444);
    }
    assert.deepEqual(unpack(files, { candidates: [cache], bootId: '1' }), { ...first, wrote: false });
    noLeftovers(cache);
  });

  test('damage of the same size is found at the next boot, of another size at once', (t) => {
    const { work, cache } = place(t);
    const files = packed(work, TEXTS);
    const { directory } = unpack(files, { candidates: [cache], bootId: '1' });
    const victim = join(directory, 'experts/b/expert.json');
    const damage = (text: string) => {
      chmodSync(victim, 0o644);
      writeFileSync(victim, text);
    };
    damage('{"id":"x"}');
    assert.equal(unpack(files, { candidates: [cache], bootId: '2' }).wrote, true);
    assert.equal(readFileSync(victim, 'utf8'), '{"id":"b"}');
    damage('{}');
    assert.equal(unpack(files, { candidates: [cache], bootId: '2' }).wrote, true);
    assert.equal(readFileSync(victim, 'utf8'), '{"id":"b"}');
    noLeftovers(cache);
  });

  test('an intact folder is hashed at the next boot and kept', (t) => {
    const { work, cache } = place(t);
    const files = packed(work, TEXTS);
    unpack(files, { candidates: [cache], bootId: '1' });
    assert.equal(unpack(files, { candidates: [cache], bootId: '2' }).wrote, false);
  });

  test('another version stays until a boot in which nobody used it', (t) => {
    const { work, cache } = place(t);
    const [old, young] = [packed(work, { a: 'old' }), packed(work, { a: 'young' })];
    const { directory } = unpack(old, { candidates: [cache], bootId: '1' });
    unpack(young, { candidates: [cache], bootId: '1' });
    assert.ok(existsSync(directory));
    unpack(young, { candidates: [cache], bootId: '2' });
    assert.ok(!existsSync(directory));
  });

  test('what a killed start left behind is removed once it is old', (t) => {
    const { work, cache } = place(t);
    mkdirSync(join(cache, '.unpacking-dead'), { recursive: true, mode: 0o700 });
    mkdirSync(join(cache, '.unpacking-alive'));
    chmodSync(cache, 0o700);
    utimesSync(join(cache, '.unpacking-dead'), 1, 1);
    unpack(packed(work, { a: 'x' }), { candidates: [cache], bootId: '1' });
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.startsWith('.')),
      ['.unpacking-alive'],
    );
  });

  test('a damaged executable is refused and leaves nothing', (t) => {
    const { work, cache } = place(t);
    const files = packed(work, { a: 'x' });
    const [file] = files.files;
    assert.ok(file);
    const wrong = { ...files, files: [{ ...file, sha256: createHash('sha256').update('y').digest('hex') }] };
    assert.throws(
      () => unpack(wrong, { candidates: [cache], bootId: '1' }),
      /a in the executable is damaged/,
    );
    assert.deepEqual(readdirSync(cache), []);
  });

  test('a folder that others may write is passed over; if none is left, each is named with its reason', (t) => {
    const { work, cache } = place(t);
    const open = join(work, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const files = packed(work, { a: 'x' });
    const spare = join(work, 'spare');
    assert.ok(unpack(files, { candidates: [open, cache, spare], bootId: '1' }).directory.startsWith(cache));
    assert.ok(!existsSync(spare), 'a folder that is not needed is not made');
    assert.throws(
      () => unpack(files, { candidates: [open, join(work, 'source-0', 'under-a-file')], bootId: '1' }),
      (error) =>
        error instanceof AgentError &&
        error.code === 'no_room' &&
        /open: may be written by others/.test(error.message) &&
        /under-a-file: ENOTDIR/.test(error.message) &&
        /CACHE_DIRECTORY/.test(error.hint ?? ''),
    );
  });

  test('four first starts at once all end well, with one folder', async (t) => {
    const { work, cache } = place(t);
    const script = `
      import { readFileSync } from 'node:fs';
      import { parseIndex, unpack } from ${JSON.stringify(join(import.meta.dirname, '../agent/unpack.ts'))};
      const assets = JSON.parse(process.argv[1]);
      const read = (path) => readFileSync(assets[path]);
      const files = { ...parseIndex(read('files.json').toString()), read };
      const { directory } = unpack(files, { candidates: [process.argv[2]], bootId: '1' });
      process.stdout.write(readFileSync(directory + '/a').length + ' ' + directory);`;
    const file = join(work, 'source');
    writeFileSync(file, Buffer.alloc(12_000_000, 'expertd '));
    const assets = JSON.stringify(packAssets([{ path: 'a', file }], join(work, 'assets')));
    const start = () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script, assets, cache]);
    const results = await Promise.all([start(), start(), start(), start()]);
    const outputs = new Set(results.map(({ stdout }) => stdout));
    assert.equal(outputs.size, 1);
    assert.match([...outputs].join(), /^12000000 /);
    noLeftovers(cache);
  });
});

describe('folders', () => {
  test('the order: what systemd gives, the user, the system, the folder for temporary files', () => {
    const env = { CACHE_DIRECTORY: '/c:/d', STATE_DIRECTORY: '/s', XDG_CACHE_HOME: '/x' };
    assert.deepEqual(cacheCandidates(env, 7), [
      '/c/files',
      '/s/files',
      '/x/expertd/files',
      '/var/cache/expertd/files',
      join(tmpdir(), 'expertd-7', 'files'),
    ]);
    assert.ok(!cacheCandidates({ CACHE_DIRECTORY: 'relative' }, 7).includes('relative/files'));
  });

  test('who may write where', () => {
    assert.equal(whyUnsafe({ uid: 7, mode: 0o700 }, 7, true), null);
    assert.match(whyUnsafe({ uid: 8, mode: 0o700 }, 7, true) ?? '', /another user/);
    assert.match(whyUnsafe({ uid: 0, mode: 0o755 }, 7, true) ?? '', /another user/);
    assert.equal(whyUnsafe({ uid: 0, mode: 0o755 }, 7, false), null);
    assert.equal(whyUnsafe({ uid: 0, mode: 0o1777 }, 7, false), null, 'as /tmp is');
    assert.match(whyUnsafe({ uid: 0, mode: 0o777 }, 7, false) ?? '', /others/);
    assert.match(whyUnsafe({ uid: 7, mode: 0o1777 }, 7, true) ?? '', /others/);
    assert.match(whyUnsafe({ uid: 7, mode: 0o720 }, 7, true) ?? '', /others/);
  });

  test('the options of the mount that holds a path', () => {
    const table = [
      '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '30 22 0:26 / /var rw,nosuid,noexec - tmpfs tmpfs rw',
      '31 22 0:27 / /mnt/a\\040b rw,noexec - tmpfs tmpfs rw',
      '32 30 0:28 / /var rw,nodev - tmpfs tmpfs rw',
    ].join('\n');
    assert.deepEqual(mountOptions(table, '/home/a'), ['rw', 'relatime']);
    assert.deepEqual(mountOptions(table, '/var/cache'), ['rw', 'nodev'], 'the later mount hides the earlier');
    assert.deepEqual(mountOptions(table, '/various'), ['rw', 'relatime'], 'whole names only');
    assert.deepEqual(mountOptions(table, '/mnt/a b/c'), ['rw', 'noexec']);
  });
});
