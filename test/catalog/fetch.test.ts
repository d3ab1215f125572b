/** Where experts come from: folders, hosts, what breaks on the way, and what stays on the disk. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../agent/catalog/package.ts';
import { AgentError } from '../../agent/errors.ts';
import { writeExpert } from './folder.ts';

import { config, failed, failureIn, installed, serve, setUp } from './set-up.ts';

test('an expert is fetched from a folder, verified, and kept', async () => {
  const { catalog, base, until, events, installDir } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'far');
  const done = until(installed('far'));
  await catalog.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  await done;
  await catalog.verify('far', catalog.package('far')?.digest ?? '');
  assert.ok(catalog.package('far')?.directory.startsWith(installDir));
  assert.ok(
    events.some((event) => event.type === 'pending' && event.pending.doneBytes === event.pending.totalBytes),
  );
  rmSync(source, { recursive: true });
  const again = setUp(base);
  await again.catalog.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  assert.ok(
    again.events.some(installed('far')),
    'what was fetched is there at the next start, without its source',
  );
});

test('a remote source needs the sum of its manifest, and the refusal tells it', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'remote'), 'web');
  const sum = sha256(readFileSync(join(source, 'expert.json')));
  const uri = await serve(source);
  const refused = until(failed('web'));
  await catalog.reconcile(config([{ id: 'web', sources: [{ uri }] }]));
  const event = await refused;
  assert.ok(event.type === 'pending' && event.pending.error?.hint?.includes(sum));
  const done = until(installed('web'));
  await catalog.reconcile(config([{ id: 'web', sources: [{ uri, sha256: sum }] }]));
  await done;
});

test('a source that fails is followed by the next, and a later try goes on from what came', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'remote'), 'web');
  const sum = sha256(readFileSync(join(source, 'expert.json')));
  const asked: string[] = [];
  let down = true;
  const broken = await serve(source, () => 503);
  const flaky = await serve(source, (path) => {
    asked.push(path);
    return path.endsWith('labels.txt') && down ? 500 : null;
  });
  const first = until(failed('web'));
  const done = until(installed('web'));
  await catalog.reconcile(
    config([
      {
        id: 'web',
        sources: [
          { uri: broken, sha256: sum },
          { uri: flaky, sha256: sum },
        ],
      },
    ]),
  );
  await first;
  down = false;
  await done;
  assert.equal(
    asked.filter((path) => path.endsWith('model.onnx')).length,
    1,
    'what was whole is not fetched again',
  );
});

test('content that differs from the manifest is never installed', async () => {
  const { catalog, base, until, events } = setUp();
  const source = writeExpert(join(base, 'remote'), 'web');
  const sum = sha256(readFileSync(join(source, 'expert.json')));
  for (const wrong of [Buffer.from('weightr'), Buffer.from('weights and more'), Buffer.from('we')]) {
    const uri = await serve(source, (path) => (path.endsWith('model.onnx') ? wrong : null));
    const refused = until(failed('web'));
    await catalog.reconcile(config([{ id: 'web', sources: [{ uri, sha256: sum }] }]));
    const event = await refused;
    assert.ok(event.type === 'pending' && /model\.onnx came with/.test(event.pending.error?.message ?? ''));
    await catalog.reconcile(config());
  }
  assert.ok(!events.some(installed('web')));
});

test('a source that holds another expert, or is no source at all, is refused', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'other');
  for (const [uri, pattern] of [
    [`file:${source}`, /holds expert "other", not "mine"/],
    ['ftp://127.0.0.1/x', /neither file: nor https:/],
    ['http://example.com/x', /neither file: nor https:/],
    ['https://', /neither file: nor https:/],
    ['file://elsewhere/x', /names no folder of this device/],
  ] as const) {
    const refused = until(failed('mine'));
    await catalog.reconcile(config([{ id: 'mine', sources: [{ uri }] }]));
    const event = await refused;
    assert.ok(event.type === 'pending' && pattern.test(event.pending.error?.message ?? ''), uri);
    await catalog.reconcile(config());
  }
});

test('the newest of several fetched versions is taken: 1.10 is newer than 1.9', async () => {
  const { catalog, installDir, base } = setUp();
  for (const version of ['1.9.0', '1.10.0', '1.2.0']) {
    const made = writeExpert(join(base, version), 'far', { version });
    mkdirSync(join(installDir, 'far'), { recursive: true });
    renameSync(made, join(installDir, 'far', `${version}-${'0'.repeat(16)}`));
  }
  await catalog.reconcile(config([{ id: 'far' }]));
  assert.equal(catalog.package('far')?.manifest.version, '1.10.0');
});

test('what was fetched and damaged since is mended from its source; abandoned fetches go', async () => {
  const { catalog, base, until, installDir } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'far');
  const wanted = config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]);
  const first = until(installed('far'));
  await catalog.reconcile(wanted);
  await first;
  const { directory = '', digest = '' } = catalog.package('far') ?? {};
  rmSync(join(directory, 'labels.txt'));
  mkdirSync(join(installDir, 'far', '0.9.0-dead.part'));
  const again = until(installed('far'));
  await catalog.reconcile(wanted);
  await again;
  await catalog.verify('far', digest);
  assert.equal(catalog.package('far')?.directory, directory);
  assert.ok(!existsSync(join(installDir, 'far', '0.9.0-dead.part')));
});

test('a fetched file whose content changed on the disk is refused with the way to fetch it again', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'far');
  const done = until(installed('far'));
  await catalog.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  await done;
  const { directory = '', digest = '' } = catalog.package('far') ?? {};
  writeFileSync(join(directory, 'labels.txt'), 'a\nc\n');
  await assert.rejects(catalog.verify('far', digest), (error) => {
    assert.ok(error instanceof AgentError);
    assert.match(error.message, /labels\.txt/);
    assert.ok(error.hint?.includes(`Remove ${directory} and reload`), error.hint ?? '');
    return true;
  });
});

test('redirects are followed from host to host, not out of safety, and not for ever', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'remote'), 'web');
  const sum = sha256(readFileSync(join(source, 'expert.json')));
  const store = await serve(source);
  const hub = await serve(source, (path) => new URL(path, store));
  const leak = await serve(source, (path) => new URL(path, 'http://192.0.2.1?signature=secret'));
  const loop: string = await serve(source, (path) => new URL(path, loop));
  for (const [uri, pattern] of [
    [leak, /redirects to http:\/\/192\.0\.2\.1\/expert\.json, which is not https$/],
    [loop, /redirects more than 5 times/],
  ] as const) {
    const refused = until(failed('web'));
    await catalog.reconcile(config([{ id: 'web', sources: [{ uri, sha256: sum }] }]));
    assert.match(failureIn(await refused).message, pattern);
    await catalog.reconcile(config());
  }
  const done = until(installed('web'));
  await catalog.reconcile(config([{ id: 'web', sources: [{ uri: hub, sha256: sum }] }]));
  await done;
});

test('a manifest that never ends is given up at its limit', async () => {
  const { catalog, base, until } = setUp();
  const source = writeExpert(join(base, 'remote'), 'web');
  const uri = await serve(source, () => Buffer.alloc(5 * 1024 * 1024, ' '));
  const refused = until(failed('web'));
  await catalog.reconcile(config([{ id: 'web', sources: [{ uri, sha256: '0'.repeat(64) }] }]));
  assert.match(failureIn(await refused).message, /has more than 4194304 bytes/);
});

test('after a fetch nobody wants any more nothing is told of it', async () => {
  const { catalog, base, events } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'far');
  await catalog.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  await catalog.reconcile(config());
  const told = events.length;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.deepEqual(events.slice(told), []);
  assert.equal(catalog.package('far'), null);
});
