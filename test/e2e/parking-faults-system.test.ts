/** Systems of another kind: a C library that its user has tuned, and one whose functions cannot be called. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { openParking } from '../../agent/runtime/parking/parking.ts';
import { ROOT } from '../../scripts/bundle.mjs';
import { Fleet } from './parking-fleet.ts';

const skip = (await openParking()) === null ? 'weights cannot leave memory on this system' : false;

/** Each of these alone would keep weights on the heap, or make memory look other than it does. */
const TUNED = {
  MALLOC_ARENA_MAX: '16',
  MALLOC_MMAP_THRESHOLD_: '33554432',
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
  MALLOC_TOP_PAD_: '67108864',
  MALLOC_PERTURB_: '85',
  MALLOC_CHECK_: '3',
  GLIBC_TUNABLES:
    'glibc.malloc.mmap_threshold=33554432:glibc.malloc.mmap_max=0:glibc.malloc.tcache_count=127:glibc.malloc.hugetlb=1',
};

test('MALLOC_ variables and GLIBC_TUNABLES of the user: cells have their own, so they park and say the same', {
  skip,
}, async (t) => {
  const fleet = await Fleet.open({ ids: ['crow', 'dove'], payloadBytes: 30_000_000, env: TUNED });
  t.after(() => fleet.close());
  for (const id of ['crow', 'dove']) await fleet.park(id);
  const { memory } = await fleet.expert('crow');
  const { parkedBytes, residentBytes = 0 } = memory ?? assert.fail('crow was never measured');
  assert.ok((parkedBytes ?? residentBytes) < residentBytes / 2, `${parkedBytes} of ${residentBytes} stay`);
  for (const id of ['crow', 'dove']) await fleet.say(id);
  const environment = readFileSync(`/proc/${await fleet.pidOf('crow')}/environ`, 'utf8').split('\0');
  const tuned = environment.filter((line) => /^(MALLOC_|GLIBC_TUNABLES)/.test(line)).sort();
  assert.deepEqual(tuned, ['MALLOC_ARENA_MAX=1', 'MALLOC_MMAP_THRESHOLD_=65536']);
});

/** A copy of the program beside all of its packages but the one that calls into C libraries. */
function withoutForeignFunctions(folder: string, argv: readonly string[]): readonly string[] {
  const at = argv.findIndex((one) => one.endsWith('expertd.cjs'));
  const bundle = argv[at] ?? assert.fail('no bundle is started');
  const copy = join(folder, 'program', 'dist', 'bundle');
  const packages = join(folder, 'program', 'node_modules');
  cpSync(dirname(bundle), copy, { recursive: true });
  mkdirSync(packages);
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((one) => one !== '@koromix'))
    symlinkSync(join(ROOT, 'node_modules', name), join(packages, name));
  return argv.with(at, join(copy, 'expertd.cjs'));
}

test('C functions cannot be called: unloaded instead, which is said once an expert; every answer is right', async (t) => {
  const fleet = await Fleet.open({
    ids: ['crow', 'dove'],
    payloadBytes: 30_000_000,
    config: { memory: { budget: '200MB' } },
    command: (argv, { folder }) => withoutForeignFunctions(folder, argv),
  });
  t.after(() => fleet.close());
  for (let round = 0; round < 3; round += 1) for (const id of ['crow', 'dove']) await fleet.say(id);
  const why = 'cannot be parked: Its weights stay in memory: this system has no way to do that';
  const before = await fleet.reasons();
  assert.equal(before.split(`crow ${why}`).length, 2, before);
  assert.match(before, /unload crow from heavy-1 .* for dove/);
  await fleet.command('dove', 'park');
  await fleet.agent.until(
    () => fleet.expert('dove'),
    ({ memory }) => /no way to do that/.test(memory?.notParkable ?? ''),
  );
  assert.equal((await fleet.expert('dove')).state, 'resident');
  await fleet.say('dove');
  const reasons = await fleet.reasons();
  assert.ok(reasons.includes(`dove ${why}`));
  assert.doesNotMatch(reasons, /is parked in/);
});
