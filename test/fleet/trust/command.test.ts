import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  admitCommand,
  type CommandMemory,
  type CommandVerdict,
  NO_COMMANDS,
  settle,
  unfinished,
} from '../../../agent/fleet/trust/admit-command.ts';
import { ringOf } from '../../../agent/fleet/trust/keyring.ts';
import { NO_TRUST } from '../../../agent/fleet/trust/trust.ts';
import {
  bytes,
  COMMAND,
  command,
  ENROLLED,
  entry,
  envelope,
  HERE,
  keySet,
  makeKey,
  NO_CLOCK,
  NOW_SECONDS,
  RELEASE,
  ROOT,
} from './made.ts';

const signed = (more: Record<string, unknown>, ...keys: Parameters<typeof envelope>[2][]) =>
  bytes(envelope('command', command(more), ...(keys.length === 0 ? [COMMAND] : keys)));
const admit = (payload: Uint8Array, memory: CommandMemory = NO_COMMANDS, here = HERE, retained = false) =>
  admitCommand(memory, payload, retained, ENROLLED, here);

function why(verdict: CommandVerdict): string {
  const { verdict: word } = verdict;
  return 'reason' in verdict ? `${word} ${verdict.reason}` : word;
}

test('a command runs once, and then says again what became of it', () => {
  const payload = signed({});
  const first = admit(payload);
  assert.ok(first.verdict === 'run');
  assert.deepEqual(first.signers, [COMMAND.id]);
  assert.equal(first.command.type === 'load' && first.command.args.expert, 'medical');
  assert.deepEqual(
    unfinished(first.memory).map(({ id }) => id),
    ['c1'],
  );
  const done = settle(first.memory, 'c1', { state: 'SUCCEEDED', reason: null, detail: 'x'.repeat(5_000) });
  assert.deepEqual(unfinished(done), []);
  const again = admit(payload, done);
  assert.ok(again.verdict === 'repeat');
  assert.equal(again.result.state, 'SUCCEEDED');
  assert.equal(again.result.detail?.length, 1_024);
  const late = { ...HERE, nowMs: (NOW_SECONDS + 99_999) * 1_000 };
  assert.equal(why(admit(payload, done, late)), 'repeat', 'what became of it stays true');
});

test('what is final stays final', () => {
  const { memory } = admit(signed({}));
  const state = (at: CommandMemory) => at.results.map((one) => one.state);
  const under = settle(memory, 'c1', { state: 'IN_PROGRESS', reason: null, detail: null });
  assert.deepEqual(state(under), ['IN_PROGRESS']);
  const failed = settle(under, 'c1', { state: 'TIMED_OUT', reason: 'slow', detail: null });
  assert.deepEqual(settle(failed, 'c1', { state: 'SUCCEEDED', reason: null, detail: null }), failed);
  assert.deepEqual(settle(failed, 'c2', { state: 'SUCCEEDED', reason: null, detail: null }), failed);
});

test('who may not give commands', () => {
  assert.equal(why(admit(signed({}, RELEASE))), 'refuse wrong_role');
  assert.equal(why(admit(signed({}, ROOT))), 'refuse wrong_role');
  assert.equal(why(admit(signed({}, makeKey()))), 'refuse unknown_key');
  assert.equal(why(admitCommand(NO_COMMANDS, signed({}), false, NO_TRUST, HERE)), 'refuse no_keys');
});

test('a command that a broker keeps is ignored, whatever it is', () => {
  assert.equal(why(admit(signed({}), NO_COMMANDS, HERE, true)), 'ignore retained');
  assert.equal(why(admit(new Uint8Array(9), NO_COMMANDS, HERE, true)), 'ignore retained');
});

