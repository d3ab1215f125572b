import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMAND_TYPES, checkCommand } from '../../../agent/fleet/documents/command.ts';
import { checkDesired } from '../../../agent/fleet/documents/desired.ts';
import { checkEnrolment, checkKeySet } from '../../../agent/fleet/documents/keys.ts';
import { Refused } from '../../../agent/fleet/documents/refused.ts';
import { command, desired, keySet, NOW_SECONDS } from '../trust/made.ts';

const EXPERT = {
  id: 'medical',
  version: '1.2.3',
  digest: `sha256:${'a'.repeat(64)}`,
  sources: ['https://experts.example/medical', 'file:/media/usb/medical'],
};

/** What is wrong, in words. */
function problem(check: (value: unknown) => unknown, value: unknown): string {
  try {
    check(value);
  } catch (error) {
    assert.ok(error instanceof Refused, String(error));
    return `${error.reason}: ${error.message}${error.hint === null ? '' : ` ${error.hint}`}`;
  }
  return 'nothing';
}

test('a whole desired document', () => {
  const whole = desired({
    aud: ['kitchen-1', 'group:north'],
    nbf: NOW_SECONDS,
    experts: [
      { ...EXPERT, pinned: true, canary: { share: 0.1, decisions: 200 } },
      { ...EXPERT, id: 'legal', canary: { share: 1, minutes: 5 } },
    ],
    policy: { residency: 'lru', minScore: 0.4 },
    budget: '300MB',
    experts_remove: ['spam'],
  });
  assert.deepEqual(checkDesired(structuredClone(whole)), whole);
  assert.deepEqual(checkDesired(desired()), desired(), 'no default is filled in');
});

test('a desired document that is not right says where', () => {
  const of = (more: Record<string, unknown>) => problem(checkDesired, desired(more));
  const ofExpert = (more: Record<string, unknown>) => of({ experts: [{ ...EXPERT, ...more }] });
  assert.match(of({ experts_removed: [] }), /bad_shape: "experts_removed" is not .* "experts_remove"/);
  assert.match(ofExpert({ pined: true }), /"experts\[0\]\.pined" .*"pinned"/);
  assert.match(of({ policy: { residancy: 'lru' } }), /"policy\.residancy" .*"residency"/);
  assert.match(of({ policy: {} }), /bad_shape/);
  assert.match(of({ v: 2, everything: 'else' }), /unknown_version: .* 2, and 1 .*Update expertd/);
  assert.match(of({ gen: 0 }), /"gen" must be at least 1/);
  assert.match(of({ gen: 1.5 }), /"gen" must be an integer/);
  assert.match(of({ exp: Date.now() }), /"exp" must be at most/);
  assert.match(of({ nbf: NOW_SECONDS + 9_999 }), /"exp" must be later than "nbf"/);
  assert.match(of({ min_release: 2 }), /"release_no" is below/);
  assert.match(of({ aud: [] }), /"aud"/);
  assert.match(of({ aud: 'a/b' }), /"aud"/);
  assert.match(of({ aud: 'ctl' }), /no device is called/);
  assert.match(of({ experts: [EXPERT, EXPERT] }), /names "medical" twice/);
  assert.match(of({ experts: [EXPERT], experts_remove: ['medical'] }), /both in/);
  assert.match(of({ budget: '0 apples' }), /"budget"/);
  assert.match(of({ budget: '0MB' }), /"budget" is "0MB"/);
  assert.match(ofExpert({ canary: { share: 0.1 } }), /either "decisions" or "minutes"/);
  assert.match(ofExpert({ canary: { share: 0.1, decisions: 1, minutes: 1 } }), /either/);
  assert.match(ofExpert({ canary: { share: 0, decisions: 1 } }), /canary\.share/);
  assert.match(ofExpert({ digest: 'a'.repeat(64) }), /digest/);
  assert.match(ofExpert({ sources: [] }), /at least 1/);
  for (const source of ['http://example.org/x', 'ftp://a/b', 'file:', '/media', 'javascript:1'])
    assert.match(ofExpert({ sources: [source] }), /sources\[0\]/, source);
  for (const value of [null, [], 1, 'x', {}]) assert.match(problem(checkDesired, value), /bad_shape/);
});

test('each type of command has its arguments', () => {
  const args: Record<string, unknown> = {
    policy: { minScore: 0.2 },
    diagnostics: { parts: ['state', 'log'], log_lines: 50 },
    restart: {},
  };
  for (const type of COMMAND_TYPES) {
    const whole = command({ type, args: args[type] ?? { expert: 'medical' } });
    assert.deepEqual(checkCommand(structuredClone(whole)), whole, type);
    const more = { ...(args[type] as object | undefined), surprise: 1 };
    assert.match(problem(checkCommand, command({ type, args: more })), /bad_shape: args of/, type);
  }
  const of = (more: Record<string, unknown>) => problem(checkCommand, command(more));
  assert.match(of({ args: { expret: 'x', expert: 'y' } }), /args of load: "expret" .*"expert"/);
  assert.match(of({ type: 'format' }), /"type" must be "load" or/);
  assert.match(of({ id: '' }), /"id"/);
  assert.match(of({ exp: NOW_SECONDS + 32 * 86_400 }), /longer than 31 days/);
  assert.match(of({ exp: NOW_SECONDS - 10 }), /later than "nbf"/);
  assert.match(of({ ctr: 0 }), /"ctr"/);
});

test('no document is one of another kind', () => {
  const enrolment = { v: 1, aud: 'kitchen-1', keyset: keySet() };
  const kinds = [
    [checkDesired, desired()],
    [checkCommand, command()],
    [checkKeySet, keySet()],
    [checkEnrolment, enrolment],
  ] as const;
  for (const [check] of kinds)
    for (const [other, value] of kinds)
      if (check !== other) assert.match(problem(check, value), /bad_shape/);
      else assert.equal(problem(check, value), 'nothing');
});
