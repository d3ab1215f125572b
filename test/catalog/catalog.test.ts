import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { type CatalogEvent, ExpertCatalog } from '../../agent/catalog/catalog.ts';
import { sha256 } from '../../agent/catalog/package.ts';
import type { Config } from '../../agent/config.ts';
import { loadConfig } from '../../agent/configuration.ts';
import { AgentError } from '../../agent/errors.ts';
import type { Clock } from '../../agent/ports.ts';
import { emptyMemory, newFolder, writeExpert } from './folder.ts';

const root = newFolder();
after(() => rmSync(root, { recursive: true, force: true }));
const servers: Server[] = [];
const catalogs: ExpertCatalog[] = [];
afterEach(() => {
  for (const catalog of catalogs.splice(0)) catalog.stop();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Alarms go off at once: a retry does not wait. */
const hastyClock: Clock = {
  nowMs: () => 0,
  at: (_, callback) => {
    const timer = setImmediate(callback);
    return () => clearImmediate(timer);
  },
};

let made = 0;

function setUp() {
  const base = join(root, `case-${++made}`);
  const expertsDir = join(base, 'experts');
  mkdirSync(expertsDir, { recursive: true });
  const events: CatalogEvent[] = [];
  const waiting: { accepts: (event: CatalogEvent) => boolean; resolve: (event: CatalogEvent) => void }[] = [];
  const catalog = new ExpertCatalog({
    expertsDir,
    installDir: join(base, 'installed'),
    memory: emptyMemory(),
    clock: hastyClock,
    emit: (event) => {
      events.push(event);
      for (const one of waiting) if (one.accepts(event)) one.resolve(event);
    },
  });
  catalogs.push(catalog);
  const until = (accepts: (event: CatalogEvent) => boolean): Promise<CatalogEvent> =>
    new Promise((resolve) => waiting.push({ accepts, resolve }));
  return { base, expertsDir, installDir: join(base, 'installed'), catalog, events, until };
}

function config(experts: unknown[] = []): Config {
  return loadConfig({ path: null, overrides: { experts } });
}

/** Serves a folder on loopback; `tamper` may answer instead of it: a body, a status, where to go instead. */
async function serve(
  folder: string,
  tamper: (path: string) => Buffer | number | URL | null = () => null,
): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const special = tamper(path);
    if (typeof special === 'number') response.writeHead(special).end();
    else if (special instanceof URL) response.writeHead(302, { location: special.href }).end();
    else response.end(special ?? readFileSync(join(folder, path)));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const installed = (id: string) => (event: CatalogEvent) =>
  event.type === 'installed' && event.expert.id === id;
const failed = (id: string) => (event: CatalogEvent) =>
  event.type === 'pending' && event.expert === id && event.pending.state === 'failed';

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
  const again = new ExpertCatalog({
    expertsDir: join(base, 'experts'),
    installDir,
    memory: emptyMemory(),
    clock: hastyClock,
    emit: (event) => events.push(event),
  });
  events.length = 0;
  await again.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  assert.ok(events.some(installed('far')), 'what was fetched is there at the next start, without its source');
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

function failureIn(event: CatalogEvent | undefined): { code: string; message: string; hint: string } {
  assert.ok(event?.type === 'pending' && event.pending.error !== null, 'it failed');
  const { code, message, hint } = event.pending.error;
  return { code, message, hint: hint ?? '' };
}

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

test('a fetched version serves until its successor is here', async () => {
  const { catalog, base, until, events } = setUp();
  const home = join(base, 'elsewhere');
  const source = writeExpert(home, 'far');
  const first = until(installed('far'));
  await catalog.reconcile(config([{ id: 'far', version: '1.0.0', sources: [{ uri: `file:${source}` }] }]));
  await first;
  writeExpert(home, 'far', { version: '1.10.0' });
  events.length = 0;
  const second = until(installed('far'));
  await catalog.reconcile(config([{ id: 'far', version: '1.10.0', sources: [{ uri: `file:${source}` }] }]));
  assert.equal(catalog.package('far')?.manifest.version, '1.0.0');
  await second;
  assert.equal(catalog.package('far')?.manifest.version, '1.10.0');
  assert.ok(!events.some((event) => event.type === 'removed'));
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

test('after stop() a reading that is under way tells nothing', async () => {
  const { catalog, events, expertsDir } = setUp();
  writeExpert(expertsDir, 'a');
  const reading = catalog.reconcile(config([{ id: 'b' }]));
  catalog.stop();
  await reading;
  assert.deepEqual(events, []);
});
