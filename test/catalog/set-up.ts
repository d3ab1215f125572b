/** A catalog over folders made for a test, what it tells, and sources on loopback. Cleans up after each test file. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach } from 'node:test';
import { type CatalogEvent, ExpertCatalog } from '../../agent/catalog/catalog.ts';
import type { Config } from '../../agent/config.ts';
import { loadConfig } from '../../agent/configuration.ts';
import type { Clock } from '../../agent/ports.ts';
import type { Failure } from '../../agent/types.ts';
import { emptyMemory, newFolder } from './folder.ts';

export const root = newFolder();
after(() => rmSync(root, { recursive: true, force: true }));
const servers: Server[] = [];
const catalogs: ExpertCatalog[] = [];
afterEach(async () => {
  await Promise.all(catalogs.splice(0).map((catalog) => catalog.stop()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Alarms go off at once: a retry does not wait. */
export const hastyClock: Clock = {
  nowMs: () => 0,
  at: (_, callback) => {
    const timer = setImmediate(callback);
    return () => clearImmediate(timer);
  },
};

let made = 0;

/** Over a disk of its own, or over one that is there: then it is the agent's next process. */
export function setUp(base = join(root, `case-${++made}`)) {
  const places = { expertsDir: join(base, 'experts'), installDir: join(base, 'installed') };
  const recordPath = join(base, 'state', 'rollouts.json');
  mkdirSync(places.expertsDir, { recursive: true });
  const events: CatalogEvent[] = [];
  const troubles: Failure[] = [];
  const waiting: { accepts: (event: CatalogEvent) => boolean; resolve: (event: CatalogEvent) => void }[] = [];
  const catalog = new ExpertCatalog({
    ...places,
    addedDir: join(base, 'added'),
    recordPath,
    memory: emptyMemory(),
    clock: hastyClock,
    emit: (event) => {
      events.push(event);
      for (const one of waiting) if (one.accepts(event)) one.resolve(event);
    },
    onTrouble: (failure) => troubles.push(failure),
  });
  catalogs.push(catalog);
  const until = (accepts: (event: CatalogEvent) => boolean): Promise<CatalogEvent> =>
    new Promise((resolve) => waiting.push({ accepts, resolve }));
  return { base, ...places, recordPath, catalog, events, troubles, until };
}

export function config(experts: unknown[] = []): Config {
  return loadConfig({ path: null, overrides: { experts } });
}

/** Serves a folder on loopback; `tamper` may answer instead of it: a body, a status, where to go instead. */
export async function serve(
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

export const installed = (id: string) => (event: CatalogEvent) =>
  event.type === 'installed' && event.expert.id === id;
export const failed = (id: string) => (event: CatalogEvent) =>
  event.type === 'pending' && event.expert === id && event.pending.state === 'failed';

export function failureIn(event: CatalogEvent | undefined): { code: string; message: string; hint: string } {
  assert.ok(event?.type === 'pending' && event.pending.error !== null, 'it failed');
  const { code, message, hint } = event.pending.error;
  return { code, message, hint: hint ?? '' };
}
