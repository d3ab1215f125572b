/** First keys, rotation, revocation: each way in, and each that is barred. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Desired } from '../../../agent/fleet/documents/desired.ts';
import { checkEnrolment, type Enrolment, type KeySet } from '../../../agent/fleet/documents/keys.ts';
import { admitDesired, NO_DESIRED } from '../../../agent/fleet/trust/admit-desired.ts';
import type { Envelope } from '../../../agent/fleet/trust/dsse.ts';
import { tokenEnvelope } from '../../../agent/fleet/trust/issue.ts';
import {
  admitKeys,
  admitKeysMessage,
  isToken,
  NO_TRUST,
  newToken,
  type Trust,
} from '../../../agent/fleet/trust/trust.ts';
import {
  bytes,
  COMMAND,
  desired,
  ENROLLED,
  entry,
  envelope,
  HERE,
  keySet,
  type Made,
  makeKey,
  NO_CLOCK,
  NOW_SECONDS,
  RELEASE,
  ROOT,
} from './made.ts';

const NEXT_ROOT = makeKey();
const NEXT_RELEASE = makeKey();
/** The second set: all keys are other ones, and the first release key was stolen. */
const SECOND = keySet({
  version: 2,
  keys: [entry(NEXT_ROOT, 'root'), entry(NEXT_RELEASE, 'release'), entry(COMMAND, 'command')],
  revoked: [RELEASE.id],
});
const set = (value: KeySet, ...signers: Made[]) => envelope('keys', value, ...signers);
const rotated = set(SECOND, ROOT, NEXT_ROOT);
const refuses = (trust: Trust, one: Envelope, reason: string, here = HERE) =>
  assert.throws(() => admitKeys(trust, one, here), { reason });

test('a key set that old and new root keys have signed replaces all keys', () => {
  const after = admitKeys(ENROLLED, rotated, HERE);
  assert.equal(after.ring?.version, 2);
  assert.deepEqual(after.ring.revoked, [RELEASE.id]);
  const said = (trust: Trust, by: Made) =>
    admitDesired(NO_DESIRED, bytes(envelope('desired', desired(), by)), trust, HERE);
  assert.equal(said(after, NEXT_RELEASE).verdict, 'apply');
  const stolen = said(after, RELEASE);
  assert.ok(stolen.verdict === 'refuse' && stolen.reason === 'revoked_key');
  assert.equal(said(ENROLLED, RELEASE).verdict, 'apply');
});

test('a key set that must not be followed', () => {
  refuses(ENROLLED, set(SECOND, NEXT_ROOT), 'unknown_key');
  refuses(ENROLLED, set(SECOND, ROOT), 'unknown_key');
  refuses(ENROLLED, set(SECOND, RELEASE, NEXT_ROOT), 'wrong_role');
  refuses(ENROLLED, set({ ...SECOND, version: 3 }, ROOT, NEXT_ROOT), 'missing_keys');
  refuses(ENROLLED, set(keySet(), ROOT), 'old_keys');
  refuses(ENROLLED, set(keySet({ keys: [entry(ROOT, 'root')] }), ROOT), 'forked');
  refuses(admitKeys(ENROLLED, rotated, HERE), set(keySet(), ROOT), 'old_keys');
  refuses(NO_TRUST, rotated, 'no_keys');
  refuses(ENROLLED, envelope('desired', SECOND, ROOT, NEXT_ROOT), 'wrong_type');
  const back = keySet({ version: 3, keys: [entry(NEXT_ROOT, 'root'), entry(RELEASE, 'release')] });
  refuses(admitKeys(ENROLLED, rotated, HERE), set(back, NEXT_ROOT), 'bad_keys');
});

test('a key set that would lock the fleet out, or holds no keys', () => {
  const bad = (more: Partial<KeySet>, reason = 'bad_keys') =>
    refuses(ENROLLED, set(keySet({ version: 2, ...more }), ROOT), reason);
  bad({ keys: [entry(RELEASE, 'release')] });
  bad({ thresholds: { root: 2 } });
  bad({ thresholds: { command: 2 } });
  bad({ revoked: [COMMAND.id] });
  bad({ keys: [...keySet().keys, entry(ROOT, 'command')] }, 'bad_shape');
  bad({ keys: [{ key: `${'A'.repeat(59)}=`, roles: ['root'] }] });
  assert.equal(
    admitKeys(ENROLLED, set(keySet({ version: 2, keys: [entry(ROOT, 'root')] }), ROOT), HERE).ring?.version,
    2,
  );
});

test('a threshold of two is two keys, not one twice', () => {
  const other = makeKey();
  const strict = keySet({
    version: 2,
    keys: [...keySet().keys, entry(other, 'release')],
    thresholds: { release: 2 },
  });
  const trust = admitKeys(ENROLLED, set(strict, ROOT), HERE);
  const one = envelope('desired', desired(), RELEASE);
  const why = (sent: Envelope) => {
    const verdict = admitDesired(NO_DESIRED, bytes(sent), trust, HERE);
    return verdict.verdict === 'apply' ? 'apply' : verdict.reason;
  };
  assert.equal(why(one), 'too_few_signatures');
  assert.equal(why({ ...one, signatures: [...one.signatures, ...one.signatures] }), 'too_few_signatures');
  assert.equal(why(envelope('desired', desired(), RELEASE, other)), 'apply');
});

