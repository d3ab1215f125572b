/** How a new version of an expert proves itself beside the one that counts, as far as the catalog sees it. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { versionFolder } from '../../agent/catalog/added.ts';
import { writeExpert } from './folder.ts';
import {
  aWhile,
  counts,
  eventually,
  ID,
  type Release,
  release,
  staged,
  step,
  told,
  WHY,
} from './releases.ts';
import { config, failed, failureIn, installed, setUp } from './set-up.ts';

/** The first version counts, and the second is staged beside it. */
async function underWay(more: object = {}) {
  const world = setUp();
  const { base, catalog, events, until, installDir } = world;
  const [v1, v2, v3] = ['1.0.0', '1.10.0', '2.0.0'].map((version) => release(base, version)) as [
    Release,
    Release,
    Release,
  ];
  const first = until(counts(v1));
  await catalog.reconcile(config([v1.wanted()]));
  await first;
  const second = until(staged(v2));
  await catalog.reconcile(config([v2.wanted(more)]));
  const event = await second;
  assert.ok(event.type === 'staged');
  const folderOf = ({ version, digest }: Release) => versionFolder(version, digest);
  const isOnDisk = (...releases: Release[]) =>
    isDeepStrictEqual(readdirSync(join(installDir, ID)).sort(), releases.map(folderOf));
  events.length = 0;
  return { ...world, v1, v2, v3, staged: event, isOnDisk, folderOf };
}

test('while a new version is fetched the old one answers, and then both are here', async () => {
  const { catalog, v1, v2, staged } = await underWay({ canary: { share: 0.25, minutes: 2 } });
  assert.equal(catalog.package(ID)?.digest, v1.digest);
  assert.equal(catalog.package(v2.candidate)?.digest, v2.digest);
  assert.deepEqual([staged.of, staged.expert.id, staged.expert.candidateOf], [ID, v2.candidate, ID]);
  assert.deepEqual(staged.canary, { share: 0.25, decisions: null, ms: 120_000 });
  assert.deepEqual(staged.progress, { answered: 0, elapsedMs: 0 });
});

test('a candidate is a package like any other to whoever loads it', async () => {
  const { catalog, v1, v2 } = await underWay();
  await catalog.verify(v2.candidate, v2.digest);
  await assert.rejects(catalog.verify(v2.candidate, v1.digest), { code: 'replaced' });
  assert.deepEqual(catalog.golden(v2.candidate), [{ input: 'x', output: 'y' }]);
  assert.deepEqual(catalog.golden('nobody'), []);
  assert.deepEqual(catalog.examples(v2.candidate), []);
  assert.equal(catalog.systemPrompt(v2.candidate), null);
  const found = catalog.package(v2.candidate);
  assert.equal(found === null ? null : catalog.originOf(found), 'fetched');
});

test('a reload tells nothing of a candidate again, but for what is asked of it', async () => {
  const { catalog, events, v2 } = await underWay();
  await catalog.reconcile(config([v2.wanted()]));
  assert.deepEqual(told(events), ['installed far 1.0.0']);
  events.length = 0;
  await catalog.reconcile(config([v2.wanted({ canary: { share: 1, decisions: 7 } })]));
  assert.deepEqual(told(events), ['installed far 1.0.0', 'staged far@1.10.0 1.10.0']);
  const event = events.find(staged(v2));
  assert.ok(event?.type === 'staged');
  assert.deepEqual(event.canary, { share: 1, decisions: 7, ms: null });
});

test('one that is committed takes the place, and what nobody goes back to leaves the disk', async () => {
  const { base, catalog, events, until, v1, v2, v3, isOnDisk } = await underWay();
  catalog.rollout(step(v2, 'committed'));
  assert.deepEqual(told(events), ['removed far@1.10.0', 'installed far 1.10.0']);
  assert.equal(catalog.package(ID)?.digest, v2.digest);
  assert.equal(catalog.package(v2.candidate), null);
  await eventually(() => isOnDisk(v1, v2));
  const third = until(staged(v3));
  await catalog.reconcile(config([v3.wanted()]));
  await third;
  catalog.rollout(step(v3, 'committed'));
  await eventually(() => isOnDisk(v2, v3));
  const again = setUp(base);
  await again.catalog.reconcile(config([v3.wanted()]));
  assert.deepEqual(told(again.events), ['installed far 2.0.0']);
});

