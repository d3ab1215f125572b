import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Desired } from '../../../agent/fleet/documents/desired.ts';
import {
  admitDesired,
  type DesiredMemory,
  type DesiredVerdict,
  NO_DESIRED,
} from '../../../agent/fleet/trust/admit-desired.ts';
import { sha256 } from '../../../agent/fleet/trust/keyring.ts';
import { NO_TRUST } from '../../../agent/fleet/trust/trust.ts';
import {
  bytes,
  COMMAND,
  desired,
  ENROLLED,
  envelope,
  HERE,
  NO_CLOCK,
  NOW_SECONDS,
  RELEASE,
  ROOT,
  STRANGER,
} from './made.ts';

const signed = (document: Desired) => bytes(envelope('desired', document, RELEASE));
const admit = (payload: Uint8Array, memory: DesiredMemory = NO_DESIRED, here = HERE) =>
  admitDesired(memory, payload, ENROLLED, here);

function why(verdict: DesiredVerdict): string {
  return verdict.verdict === 'apply' ? 'apply' : `${verdict.verdict} ${verdict.reason}`;
}

test('a document that is signed, new and for this device is followed and remembered', () => {
  const one = envelope('desired', desired({ gen: 7, release_no: 3, min_release: 2 }), RELEASE);
  const verdict = admit(bytes(one));
  assert.ok(verdict.verdict === 'apply');
  assert.equal(verdict.document.gen, 7);
  assert.deepEqual(Buffer.from(verdict.body), Buffer.from(one.body));
  assert.deepEqual(verdict.memory, {
    gen: 7,
    digest: sha256(one.body),
    releaseNo: 3,
    minRelease: 2,
    keysVersion: 0,
  });
  assert.deepEqual(verdict.conditions, []);
  assert.equal(verdict.trust, ENROLLED);
});

test('who has not signed gives no orders', () => {
  const document = desired();
  const unsigned = envelope('desired', document);
  const by = (...keys: Parameters<typeof envelope>[2][]) => bytes(envelope('desired', document, ...keys));
  assert.equal(why(admit(Buffer.from(JSON.stringify(document)))), 'refuse bad_envelope');
  assert.equal(why(admit(bytes(unsigned))), 'refuse unsigned');
  assert.equal(why(admit(by(STRANGER))), 'refuse unknown_key');
  assert.equal(why(admit(by(COMMAND))), 'refuse wrong_role');
  assert.equal(why(admit(by(ROOT))), 'refuse wrong_role');
  assert.equal(why(admit(by(STRANGER, RELEASE))), 'apply', 'one that counts is enough');
  assert.equal(why(admitDesired(NO_DESIRED, by(RELEASE), NO_TRUST, HERE)), 'refuse no_keys');
  assert.equal(why(admit(bytes(envelope('command', document, RELEASE)))), 'refuse wrong_type');
});

test('the name of a key is a hint: without one all are tried, with a wrong one none is believed', () => {
  const good = envelope('desired', desired(), RELEASE);
  const named = (keyid: string | null) =>
    bytes({ ...good, signatures: good.signatures.map((one) => ({ ...one, keyid })) });
  assert.equal(why(admit(named(null))), 'apply');
  assert.equal(why(admit(named(COMMAND.id))), 'refuse bad_signature');
  assert.equal(why(admit(named('release'))), 'refuse unknown_key');
});

test('a type that is not the one that was signed', () => {
  const command = envelope('command', desired(), RELEASE);
  const renamed = { ...command, payloadType: 'application/vnd.expertd.desired+json' };
  assert.equal(why(admit(bytes(renamed))), 'refuse bad_signature');
});

test('what is signed and no document is refused with its reason', () => {
  const of = (value: unknown) => why(admit(bytes(envelope('desired', value, RELEASE))));
  assert.equal(of({ ...desired(), v: 2 }), 'refuse unknown_version');
  assert.equal(of({ ...desired(), expertz: [] }), 'refuse bad_shape');
  assert.equal(of('{"v":1,"v":1}'), 'refuse duplicate_key');
  assert.equal(of('{"__proto__":{}}'), 'refuse forbidden_key');
  assert.equal(of(`${'['.repeat(99)}${']'.repeat(99)}`), 'refuse too_deep');
  assert.equal(of('no json'), 'refuse bad_json');
  assert.equal(why(admit(new Uint8Array(131_073))), 'refuse oversize');
});

