import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readManifests } from '../../../agent/fleet/device/manifests.ts';
import { serve } from '../../catalog/set-up.ts';
import { sha256, World, wanted } from './twin-set-up.ts';

const NEVER = new AbortController().signal;

test('a manifest comes from the first source that has it with the right digest', async (t) => {
  const world = new World(t);
  const alpha = world.package('alpha');
  const folder = (alpha.sources[0] ?? '').slice('file:'.length);
  const url = await serve(dirname(folder), (path) => (path.startsWith('/gone') ? 404 : null));
  const forged = await serve(dirname(folder), () => Buffer.from('{}'));
  const sources = [`${url}/gone`, `${forged}/alpha`, `${url}/alpha`];
  const found = await readManifests([{ ...alpha, sources }, wanted('beta')], world.folder, NEVER);
  assert.deepEqual([...found.keys()], ['alpha']);
  assert.equal(found.get('alpha')?.manifest.id, 'alpha');
  assert.equal(found.get('alpha')?.isFetched, false);
});

test('a manifest without end is not read to its end', async (t) => {
  const world = new World(t);
  const endless = await serve(world.folder, () => Buffer.alloc(5 * 1024 ** 2, ' '));
  const digest = `sha256:${sha256(Buffer.alloc(5 * 1024 ** 2, ' '))}`;
  const found = await readManifests([wanted('alpha', { sources: [endless], digest })], world.folder, NEVER);
  assert.equal(found.size, 0);
});

test('a source that sends nothing is given up with the document', async (t) => {
  const world = new World(t);
  const abort = new AbortController();
  const server = createServer((_, response) => {
    response.writeHead(200).write('{');
    setImmediate(() => abort.abort());
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const experts = [wanted('alpha', { sources: [source] })];
  await assert.rejects(readManifests(experts, join(world.folder, 'none'), abort.signal), {
    name: 'AbortError',
  });
});
