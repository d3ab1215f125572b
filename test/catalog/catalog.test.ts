import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { type CatalogEvent, ExpertCatalog } from '../../agent/catalog/catalog.ts';
import { sha256 } from '../../agent/catalog/package.ts';
import type { Config } from '../../agent/config.ts';
import { loadConfig } from '../../agent/configuration.ts';
import type { Clock } from '../../agent/ports.ts';
import { emptyMemory, newFolder, writeExpert } from './folder.ts';

const root = newFolder();
after(() => rmSync(root, { recursive: true, force: true }));
const servers: Server[] = [];
afterEach(() => {
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
  const until = (accepts: (event: CatalogEvent) => boolean): Promise<CatalogEvent> =>
    new Promise((resolve) => waiting.push({ accepts, resolve }));
  return { base, expertsDir, installDir: join(base, 'installed'), catalog, events, until };
}

function config(experts: unknown[] = []): Config {
  return loadConfig({ path: null, overrides: { experts } });
}

/** Serves a folder on loopback; `tamper` may answer instead of it. */
async function serve(
  folder: string,
  tamper: (path: string) => Buffer | number | null = () => null,
): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const special = tamper(path);
    if (typeof special === 'number') response.writeHead(special).end();
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
  catalog.stop();
});

test('an expert is fetched from a folder, verified, and kept', async () => {
  const { catalog, base, until, events, installDir } = setUp();
  const source = writeExpert(join(base, 'elsewhere'), 'far');
  const done = until(installed('far'));
  await catalog.reconcile(config([{ id: 'far', sources: [{ uri: `file:${source}` }] }]));
  await done;
  await catalog.verify('far');
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
  catalog.stop();
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
  catalog.stop();
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
    catalog.stop();
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
  ] as const) {
    const refused = until(failed('mine'));
    await catalog.reconcile(config([{ id: 'mine', sources: [{ uri }] }]));
    const event = await refused;
    assert.ok(event.type === 'pending' && pattern.test(event.pending.error?.message ?? ''), uri);
    catalog.stop();
  }
});
