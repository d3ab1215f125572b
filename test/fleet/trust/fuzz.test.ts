/** Whatever comes: a verdict, never an exception, and nothing that was changed on the way is followed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Refused } from '../../../agent/fleet/documents/refused.ts';
import { admitCommand, NO_COMMANDS } from '../../../agent/fleet/trust/admit-command.ts';
import { admitDesired, NO_DESIRED } from '../../../agent/fleet/trust/admit-desired.ts';
import { preAuthentication } from '../../../agent/fleet/trust/dsse.ts';
import { tokenEnvelope } from '../../../agent/fleet/trust/issue.ts';
import { admitKeysMessage, NO_TRUST, newToken } from '../../../agent/fleet/trust/trust.ts';
import { bytes, COMMAND, command, desired, ENROLLED, envelope, HERE, keySet, RELEASE, ROOT } from './made.ts';

const token = newToken();
const DESIRED = bytes(envelope('desired', desired(), RELEASE));
const ORDER = bytes(envelope('command', command(), COMMAND));
const KEYS = bytes(envelope('keys', keySet({ version: 2 }), ROOT));
const FIRST = bytes(tokenEnvelope({ v: 1, aud: 'kitchen-1', keyset: keySet() }, token));

const follows = (payload: Uint8Array) =>
  admitDesired(NO_DESIRED, payload, ENROLLED, HERE).verdict === 'apply';
const runs = (payload: Uint8Array) =>
  admitCommand(NO_COMMANDS, payload, false, ENROLLED, HERE).verdict === 'run';
const turns = (payload: Uint8Array) => believes(() => admitKeysMessage(ENROLLED, payload, HERE));
const enrols = (payload: Uint8Array) =>
  believes(() => admitKeysMessage({ ...NO_TRUST, token }, payload, HERE));
const DOORS = [
  [DESIRED, follows],
  [ORDER, runs],
  [KEYS, turns],
  [FIRST, enrols],
] as const;

function believes(admit: () => unknown): boolean {
  try {
    admit();
    return true;
  } catch (error) {
    assert.ok(error instanceof Refused, String(error));
    return false;
  }
}

test('each door opens for what belongs there, and for nothing else', () => {
  for (const [payload] of DOORS)
    for (const [own, opens] of DOORS) assert.equal(opens(payload), payload === own);
});

test('the bytes that are signed are those of the protocol', () => {
  assert.equal(
    preAuthentication('http://example.com/HelloWorld', Buffer.from('hello world')).toString(),
    'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
  );
  assert.equal(preAuthentication('é', Buffer.from('')).toString(), 'DSSEv1 2 é 0 ');
});

/** Parts that nobody signs: the name of the key, which is a hint, may be wrong and then is not believed. */
test('one bit that is not what it was', () => {
  for (const [payload, opens] of DOORS)
    fc.assert(
      fc.property(fc.nat({ max: payload.byteLength - 1 }), fc.nat({ max: 7 }), (at, bit) => {
        const changed = Buffer.from(payload);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        if (!opens(changed)) return;
        // Only what is outside of the signature may change, and only so that it means the same.
        const [was, is] = [JSON.parse(Buffer.from(payload).toString()), JSON.parse(changed.toString())];
        assert.equal(is.payload, was.payload);
        assert.equal(is.payloadType, was.payloadType);
        assert.equal(is.signatures[0].sig, was.signatures[0].sig);
      }),
      { numRuns: 400 },
    );
});

test('a message that was cut, doubled, or had a piece put in', () => {
  for (const [payload, opens] of DOORS) {
    const text = Buffer.from(payload).toString();
    fc.assert(
      fc.property(fc.nat({ max: text.length - 1 }), fc.string({ maxLength: 8 }), (at, piece) => {
        assert.equal(opens(Buffer.from(text.slice(0, at))), false);
        assert.equal(opens(Buffer.from(text + text.slice(at))), false);
        const put = Buffer.from(text.slice(0, at) + piece + text.slice(at));
        if (piece.trim() !== '' && opens(put)) {
          const [was, is] = [JSON.parse(text), JSON.parse(put.toString())];
          assert.deepEqual([is.payload, is.payloadType], [was.payload, was.payloadType]);
        }
      }),
      { numRuns: 200 },
    );
  }
});

test('any JSON, and anything else', () => {
  const field = fc.constantFrom(
    'payload',
    'payloadType',
    'signatures',
    'keys',
    'sig',
    'keyid',
    'minisign',
    'v',
  );
  const value = fc.oneof(
    fc.jsonValue(),
    fc.base64String(),
    fc.constant('application/vnd.expertd.desired+json'),
  );
  const like = fc.dictionary(field, fc.oneof(value, fc.array(fc.dictionary(field, value), { maxLength: 3 })));
  const any = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.oneof(like, fc.jsonValue()).map((one) => Buffer.from(JSON.stringify(one))),
  );
  fc.assert(
    fc.property(any, (payload) => {
      for (const [, opens] of DOORS) assert.equal(opens(payload), false);
    }),
    { numRuns: 1_000 },
  );
});

test('a signature of any bytes is no signature', () => {
  const one = envelope('desired', desired(), RELEASE);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (signature, isNamed) => {
      const keyid = isNamed ? RELEASE.id : null;
      const forged = { ...one, signatures: [{ keyid, bytes: signature, minisign: null }] };
      assert.equal(follows(bytes(forged)), false);
    }),
  );
});