test('one that is rolled back leaves, and is not fetched or tried again, in the next process neither', async () => {
  const { base, catalog, events, v1, v2, isOnDisk } = await underWay();
  catalog.rollout(step(v2, 'rolledBack'));
  assert.deepEqual(told(events), ['removed far@1.10.0']);
  await eventually(() => isOnDisk(v1));
  await catalog.reconcile(config([v2.wanted()]));
  await aWhile();
  assert.deepEqual(told(events), ['removed far@1.10.0', 'installed far 1.0.0'], 'the loop knows');
  const again = setUp(base);
  await again.catalog.reconcile(config([v2.wanted()]));
  await again.catalog.reconcile(config([v2.wanted()]));
  await aWhile();
  assert.deepEqual(told(again.events), [
    'installed far 1.0.0',
    'rolledBack far 1.10.0',
    'installed far 1.0.0',
  ]);
  const event = again.events.find(({ type }) => type === 'rolledBack');
  assert.deepEqual(event?.type === 'rolledBack' && event.why, WHY);
  assert.ok(isOnDisk(v1));
});

test('what was rolled back comes again once it is forgotten', async () => {
  const { catalog, events, until, v1, v2, isOnDisk } = await underWay();
  catalog.forget(ID);
  assert.deepEqual(events, [], 'nothing was rolled back yet');
  catalog.rollout(step(v2, 'rolledBack'));
  const again = until(staged(v2));
  catalog.forget(ID);
  await again;
  assert.equal(catalog.package(ID)?.digest, v1.digest);
  assert.ok(isOnDisk(v1, v2));
});

test('what was rolled back comes again once the configuration wanted something else meanwhile', async () => {
  const { catalog, until, v1, v2 } = await underWay();
  catalog.rollout(step(v2, 'rolledBack'));
  for (const meanwhile of [[v1.wanted()], []]) {
    await catalog.reconcile(config(meanwhile));
    const again = until(staged(v2));
    await catalog.reconcile(config([v2.wanted()]));
    await again;
    catalog.rollout(step(v2, 'rolledBack'));
  }
});

test('where the old version is wanted again the candidate leaves, and no word about it counts any more', async () => {
  const { catalog, events, v1, v2 } = await underWay();
  await catalog.reconcile(config([v1.wanted()]));
  catalog.rollout(step(v2, 'committed'));
  assert.deepEqual(told(events), ['removed far@1.10.0', 'installed far 1.0.0']);
  assert.equal(catalog.package(ID)?.digest, v1.digest);
});

test('a third version takes the place of the candidate', async () => {
  const { catalog, events, until, v2, v3 } = await underWay();
  const third = until(staged(v3));
  await catalog.reconcile(config([v3.wanted()]));
  assert.deepEqual(told(events), ['removed far@1.10.0', 'installed far 1.0.0']);
  await third;
  catalog.rollout(step(v2, 'committed'));
  assert.deepEqual(told(events.slice(-1)), ['staged far@2.0.0 2.0.0']);
});

test('another package of the same version is another candidate', async () => {
  const { base, catalog, events, until, v2 } = await underWay();
  const other = release(base, v2.version, { summary: 'the same number, other content' });
  assert.notEqual(other.digest, v2.digest);
  const second = until(staged(other));
  await catalog.reconcile(config([other.wanted()]));
  await second;
  assert.deepEqual(told(events), ['removed far@1.10.0', 'installed far 1.0.0', 'staged far@1.10.0 1.10.0']);
  assert.equal(catalog.package(other.candidate)?.digest, other.digest);
});

