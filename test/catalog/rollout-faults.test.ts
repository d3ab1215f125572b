/** Rollouts where the process ends, the disk is full, or the record of them is damaged. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { versionFolder } from '../../agent/catalog/added.ts';
import { writeExpert } from './folder.ts';
import { aWhile, counts, eventually, fillDisk, ID, release, staged, step, told } from './releases.ts';
import { config, failed, failureIn, setUp } from './set-up.ts';

type World = ReturnType<typeof setUp>;

/** The next process of an agent that did not come to its end. */
async function after({ base }: World, ...experts: object[]): Promise<World> {
  const world = setUp(base);
  await world.catalog.reconcile(config(experts));
  return world;
}

async function underWay() {
  const world = setUp();
  const { base, catalog, until } = world;
  const [v1, v2] = [release(base, '1.0.0'), release(base, '2.0.0')];
  const first = until(counts(v1));
  await catalog.reconcile(config([v1.wanted()]));
  await first;
  const second = until(staged(v2));
  await catalog.reconcile(config([v2.wanted()]));
  await second;
  return { ...world, v1, v2 };
}

test('a candidate whose load ended two processes is rolled back in the third', async () => {
  const first = await underWay();
  const { v2 } = first;
  let world: World = first;
  for (let process = 0; process < 2; process++) {
    assert.ok(world.events.some(staged(v2)));
    world.catalog.beginAttempt(ID);
    world.catalog.beginAttempt(v2.candidate);
    world.catalog.beginAttempt(v2.candidate);
    world = await after(world, v2.wanted());
  }
  assert.deepEqual(told(world.events), ['installed far 1.0.0', 'rolledBack far 2.0.0']);
  const event = world.events.find(({ type }) => type === 'rolledBack');
  assert.ok(event?.type === 'rolledBack');
  assert.match(event.why.message, /a load of "far" 2\.0\.0 ended this process 2 times/);
  assert.deepEqual(told((await after(world, v2.wanted())).events).slice(1), ['rolledBack far 2.0.0']);
});

test('a process that is ended by somebody does not count against the candidate', async () => {
  const first = await underWay();
  const { v2 } = first;
  let world: World = first;
  for (let process = 0; process < 4; process++) {
    world.catalog.beginAttempt(v2.candidate);
    await world.catalog.stop();
    world = await after(world, v2.wanted());
    assert.ok(world.events.some(staged(v2)));
  }
});

test('what ends after the stop writes nothing: the record is that of the agent that started again', async () => {
  const first = await underWay();
  const { v2, recordPath } = first;
  await first.catalog.stop();
  const second = await after(first, v2.wanted());
  second.catalog.rollout(step(v2, 'committed'));
  const written = readFileSync(recordPath, 'utf8');
  // Hashing a large model goes on for minutes; then the load would begin that it was for.
  first.catalog.beginAttempt(v2.candidate);
  first.catalog.rollout(step(v2, 'rolledBack'));
  assert.equal(readFileSync(recordPath, 'utf8'), written);
});

test('a probation goes on in the next process, and shows that the load ends none', async () => {
  const first = await underWay();
  const { v2 } = first;
  first.catalog.beginAttempt(v2.candidate);
  const progress = { answered: 12, elapsedMs: 3_500.5 };
  first.catalog.rollout(step(v2, 'probation', progress));
  const second = await after(first, v2.wanted());
  second.catalog.beginAttempt(v2.candidate);
  const third = await after(second, v2.wanted());
  third.catalog.beginAttempt(v2.candidate);
  third.catalog.rollout(step(v2, 'probation', { answered: 20, elapsedMs: 5_000 }));
  third.catalog.beginAttempt(v2.candidate);
  const event = second.events.find(staged(v2));
  assert.deepEqual(event?.type === 'staged' && event.progress, progress);
  assert.ok(
    (await after(third, v2.wanted())).events.some(staged(v2)),
    'one attempt since the probation began',
  );
});

test('where the record is damaged, what is on the disk counts, and it is said', async () => {
  for (const text of [
    '',
    '{"v":1,',
    '{"v":2,"experts":[]}',
    '{"v":1,"experts":[{"id":"far","current":7}]}',
  ]) {
    const first = await underWay();
    writeFileSync(first.recordPath, text);
    const wantsNew = await after(first, first.v2.wanted());
    assert.deepEqual(told(wantsNew.events), ['installed far 2.0.0']);
    assert.deepEqual(
      wantsNew.troubles.map(({ code }) => code),
      ['bad_memory'],
    );
    assert.ok(wantsNew.troubles[0]?.message.includes(first.recordPath));
    const next = await after(first, first.v2.wanted());
    assert.deepEqual([told(next.events), next.troubles], [['installed far 2.0.0'], []]);
  }
});

