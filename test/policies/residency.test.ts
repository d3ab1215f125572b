/** Who is evicted first: the properties that the two policies promise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResidencyPolicy, Victim } from '../../agent/policy.ts';
import { gdsf } from '../../policies/residency/gdsf.ts';
import { lru } from '../../policies/residency/lru.ts';

const MB = 1_048_576;

const victim: fc.Arbitrary<Victim> = fc.record({
  bytes: fc.integer({ min: 1, max: 2_000 * MB }),
  loadMs: fc.integer({ min: 1, max: 20_000 }),
  lastUsedMs: fc.nat(1_000_000),
  uses: fc.integer({ min: 1, max: 1_000 }),
  ageAtUse: fc.double({ min: 0, max: 1e6, noNaN: true }),
});

test('lru: the one that was used earlier goes, whatever else it is', () => {
  fc.assert(
    fc.property(victim, victim, (a, b) => {
      const difference = lru.value(a) - lru.value(b);
      assert.equal(Math.sign(difference), Math.sign(a.lastUsedMs - b.lastUsedMs));
    }),
  );
  assert.equal(lru.ages, false);
});

test('gdsf: of two of the same size, cost and age the one that is used less goes', () => {
  fc.assert(
    fc.property(victim, fc.integer({ min: 1, max: 100 }), (rare, more) => {
      assert.ok(gdsf.value(rare) < gdsf.value({ ...rare, uses: rare.uses + more, lastUsedMs: 0 }));
    }),
  );
});

test('gdsf: of two that are used alike the larger goes, or the one that is back sooner', () => {
  fc.assert(
    fc.property(victim, fc.integer({ min: 2, max: 10 }), (one, factor) => {
      assert.ok(gdsf.value({ ...one, bytes: one.bytes * factor }) <= gdsf.value(one));
      assert.ok(gdsf.value({ ...one, loadMs: one.loadMs * factor }) >= gdsf.value(one));
    }),
  );
});

test('gdsf: an expert of no measured size or cost has a value too', () => {
  const nothing = { bytes: 0, loadMs: 0, lastUsedMs: 0, uses: 0, ageAtUse: 3 };
  assert.equal(gdsf.value(nothing), 3);
  assert.ok(Number.isFinite(gdsf.value({ ...nothing, uses: 5, loadMs: 100 })));
});

/** Plays uses of experts in a cache that holds `places` of them; returns who is in it at the end. */
function simulate(policy: ResidencyPolicy, places: number, uses: readonly string[]): Set<string> {
  const known = new Map<string, Victim>();
  const inside = new Set<string>();
  let age = 0;
  for (const [atMs, id] of uses.entries()) {
    if (!inside.has(id) && inside.size >= places) {
      const valued = [...inside].map((one) => ({ one, value: policy.value(known.get(one) ?? nobody) }));
      const [worst] = valued.sort((a, b) => a.value - b.value);
      if (worst !== undefined) {
        inside.delete(worst.one);
        if (policy.ages) age = Math.max(age, worst.value);
      }
    }
    inside.add(id);
    const before = known.get(id) ?? nobody;
    known.set(id, { ...before, lastUsedMs: atMs, uses: before.uses + 1, ageAtUse: age });
  }
  return inside;
}

const nobody: Victim = { bytes: 10 * MB, loadMs: 100, lastUsedMs: 0, uses: 0, ageAtUse: 0 };

test('gdsf: a favourite survives a scan of experts that are used once, which lru does not', () => {
  const favourite = Array.from({ length: 10 }, () => 'favourite');
  const scan = ['a', 'b', 'c', 'd', 'e'];
  assert.ok(simulate(gdsf, 2, [...favourite, ...scan]).has('favourite'));
  assert.ok(!simulate(lru, 2, [...favourite, ...scan]).has('favourite'));
});

test('gdsf: ageing lets an old favourite go, once the others were used often enough since', () => {
  const favourite = Array.from({ length: 10 }, () => 'favourite');
  const later = Array.from({ length: 40 }, (_, index) => `new-${index % 4}`);
  assert.ok(!simulate(gdsf, 2, [...favourite, ...later]).has('favourite'));
  const frozen: ResidencyPolicy = { ...gdsf, ages: false };
  const unaged = Array.from({ length: 40 }, (_, index) => `once-${index}`);
  assert.ok(
    simulate(frozen, 2, [...favourite, ...unaged]).has('favourite'),
    'without ageing it stays for ever',
  );
  assert.ok(!simulate(gdsf, 2, [...favourite, ...unaged]).has('favourite'), 'with it, it does not');
});