test('an expert that nobody wants leaves with its candidate; its version is still the one to prove oneself against', async () => {
  const { catalog, events, until, v2 } = await underWay();
  await catalog.reconcile(config());
  assert.deepEqual(told(events), ['removed far@1.10.0', 'removed far']);
  const again = until(staged(v2));
  await catalog.reconcile(config([v2.wanted()]));
  await again;
  assert.deepEqual(told(events.slice(2)), ['installed far 1.0.0', 'staged far@1.10.0 1.10.0']);
});

test('a folder answers until what the configuration has sources for is proven', async () => {
  const { base, catalog, events, until, expertsDir } = setUp();
  writeExpert(expertsDir, ID, { version: '0.9.0' });
  const v1 = release(base, '1.0.0');
  const second = until(staged(v1));
  await catalog.reconcile(config([v1.wanted()]));
  await second;
  assert.deepEqual(told(events), ['installed far 0.9.0', 'staged far@1.0.0 1.0.0']);
  // The next process sees a whole package that is wanted, and knows that it was not proven.
  const again = setUp(base);
  await again.catalog.reconcile(config([v1.wanted()]));
  assert.deepEqual(told(again.events), ['installed far 0.9.0', 'staged far@1.0.0 1.0.0']);
  again.catalog.rollout(step(v1, 'committed'));
  assert.equal(again.catalog.package(ID)?.manifest.version, '1.0.0');
  await again.catalog.reconcile(config());
  assert.equal(again.catalog.package(ID)?.manifest.version, '0.9.0', 'without sources the folder counts');
  again.events.length = 0;
  const proven = again.until(staged(v1));
  await again.catalog.reconcile(config([v1.wanted()]));
  await proven;
  assert.deepEqual(told(again.events), ['installed far 0.9.0', 'staged far@1.0.0 1.0.0']);
});

test('the very package that lies in a folder needs no proof', async () => {
  const { base, catalog, events, until, expertsDir } = setUp();
  const v1 = release(base, '1.0.0');
  writeExpert(expertsDir, ID);
  await catalog.reconcile(config());
  const fetched = until((event) => installed(ID)(event) && events.length > 2);
  await catalog.reconcile(config([v1.wanted()]));
  await fetched;
  await aWhile();
  assert.ok(!events.some(({ type }) => type === 'staged'));
  const found = catalog.package(ID);
  assert.equal(found === null ? null : catalog.originOf(found), 'fetched');
});

test('a source without a sum whose folder holds another version is a rollout as well', async () => {
  const { base, catalog, events, until, expertsDir } = setUp();
  const source = writeExpert(join(base, 'sources'), ID);
  const wanted = (version: string) => config([{ id: ID, version, sources: [{ uri: `file:${source}` }] }]);
  const first = until(installed(ID));
  await catalog.reconcile(wanted('1.0.0'));
  await first;
  writeExpert(join(base, 'sources'), ID, { version: '1.1.0' });
  const second = until(({ type }) => type === 'staged');
  await catalog.reconcile(wanted('1.1.0'));
  await second;
  assert.deepEqual(told(events.slice(-1)), ['staged far@1.1.0 1.1.0']);
  assert.equal(catalog.package(ID)?.manifest.version, '1.0.0');
  assert.deepEqual(readdirSync(expertsDir), []);
});

test('where the version that counted is gone, a new one counts at once, and one that was rolled back does not', async () => {
  const { base, v2, v1, v3, catalog, installDir, folderOf } = await underWay();
  catalog.rollout(step(v2, 'rolledBack'));
  await catalog.stop();
  rmSync(join(installDir, ID, folderOf(v1), 'labels.txt'));
  const again = setUp(base);
  await again.catalog.reconcile(config([v2.wanted()]));
  await aWhile();
  assert.deepEqual(told(again.events), ['rolledBack far 1.10.0']);
  assert.match(failureIn(again.events.find(failed(ID))).message, /1\.10\.0 was rolled back.*it said "b"/);
  const third = again.until(counts(v3));
  await again.catalog.reconcile(config([v3.wanted()]));
  await third;
  assert.equal(again.catalog.package(ID)?.digest, v3.digest);
});
