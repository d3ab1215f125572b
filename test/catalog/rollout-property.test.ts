/**
 * Whatever the fleet wants, whenever the process ends and whether or not the record can be written: one version of the
 * expert answers, it is the one that was proven last, and what was rolled back stays away.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Tenure } from '../../agent/catalog/rollouts.ts';
import type { RolloutStep } from '../../agent/catalog/staging.ts';
import { eventually, fillDisk, ID, type Release, release, step } from './releases.ts';
import { config, root, setUp } from './set-up.ts';

type Op =
  | { readonly kind: 'want'; readonly release: number }
  | { readonly kind: 'advance'; readonly phase: RolloutStep['phase'] }
  | { readonly kind: 'arrive' | 'attempt' | 'forget' | 'reload' | 'full' | 'room' | 'restart' }
  | { readonly kind: 'crash'; readonly torn: boolean };

const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('want'), release: fc.nat(2) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('advance'),
      phase: fc.constantFrom('probation', 'committed', 'rolledBack'),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'arrive' } as const) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('attempt', 'forget', 'reload', 'full', 'room', 'restart'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash'), torn: fc.boolean() }) },
) as fc.Arbitrary<Op>;

const shared = join(root, 'property');
const RELEASES = ['1.0.0', '2.0.0', '3.0.0'].map((version) => release(shared, version));
let disks = 0;

/** A device, what it told in this process, and what must be true of it. */
class Device {
  #world = setUp(join(root, `disk-${++disks}`));
  #read = 0;
  #makeRoom: (() => void) | null = null;
  #wanted = 0;
  /** Digests by id, as the loop has them. */
  readonly #told = new Map<string, string>();
  /** What answers, and must; null: nothing yet. */
  #counts: string | null = null;
  /** What answered before that. */
  #before: string | null = null;
  /** Rolled back, and not to come again. */
  #banned: string | null = null;

  async do(op: Op): Promise<void> {
    if (op.kind === 'want') this.#want(op.release);
    if (op.kind === 'want' || op.kind === 'reload') await this.#reconcile();
    else if (op.kind === 'advance') this.#advance(op.phase);
    else if (op.kind === 'arrive') await this.arrive();
    else if (op.kind === 'attempt') this.#attempt();
    else if (op.kind === 'forget') this.#forget();
    else if (op.kind === 'full') this.#makeRoom ??= fillDisk(this.#world.recordPath);
    else if (op.kind === 'room') this.#room();
    else if (op.kind === 'restart') await this.#next(() => this.#world.catalog.stop());
    else if (op.kind === 'crash') await this.#next(() => this.#lose(op.torn));
    this.#look();
  }

  /** What is wanted is here at last: it counts, proves itself, or was rolled back. */
  async arrive(): Promise<void> {
    if (this.#makeRoom !== null) return;
    await eventually(() => {
      this.#look();
      return [this.#counts, this.#candidate(), this.#banned].includes(this.#want().digest);
    });
  }

  async end(): Promise<void> {
    this.#room();
    await this.#world.catalog.stop();
    rmSync(this.#world.base, { recursive: true });
  }

  #want(index = this.#wanted): Release {
    if (index !== this.#wanted) this.#banned = null;
    this.#wanted = index;
    return RELEASES[index] ?? assert.fail();
  }

  #reconcile(): Promise<void> {
    return this.#world.catalog.reconcile(config([this.#want().wanted()]));
  }

  #candidate(): string | undefined {
    return [...this.#told].find(([id]) => id !== ID)?.[1];
  }

  #advance(phase: RolloutStep['phase']): void {
    this.#look();
    const proving = RELEASES.find(({ digest }) => digest === this.#candidate());
    if (proving === undefined) return;
    if (phase === 'committed') [this.#counts, this.#before] = [proving.digest, this.#counts];
    if (phase === 'rolledBack') this.#banned = proving.digest;
    this.#world.catalog.rollout(step(proving, phase));
  }

  #attempt(): void {
    this.#look();
    const id = [...this.#told.keys()].find((one) => one !== ID);
    const begin = () => this.#world.catalog.beginAttempt(id ?? ID);
    if (id !== undefined && this.#makeRoom !== null && this.#attempts() === 0)
      assert.throws(begin, { code: 'not_kept' });
    else if (this.#makeRoom === null) begin();
  }

  #forget(): void {
    this.#banned = null;
    this.#world.catalog.forget(ID);
  }

  #room(): void {
    this.#makeRoom?.();
    this.#makeRoom = null;
  }

  /** The disk as it is at this moment, in the middle of whatever is under way. */
  async #lose(torn: boolean): Promise<void> {
    const { base, catalog } = this.#world;
    const copy = join(root, `disk-${++disks}`);
    cpSync(base, copy, { recursive: true });
    await catalog.stop();
    rmSync(base, { recursive: true });
    this.#world = { ...this.#world, base: copy };
    const draft = join(copy, 'state', 'rollouts.json.new');
    if (torn && this.#makeRoom === null && existsSync(join(copy, 'state')))
      writeFileSync(draft, '{"v":1,"ex');
  }

  async #next(end: () => Promise<void>): Promise<void> {
    await end();
    const hadRoom = this.#makeRoom === null;
    this.#world = setUp(this.#world.base);
    if (!hadRoom) this.#makeRoom = fillDisk(this.#world.recordPath);
    this.#told.clear();
    this.#read = 0;
    const { current = null, candidate = null } = this.#recorded() ?? {};
    if (current !== null) {
      assert.ok([this.#counts, this.#before].includes(current.digest), 'what is recorded was proven');
      this.#counts = current.digest;
    } else this.#counts = null;
    const isTired = candidate !== null && candidate.attempts >= 2;
    this.#banned = candidate?.state === 'rolledBack' || isTired ? (candidate?.digest ?? null) : null;
    if (this.#banned !== this.#want().digest) this.#banned = null;
    await this.#reconcile();
  }

  #recorded(): Tenure | null {
    const { recordPath } = this.#world;
    if (!existsSync(recordPath)) return null;
    return JSON.parse(readFileSync(recordPath, 'utf8')).experts.find(({ id }: { id: string }) => id === ID);
  }

  #attempts(): number {
    return this.#recorded()?.candidate?.attempts ?? 0;
  }

  /** Follows what was told, and holds it against what must be. */
  #look(): void {
    const { events, catalog } = this.#world;
    for (const event of events.slice(this.#read)) {
      if (event.type === 'installed' || event.type === 'staged') {
        assert.notEqual(event.expert.digest, this.#banned, 'what was rolled back stays away');
        this.#told.set(event.expert.id, event.expert.digest);
      }
      if (event.type === 'removed') assert.ok(this.#told.delete(event.expert), 'it was here');
    }
    this.#read = events.length;
    const installed = this.#told.get(ID) ?? null;
    this.#counts ??= installed;
    assert.equal(installed, this.#counts, 'what was proven last answers');
    assert.equal(catalog.package(ID)?.digest ?? null, installed);
    assert.ok(this.#told.size <= 2, 'one candidate at most');
    if (this.#candidate() !== undefined) assert.notEqual(this.#candidate(), installed);
  }
}

test('one version answers, the one that was proven last, whatever happens', async () => {
  const property = fc.asyncProperty(fc.array(op, { minLength: 4, maxLength: 24 }), async (ops) => {
    const device = new Device();
    try {
      await device.do({ kind: 'reload' });
      for (const one of ops) await device.do(one);
      await device.do({ kind: 'room' });
      await device.do({ kind: 'reload' });
      await device.arrive();
    } finally {
      await device.end();
    }
  });
  await fc.assert(property, { numRuns: 80 });
});