test('a device that missed rotations follows the sets that come with a document', () => {
  const third = keySet({ version: 3, keys: [entry(NEXT_ROOT, 'root'), entry(COMMAND, 'release')] });
  const chain = [set(keySet(), ROOT), rotated, set(third, NEXT_ROOT)];
  const sent = bytes(envelope('desired', desired(), COMMAND), ...chain);
  const verdict = admitDesired(NO_DESIRED, sent, ENROLLED, HERE);
  assert.equal(verdict.verdict, 'apply');
  assert.equal(verdict.trust.ring?.version, 3);
  assert.equal(verdict.keysRefused, null);
  const again = admitDesired(verdict.memory, sent, verdict.trust, HERE);
  assert.equal(again.trust, verdict.trust);
});

test('keys stay learnt where the document is refused, and wrong keys do not hide a right document', () => {
  const old = bytes(envelope('desired', desired(), RELEASE), rotated);
  const refused = admitDesired(NO_DESIRED, old, ENROLLED, HERE);
  assert.ok(refused.verdict === 'refuse' && refused.reason === 'revoked_key');
  assert.equal(refused.trust.ring?.version, 2);

  const forged = set({ ...SECOND, revoked: [] }, makeKey(), NEXT_ROOT);
  const right = admitDesired(
    NO_DESIRED,
    bytes(envelope('desired', desired(), RELEASE), forged),
    ENROLLED,
    HERE,
  );
  assert.equal(right.verdict, 'apply');
  assert.equal(right.keysRefused?.reason, 'unknown_key');
  assert.equal(right.trust, ENROLLED);

  const gap = set({ ...SECOND, version: 3 }, ROOT, NEXT_ROOT);
  const lost = admitDesired(
    NO_DESIRED,
    bytes(envelope('desired', desired(), NEXT_RELEASE), gap),
    ENROLLED,
    HERE,
  );
  assert.ok(lost.verdict === 'refuse' && lost.reason === 'missing_keys', 'the cause, not its effect');
});

test('what a stolen key has raised is lowered by a key set, once', () => {
  const top = { gen: Number.MAX_SAFE_INTEGER, release_no: 900, min_release: 900 };
  const stolen = admitDesired(NO_DESIRED, bytes(envelope('desired', desired(top), RELEASE)), ENROLLED, HERE);
  assert.equal(stolen.verdict, 'apply');
  const lowering = set({ ...SECOND, lower: { gen: 10, min_release: 3 } }, ROOT, NEXT_ROOT);
  const take = (memory: typeof NO_DESIRED, trust: Trust, more: Partial<Desired>) =>
    admitDesired(memory, bytes(envelope('desired', desired(more), NEXT_RELEASE), lowering), trust, HERE);
  const old = take(stolen.memory, ENROLLED, { gen: 10, release_no: 4 });
  assert.ok(old.verdict === 'ignore', 'what is not above it stays refused');
  assert.deepEqual(
    [old.memory.gen, old.memory.digest, old.memory.minRelease, old.memory.keysVersion],
    [10, null, 3, 2],
  );
  const next = take(stolen.memory, ENROLLED, { gen: 11, release_no: 4 });
  assert.equal(next.verdict, 'apply');
  const later = take(next.memory, next.trust, { gen: 500, release_no: 8, min_release: 8 });
  assert.equal(later.memory.minRelease, 8);
  assert.equal(take(later.memory, later.trust, { gen: 12, release_no: 8 }).memory.gen, 500, 'not twice');
  const third = set({ ...SECOND, version: 3, revoked: [] }, NEXT_ROOT);
  assert.deepEqual(admitKeys(next.trust, third, HERE).ring?.lowered, next.trust.ring?.lowered);
});

const ENROLMENT: Enrolment = checkEnrolment({
  v: 1,
  aud: 'kitchen-1',
  exp: NOW_SECONDS + 60,
  keyset: keySet(),
});

test('a token proves the first keys, once, and for one device', () => {
  const token = newToken();
  assert.ok(isToken(token));
  assert.ok(!isToken(`${token}x`) && !isToken(token.slice(1)));
  const waiting: Trust = { ...NO_TRUST, token };
  const first = tokenEnvelope(ENROLMENT, token);
  const enrolled = admitKeys(waiting, first, HERE);
  assert.deepEqual(enrolled, ENROLLED);
  refuses(enrolled, first, 'old_keys');
  refuses(NO_TRUST, first, 'no_token');
  refuses({ ...NO_TRUST, token: newToken() }, first, 'bad_signature');
  refuses(waiting, first, 'wrong_audience', { ...HERE, device: 'kitchen-2' });
  refuses(waiting, first, 'expired', { ...HERE, nowMs: HERE.nowMs + 200_000 });
  assert.deepEqual(admitKeys(waiting, first, NO_CLOCK), ENROLLED);
  refuses(waiting, envelope('enrolment', ENROLMENT, ROOT), 'bad_signature');
  const changed = { ...first, body: Buffer.from(JSON.stringify({ ...ENROLMENT, aud: 'kitchen-2' })) };
  refuses(waiting, changed, 'bad_signature');
});

test('first keys, later keys and a document come in one message, or keys alone', () => {
  const token = newToken();
  const chain = [tokenEnvelope(ENROLMENT, token), rotated];
  const sent = bytes(envelope('desired', desired(), NEXT_RELEASE), ...chain);
  const verdict = admitDesired(NO_DESIRED, sent, { ...NO_TRUST, token }, HERE);
  assert.equal(verdict.verdict, 'apply');
  assert.deepEqual([verdict.trust.ring?.version, verdict.trust.token], [2, null]);
  const alone = admitKeysMessage({ ...NO_TRUST, token }, bytes(rotated, ...chain.slice(0, 1)), HERE);
  assert.deepEqual(alone, verdict.trust);
});
