import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeExpert } from './folder.ts';

import { config, failed, failureIn, installed, setUp } from './set-up.ts';

test('every folder is an expert; a broken one is told and stops no other', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'good');
  mkdirSync(join(expertsDir, 'empty'));
  writeFileSync(join(writeExpert(expertsDir, 'broken'), 'labels.txt'), 'longer than before\n');
  await catalog.reconcile(config());
  assert.ok(events.some(installed('good')));
  const broken = events.find(failed('broken'));
  assert.ok(
    broken?.type === 'pending' && /labels\.txt has 19 bytes/.test(broken.pending.error?.message ?? ''),
  );
  assert.ok(events.some(failed('empty')));
});

test('adding, mending and removing a folder touches that expert alone', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  await catalog.reconcile(config());
  writeExpert(expertsDir, 'b');
  rmSync(join(expertsDir, 'a'), { recursive: true });
  events.length = 0;
  await catalog.reconcile(config());
  assert.deepEqual(events.map((event) => event.type).sort(), ['installed', 'removed']);
});

test('an expert that is no longer named is no longer pending', async () => {
  const { catalog, events, base } = setUp();
  const missing = { id: 'x', sources: [{ uri: `file:${join(base, 'nowhere')}` }] };
  await catalog.reconcile(config([missing]));
  await catalog.reconcile(config());
  assert.deepEqual(events.at(-1), { type: 'removed', expert: 'x' });
});

test('a folder bears the id of its expert, so that no two hold the same one', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  renameSync(writeExpert(expertsDir, 'b'), join(expertsDir, 'copy of b'));
  writeExpert(expertsDir, 'b');
  await catalog.reconcile(config());
  assert.ok(events.some(installed('a')) && events.some(installed('b')));
  const { message, hint } = failureIn(events.find(failed('copy of b')));
  assert.match(message, /copy of b holds expert "b"/);
  assert.match(hint, /Rename the folder to "b"/);
});

test('no expert can be called what lets the router choose', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'auto');
  await catalog.reconcile(config());
  assert.match(
    failureIn(events.find(failed('auto'))).message,
    /"auto" is the name that lets the router choose/,
  );
});

test('a link to a folder is followed, and one that leads nowhere is no expert', async () => {
  const { catalog, events, base, expertsDir } = setUp();
  symlinkSync(writeExpert(join(base, 'elsewhere'), 'linked'), join(expertsDir, 'linked'));
  symlinkSync(join(base, 'nowhere'), join(expertsDir, 'gone'));
  await catalog.reconcile(config());
  assert.deepEqual(
    events.map((event) => event.type),
    ['installed'],
  );
  await catalog.verify('linked', catalog.package('linked')?.digest ?? '');
});

test('a folder of another version than the configuration asks for is not taken for it', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  await catalog.reconcile(config([{ id: 'a', version: '2.0.0' }]));
  assert.match(failureIn(events.find(failed('a'))).message, /holds version 1\.0\.0 of "a".*asks for 2\.0\.0/);
  assert.ok(!events.some(installed('a')));
});

test('an expert that is named and nowhere is told with the fix, and not asked for again and again', async () => {
  const { catalog, events, until } = setUp();
  const refused = until(failed('ghost'));
  await catalog.reconcile(config([{ id: 'ghost' }]));
  const { message, hint } = failureIn(await refused);
  assert.match(message, /"ghost" has no source/);
  assert.match(hint, /expertsDir/);
  await new Promise(setImmediate);
  assert.equal(events.filter(failed('ghost')).length, 1);
});

test('where nothing can be read nothing changes', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  await catalog.reconcile(config());
  rmSync(expertsDir, { recursive: true });
  events.length = 0;
  let read = false;
  const again = catalog.reconcile(config(), () => {
    read = true;
  });
  await assert.rejects(again, /experts folder .* cannot be read/);
  assert.deepEqual([events, read, catalog.package('a')?.manifest.id], [[], false, 'a']);
});

test('a mended expert is installed and not removed on the way', async () => {
  const { catalog, events, expertsDir } = setUp();
  const labels = join(writeExpert(expertsDir, 'a'), 'labels.txt');
  const whole = readFileSync(labels);
  writeFileSync(labels, 'short');
  await catalog.reconcile(config());
  writeFileSync(labels, whole);
  events.length = 0;
  await catalog.reconcile(config());
  assert.deepEqual(
    events.map((event) => event.type),
    ['installed'],
  );
});

test('a load of one version is not begun with the files of another', async () => {
  const { catalog, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  await catalog.reconcile(config());
  const old = catalog.package('a')?.digest ?? '';
  await catalog.verify('a', old);
  writeExpert(expertsDir, 'a', { version: '2.0.0' });
  await catalog.reconcile(config());
  await assert.rejects(catalog.verify('a', old), { code: 'replaced', retryable: true });
  await catalog.verify('a', catalog.package('a')?.digest ?? '');
});

test('files that were hashed are hashed again where somebody touched one, even if he gave it its old time back', async () => {
  const { catalog, expertsDir } = setUp();
  const directory = writeExpert(expertsDir, 'a');
  await catalog.reconcile(config());
  const digest = catalog.package('a')?.digest ?? '';
  const path = join(directory, 'onnx/model.onnx');
  await catalog.verify('a', digest);
  const whole = readFileSync(path);
  const { atime, mtime } = statSync(path);
  const overwrite = (content: Uint8Array | string) => {
    writeFileSync(path, content);
    utimesSync(path, atime, mtime);
  };
  overwrite('WEIGHTS');
  await assert.rejects(catalog.verify('a', digest), /the content of onnx\/model\.onnx is not what/);
  overwrite(whole);
  await catalog.verify('a', digest);
  linkSync(path, join(directory, 'another name'));
  await catalog.verify('a', digest);
  rmSync(path);
  await assert.rejects(catalog.verify('a', digest), /onnx\/model\.onnx is missing/);
});

test('after stop() nothing is read, and what is under way tells nothing', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  await catalog.reconcile(config([{ id: 'b' }]));
  const told = events.length;
  await catalog.stop();
  await catalog.reconcile(config());
  assert.deepEqual(events.slice(told), []);
  assert.equal(catalog.package('a')?.manifest.version, '1.0.0');
});
