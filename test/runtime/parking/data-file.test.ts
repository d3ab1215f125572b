/** A file of weights that the runtime has mapped: what is seen of what is done to it, and that nothing runs after that. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Claim } from '../../../agent/runtime/parking/claim.ts';
import { DataFile } from '../../../agent/runtime/parking/data-file.ts';
import { folder } from './allocations.ts';

const OLD_S = 1_000;

function opened(t: TestContext): { readonly file: DataFile; readonly path: string } {
  const path = join(folder(t), 'weights.data');
  writeFileSync(path, 'weights');
  utimesSync(path, OLD_S, OLD_S);
  const file = DataFile.open(path, `fe:00 ${statSync(path).ino}`, [], 4_096);
  assert.ok(file !== null);
  return { file, path };
}

function overwrite(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, 'WEIGHTS');
  closeSync(file);
}

const HARMLESS: Readonly<Record<string, (path: string) => void>> = {
  'a second name': (path) => linkSync(path, `${path}.link`),
  'the loss of its name': (path) => unlinkSync(path),
  'the loss of its name to another file': (path) => {
    writeFileSync(`${path}.new`, 'WEIGHTS');
    renameSync(`${path}.new`, path);
  },
};
for (const [what, happens] of Object.entries(HARMLESS)) {
  test(`${what} changes nothing`, (t) => {
    const { file, path } = opened(t);
    happens(path);
    file.check();
    file.check();
    file.close();
  });
}

const HARMFUL: Readonly<Record<string, (path: string) => void>> = {
  'a cut': (path) => truncateSync(path, 3),
  growth: (path) => appendFileSync(path, 'x'),
  'a write': overwrite,
  'a write, after which it is as old as before': (path) => {
    overwrite(path);
    utimesSync(path, OLD_S, OLD_S);
  },
  'a second name, and a write after that was seen': (path) => {
    linkSync(path, `${path}.link`);
    overwrite(path);
  },
  'other permissions, which cannot be told from a write': (path) => chmodSync(path, 0o640),
};
for (const [what, happens] of Object.entries(HARMFUL)) {
  test(`${what} is seen, and named`, (t) => {
    const { file, path } = opened(t);
    happens(path);
    const changed = { code: 'weights_changed', message: /weights\.data (has another size|was written to)/ };
    assert.throws(() => file.check(), changed);
    assert.throws(() => file.check(), changed);
    file.close();
  });
}

test('seen with a second name, it is known with it: a write that is hidden afterwards is seen', (t) => {
  const { file, path } = opened(t);
  linkSync(path, `${path}.link`);
  file.check();
  overwrite(path);
  utimesSync(path, OLD_S, OLD_S);
  assert.throws(() => file.check(), { code: 'weights_changed' });
  file.close();
});

test('nothing runs on weights whose file was written to while they are here', async (t) => {
  const { file, path } = opened(t);
  // Without chunks nothing is done with memory.
  const claim = new Claim({ pageBytes: 4_096 } as ConstructorParameters<typeof Claim>[0], [], [file]);
  await claim.use(async () => {});
  await claim.copy('/nowhere');
  claim.adopt();
  assert.equal(await claim.use(async () => 'it ran'), 'it ran');
  overwrite(path);
  const running = claim.use(async () => assert.fail('it ran'));
  await assert.rejects(running, { code: 'weights_changed', message: /weights\.data was written to/ });
  await claim.release();
});

test('what the disk does not give is nothing to run with', async (t) => {
  const { file } = opened(t);
  // As far as reading goes, a file that was closed is a disk that fails.
  file.close();
  const reading = file.readAhead(new Uint8Array(7), 0);
  await assert.rejects(reading, {
    code: 'weights_changed',
    message: /weights\.data cannot be read: .*EBADF/,
  });
});