test('where the record is lost before the new version came, the old one is still what it is proven against', async () => {
  const { base, recordPath, catalog, until } = setUp();
  const [v1, v2] = [release(base, '1.0.0'), release(base, '2.0.0')];
  const first = until(counts(v1));
  await catalog.reconcile(config([v1.wanted()]));
  await first;
  writeFileSync(recordPath, 'torn');
  const next = setUp(base);
  const second = next.until(staged(v2));
  await next.catalog.reconcile(config([v2.wanted()]));
  await second;
  assert.deepEqual(told(next.events), ['installed far 1.0.0', 'staged far@2.0.0 2.0.0']);
});

test('what a power cut left of a record that was being written does not count', async () => {
  const first = await underWay();
  writeFileSync(`${first.recordPath}.new`, '{"v":1,"exp');
  const next = await after(first, first.v2.wanted());
  assert.deepEqual(
    [told(next.events), next.troubles],
    [['installed far 1.0.0', 'staged far@2.0.0 2.0.0'], []],
  );
  next.catalog.rollout(step(first.v2, 'committed'));
  assert.deepEqual(told((await after(next, first.v2.wanted())).events), ['installed far 2.0.0']);
});

test('on a full disk no rollout begins; it says so, and begins when there is room', async () => {
  const { base, catalog, until, recordPath, installDir, events } = setUp();
  const [v1, v2] = [release(base, '1.0.0'), release(base, '2.0.0')];
  const first = until(counts(v1));
  await catalog.reconcile(config([v1.wanted()]));
  await first;
  // It is on the disk already, as if the process had ended right after its fetch.
  const folder = join(installDir, ID, versionFolder(v2.version, v2.digest));
  cpSync(v2.source, folder, { recursive: true });
  const makeRoom = fillDisk(recordPath);
  const refused = until(failed(ID));
  await catalog.reconcile(config([v2.wanted()]));
  const { code, message, hint } = failureIn(await refused);
  assert.deepEqual([code, hint], ['not_kept', 'Free some space on the disk of stateDir.']);
  assert.match(message, /how far a rollout has come cannot be kept/);
  assert.ok(!events.some(staged(v2)));
  const begun = until(staged(v2));
  makeRoom();
  await begun;
  assert.equal(catalog.package(ID)?.digest, v1.digest);
});

test('what counts is on the record before its successor is fetched', async () => {
  const { base, catalog, until, recordPath, installDir, expertsDir, events } = setUp();
  writeExpert(expertsDir, ID, { version: '0.9.0' });
  const v1 = release(base, '1.0.0');
  const makeRoom = fillDisk(recordPath);
  const refused = until(failed(ID));
  await catalog.reconcile(config([v1.wanted()]));
  assert.equal(failureIn(await refused).code, 'not_kept');
  assert.ok(!existsSync(join(installDir, ID)));
  assert.deepEqual(told(events), ['installed far 0.9.0']);
  const begun = until(staged(v1));
  makeRoom();
  await begun;
});

test('a load is not begun that cannot be counted', async () => {
  const world = await underWay();
  const makeRoom = fillDisk(world.recordPath);
  assert.throws(() => world.catalog.beginAttempt(world.v2.candidate), { code: 'not_kept' });
  makeRoom();
  world.catalog.beginAttempt(world.v2.candidate);
  const { experts } = JSON.parse(readFileSync(world.recordPath, 'utf8'));
  assert.equal(experts[0].candidate.attempts, 1);
});

test('a commit that cannot be kept counts in this process; the next one begins again, with everything here', async () => {
  const world = await underWay();
  const { v1, v2, catalog, recordPath, installDir, troubles } = world;
  const makeRoom = fillDisk(recordPath);
  catalog.rollout(step(v2, 'committed'));
  assert.equal(catalog.package(ID)?.digest, v2.digest);
  assert.deepEqual(
    troubles.map(({ code }) => code),
    ['not_kept'],
  );
  await aWhile();
  assert.ok(existsSync(join(installDir, ID, versionFolder(v1.version, v1.digest))));
  const next = await after(world, v2.wanted());
  assert.deepEqual(told(next.events), ['installed far 1.0.0', 'staged far@2.0.0 2.0.0']);
  makeRoom();
  await catalog.reconcile(config([v2.wanted()]));
  const kept = await after(world, v2.wanted());
  assert.deepEqual(told(kept.events), ['installed far 2.0.0'], 'it was kept with the next that could be');
});

test('what a process left on the disk that ended right after a rollout goes in the next', async () => {
  const world = await underWay();
  const { v1, v2, catalog, installDir } = world;
  const folderOf = (one: typeof v1) => join(installDir, ID, versionFolder(one.version, one.digest));
  catalog.rollout(step(v2, 'rolledBack'));
  const isGone = () => !existsSync(folderOf(v2)) && !existsSync(`${folderOf(v2)}.part`);
  await eventually(isGone);
  cpSync(v2.source, folderOf(v2), { recursive: true });
  mkdirSync(`${folderOf(v2)}.part`);
  await after(world, v2.wanted());
  await eventually(isGone);
  assert.ok(existsSync(folderOf(v1)));
});