test('audience: the device, its groups, nobody else', () => {
  const of = (aud: Desired['aud']) => why(admit(signed(desired({ aud }))));
  assert.equal(of(['kitchen-2', 'kitchen-1']), 'apply');
  assert.equal(of('group:north'), 'apply');
  assert.equal(of('kitchen-2'), 'refuse wrong_audience');
  assert.equal(of(['group:south', 'north', 'kitchen-10']), 'refuse wrong_audience');
  assert.equal(of('group:kitchen-1'), 'refuse wrong_audience');
});

test('generations: older ones and the same are ignored, another of the same is a fork', () => {
  const first = signed(desired({ gen: 5 }));
  const { memory } = admit(first);
  assert.equal(why(admit(first, memory)), 'ignore same_generation');
  assert.equal(why(admit(signed(desired({ gen: 4 })), memory)), 'ignore old_generation');
  assert.equal(why(admit(signed(desired({ gen: 5, budget: '1GB' })), memory)), 'refuse forked');
  assert.equal(admit(signed(desired({ gen: 5, budget: '1GB' })), memory).memory, memory);
  const again = bytes(envelope('desired', desired({ gen: 5 }), RELEASE, STRANGER));
  assert.equal(why(admit(again, memory)), 'ignore same_generation', 'who else has signed is no matter');
});

test('releases: the minimum only rises, and nothing below it comes back', () => {
  const step = (memory: DesiredMemory, gen: number, release_no: number, min_release: number) =>
    admit(signed(desired({ gen, release_no, min_release })), memory);
  const at9 = step(NO_DESIRED, 1, 9, 5).memory;
  const back = step(at9, 2, 6, 2);
  assert.equal(why(back), 'apply', 'going back is a higher generation that names older content');
  assert.deepEqual([back.memory.releaseNo, back.memory.minRelease], [6, 5]);
  assert.equal(why(step(back.memory, 3, 4, 1)), 'refuse rollback');
  assert.equal(why(step(back.memory, 3, 5, 1)), 'apply');
});

test('times count where the clock is trusted, and are said not to where it is not', () => {
  const expired = signed(desired({ exp: NOW_SECONDS - 3_600 }));
  const early = signed(desired({ nbf: NOW_SECONDS + 600 }));
  assert.equal(why(admit(expired)), 'refuse expired');
  const waiting = admit(early);
  assert.equal(why(waiting), 'ignore not_yet_valid');
  assert.ok(waiting.verdict === 'ignore' && waiting.retryAtMs === (NOW_SECONDS + 600) * 1_000);
  assert.equal(waiting.memory, NO_DESIRED);
  for (const payload of [expired, early]) {
    const verdict = admit(payload, NO_DESIRED, NO_CLOCK);
    assert.ok(verdict.verdict === 'apply');
    assert.deepEqual(verdict.conditions, ['ClockUntrusted']);
  }
  assert.equal(why(admit(signed(desired({ exp: NOW_SECONDS - 30 })))), 'apply', 'clocks differ a little');
});

test('in whatever order they come, and however often, the highest generation stays', () => {
  const release = fc.record({ step: fc.integer({ min: 0, max: 3 }), floor: fc.integer({ min: 0, max: 2 }) });
  const history = fc.array(release, { minLength: 1, maxLength: 8 }).map((steps) => {
    let [release_no, min_release] = [1, 1];
    return steps.map(({ step, floor }, index) => {
      release_no += step;
      min_release = Math.min(release_no, min_release + floor);
      return signed(desired({ gen: index + 1, release_no, min_release }));
    });
  });
  const arrivals = history.chain((all) =>
    fc.record({
      all: fc.constant(all),
      order: fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 }).map((some) => some),
    }),
  );
  fc.assert(
    fc.property(arrivals, ({ all, order }) => {
      const end = order.reduce((memory, payload) => admit(payload, memory).memory, NO_DESIRED);
      const inOrder = all.reduce((memory, payload) => admit(payload, memory).memory, NO_DESIRED);
      assert.deepEqual(end, inOrder);
      assert.equal(end.gen, all.length);
    }),
    { numRuns: 60 },
  );
});
