/** The folder of what was added: every state that a kill can leave is either the old one or the new one. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { copyHashed } from '../../agent/adding/copy.ts';
import { Shelf } from '../../agent/adding/shelf.ts';
import { addedFolders, CURRENT, currentFolder } from '../../agent/catalog/added.ts';
import { hashFile, readPackage } from '../../agent/catalog/package.ts';
import { takeStock } from '../../agent/catalog/stock.ts';
import { writeExpert } from '../catalog/folder.ts';
import { newRoot, write } from './hub.ts';

let base: string;
let added: string;
let shelf: Shelf;
beforeEach(() => {
  base = newRoot();
  added = join(base, 'added');
  shelf = new Shelf(added);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A package in a staging folder, as an adding makes it. */
async function staged(version: string, id = 'mine'): Promise<{ staging: string; digest: string }> {
  const staging = await shelf.stage();
  const made = writeExpert(join(base, 'made', version), id, { version });
  const { digest } = readPackage(made);
  rmSync(staging, { recursive: true });
  renameSync(made, staging);
  return { staging, digest };
}

async function put(version: string, id = 'mine'): Promise<string> {
  const { staging, digest } = await staged(version, id);
  return shelf.put(staging, { id, version, digest });
}

const versions = (): (string | undefined)[] =>
  addedFolders(added).map(({ directory }) => readPackage(directory).manifest.version);

describe('what was added', () => {
  test('is there, is replaced in one step by a version of any number, and goes in one step', async () => {
    const first = await put('1.2.0');
    assert.deepEqual([versions(), currentFolder(added, 'mine')], [['1.2.0'], first]);
    const second = await put('1.0.0');
    assert.deepEqual(versions(), ['1.0.0']);
    // The agent may still be loading from it.
    assert.ok(existsSync(first));
    await shelf.tidy();
    assert.deepEqual([existsSync(first), existsSync(second)], [false, true]);
    assert.equal(await shelf.takeAway('mine'), true);
    assert.deepEqual([versions(), existsSync(second)], [[], true]);
    assert.equal(await shelf.takeAway('mine'), false);
    await shelf.tidy();
    assert.deepEqual(readdirSync(added), []);
  });

  test('is mended by adding the very same again', async () => {
    const folder = await put('1.0.0');
    writeFileSync(join(folder, 'labels.txt'), 'damaged');
    assert.equal(await put('1.0.0'), folder);
    assert.equal(readFileSync(join(folder, 'labels.txt'), 'utf8'), 'a\nb\n');
  });

  test('names that lead elsewhere are no experts', () => {
    write(added, `mine/${CURRENT}`, '../../elsewhere');
    write(added, `other/${CURRENT}`, '');
    write(added, `..x/${CURRENT}`, '1.0.0-0123456789abcdef');
    write(added, 'a-file', 'x');
    assert.deepEqual(addedFolders(added), []);
    assert.deepEqual(addedFolders(join(base, 'nowhere')), []);
    assert.equal(currentFolder(added, '../added/mine'), null);
  });
});

describe('a kill', () => {
  test('before the package has its name leaves what was there, and nothing after the next run', async () => {
    await put('1.0.0');
    const { staging } = await staged('2.0.0');
    rmSync(join(staging, 'expert.json'));
    assert.deepEqual(versions(), ['1.0.0']);
    await shelf.tidy();
    assert.deepEqual([versions(), existsSync(staging)], [['1.0.0'], false]);
  });

  test('after it has its name and before it counts leaves what was there', async () => {
    await put('1.0.0');
    const { staging, digest } = await staged('2.0.0');
    const name = `2.0.0-${digest.slice(0, 16)}`;
    renameSync(staging, join(added, 'mine', name));
    writeFileSync(join(added, 'mine', '.current-1'), `${name}\n`);
    assert.deepEqual(versions(), ['1.0.0']);
    await shelf.tidy();
    assert.deepEqual(versions(), ['1.0.0']);
    assert.equal(readdirSync(join(added, 'mine')).length, 2);
  });

  test('of a first adding before it counts leaves nothing', async () => {
    const { staging, digest } = await staged('1.0.0');
    write(added, 'mine/.keep', '');
    renameSync(staging, join(added, 'mine', `1.0.0-${digest.slice(0, 16)}`));
    assert.deepEqual(versions(), []);
    await shelf.tidy();
    assert.deepEqual(readdirSync(added), []);
  });
});

describe('an id in several places', () => {
  const wanted = (sources: { uri: string }[] = []) => [{ id: 'mine', sources, pinned: false }];
  const placed = (experts: ReturnType<typeof wanted> = []) => {
    const places = {
      expertsDir: join(base, 'experts'),
      installDir: join(base, 'installed'),
      addedDir: added,
    };
    return takeStock(places, experts);
  };

  test('is what was added before what came with expertd, and what the configuration has sources for before both', async () => {
    writeExpert(join(base, 'experts'), 'mine', { version: '1.0.0' });
    assert.equal(placed().found.get('mine')?.manifest.version, '1.0.0');
    await put('3.0.0');
    assert.equal(placed().found.get('mine')?.manifest.version, '3.0.0');
    assert.equal(placed(wanted()).found.get('mine')?.manifest.version, '3.0.0');
    const { found, missing } = placed(wanted([{ uri: 'file:/nowhere' }]));
    // What was added answers until the other is here and proven.
    assert.deepEqual([found.get('mine')?.manifest.version, missing.map(({ id }) => id)], ['3.0.0', ['mine']]);
    await shelf.takeAway('mine');
    assert.equal(placed().found.get('mine')?.manifest.version, '1.0.0');
  });

  test('a damaged one that was added is told, and is not hidden by another', async () => {
    writeExpert(join(base, 'experts'), 'mine');
    writeFileSync(join(await put('3.0.0'), 'labels.txt'), 'damaged');
    const { found, broken } = placed();
    assert.equal(found.get('mine'), undefined);
    assert.match(broken.get('mine')?.message ?? '', /labels\.txt has 7 bytes/);
  });
});

test('a copy is another file, whose sum is that of what was written', async () => {
  const [from, to] = [join(base, 'from'), join(base, 'deep/er/to')];
  const content = Buffer.alloc(3 * 1024 * 1024 + 7, 'expert');
  writeFileSync(from, content, { mode: 0o400 });
  const { bytes, sha256 } = await copyHashed(from, to);
  assert.deepEqual([bytes, sha256], [content.length, await hashFile(from)]);
  assert.notEqual(statSync(from).ino, statSync(to).ino);
  assert.equal(statSync(to).mode & 0o777, 0o644);
  rmSync(from);
  writeFileSync(from, 'edited in place');
  assert.equal(await hashFile(to), sha256);
  await assert.rejects(copyHashed(join(base, 'none'), join(base, 'to')), { code: 'ENOENT' });
});