test('times, audience, and who is answered', () => {
  const refusal = (more: Record<string, unknown>, here = HERE) => {
    const verdict = admit(signed(more), NO_COMMANDS, here);
    return [why(verdict), 'id' in verdict ? verdict.id : undefined];
  };
  assert.deepEqual(refusal({ exp: NOW_SECONDS - 61, nbf: NOW_SECONDS - 90 }), ['refuse expired', 'c1']);
  assert.deepEqual(refusal({ nbf: NOW_SECONDS + 61 }), ['refuse not_yet_valid', 'c1']);
  assert.deepEqual(refusal({ aud: 'kitchen-2' }), ['refuse wrong_audience', null]);
  assert.deepEqual(refusal({ type: 'format' }), ['refuse bad_shape', null]);
  const verdict = admit(signed({ exp: NOW_SECONDS - 61, nbf: 1_799_000_000 }), NO_COMMANDS, NO_CLOCK);
  assert.ok(verdict.verdict === 'run');
  assert.deepEqual(verdict.conditions, ['ClockUntrusted']);
});

test('one id is one command, and the counter of each key rises', () => {
  const other = makeKey();
  const ring = ringOf(keySet({ keys: [...keySet().keys, entry(other, 'command')] }), null);
  const take = (payload: Uint8Array, memory: CommandMemory) =>
    admitCommand(memory, payload, false, { ...ENROLLED, ring }, HERE);
  const { memory } = take(signed({ ctr: 5 }), NO_COMMANDS);
  assert.equal(why(take(signed({ ctr: 6, args: { expert: 'legal' } }), memory)), 'refuse forked');
  assert.equal(why(take(signed({ id: 'c2', ctr: 5 }), memory)), 'refuse low_counter');
  assert.equal(why(take(signed({ id: 'c2', ctr: 6 }), memory)), 'run');
  assert.equal(why(take(signed({ id: 'c2', ctr: 1 }, other), memory)), 'run', 'each key counts for itself');
  const both = take(signed({ id: 'c2', ctr: 9 }, COMMAND, other), memory);
  assert.deepEqual(both.memory.counters, { [COMMAND.id]: 9, [other.id]: 9 });
  assert.equal(why(take(signed({ id: 'c3', ctr: 9 }, other), both.memory)), 'refuse low_counter');
});

test('a command that was forgotten never runs again, even by another of its signatures', () => {
  const other = makeKey();
  const ring = ringOf(keySet({ keys: [...keySet().keys, entry(other, 'command')] }), null);
  const trust = { ...ENROLLED, ring };
  const both = envelope('command', command(), COMMAND, other);
  const only = (index: number) => bytes({ ...both, signatures: both.signatures.slice(index, index + 1) });
  let memory = admitCommand(NO_COMMANDS, only(0), false, trust, HERE).memory;
  memory = settle(memory, 'c1', { state: 'SUCCEEDED', reason: null, detail: null });
  for (let ctr = 2; memory.results.some(({ id }) => id === 'c1'); ctr++) {
    const next = signed({ id: `n${ctr}`, ctr, exp: NOW_SECONDS + 601 + ctr });
    memory = admitCommand(memory, next, false, trust, HERE).memory;
    assert.ok(ctr < 1_000, 'the memory is bounded');
  }
  assert.equal(why(admitCommand(memory, only(0), false, trust, HERE)), 'refuse forgotten');
  assert.equal(why(admitCommand(memory, only(1), false, trust, NO_CLOCK)), 'refuse forgotten');
  const fresh = signed({ id: 'fresh', ctr: 5_000, exp: NOW_SECONDS + 9_000 });
  assert.equal(why(admitCommand(memory, fresh, false, trust, HERE)), 'run');
});

test('in whatever order and however often they come, no command runs twice', () => {
  const sent = Array.from({ length: 6 }, (_, index) => signed({ id: `c${index}`, ctr: index + 1 }));
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 40 }), (order) => {
      const ran: string[] = [];
      order.reduce((memory, index) => {
        const verdict = admit(sent[index] ?? new Uint8Array(), memory);
        if (verdict.verdict === 'run') ran.push(verdict.command.id);
        return verdict.memory;
      }, NO_COMMANDS);
      assert.equal(new Set(ran).size, ran.length);
      assert.deepEqual(ran, [...ran].sort(), 'the counter keeps the order');
    }),
    { numRuns: 60 },
  );
});
