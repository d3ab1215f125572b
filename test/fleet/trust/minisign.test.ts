/** Against signatures that minisign 0.11 made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admitDesired, NO_DESIRED } from '../../../agent/fleet/trust/admit-desired.ts';
import { attested, readPublicText, unsignedEnvelope } from '../../../agent/fleet/trust/issue.ts';
import { ringOf } from '../../../agent/fleet/trust/keyring.ts';
import { readMinisig, readMinisignKey } from '../../../agent/fleet/trust/minisign.ts';
import { bytes, desired, ENROLLED, HERE, keySet, STRANGER } from './made.ts';

const DOCUMENT = Buffer.from(JSON.stringify(desired()));
const PUBLIC = [
  'untrusted comment: minisign public key 76CD6CB2FF609EC0',
  'RWTAnmD/smzNdicE0oqAW+ljF2Hw88GDT/7XFGpWqYvUPxlsdga+T50H',
].join('\n');
const LINES = [
  'untrusted comment: signed by hand',
  'RUTAnmD/smzNdjeGAV629VbcD8xkbdV3ixKN697pR4m/kMT5s7wmHbX18QRL9MnRWfs9mNj/PYlKhqI4fd6B5aqQZHCSoo+Buwg=',
  'trusted comment: application/vnd.expertd.desired+json',
  '4hyyWkF3WLjXjmpHaHPmCI2fsDwris/ULNts2JXQfoPGukkucY0oP/X9YOvyfGRT9S+cFTqkM/JYuYhC1SuzBg==',
];
/** By the older algorithm, and for another type of document. */
const OLD = [
  'untrusted comment: signature from minisign secret key',
  'RWTAnmD/smzNdjGSCtQJ3VgiLOh3nKnNtxp+Qlk0kojVmAonZnPyzUiOrXIC6pcm1fUm8h9yb9RtvN5BowJqRPg3ofOoFb9YXAE=',
  'trusted comment: application/vnd.expertd.desired+json',
  '9J3PsE9UHeEUw4890+SwJD7Ni2w925dOQzuoA2iZFqnSt1yRvqht1LXh4faDg6LDDJagYJ3pJ1KkrLDtuaH3Ag==',
].join('\n');
const OTHER = [
  'untrusted comment: signature from minisign secret key',
  'RUTAnmD/smzNdjeGAV629VbcD8xkbdV3ixKN697pR4m/kMT5s7wmHbX18QRL9MnRWfs9mNj/PYlKhqI4fd6B5aqQZHCSoo+Buwg=',
  'trusted comment: application/vnd.expertd.command+json',
  '9tzjvhjpmvz79PODJy2lJy65W17EIbFj8hLfSzadW+Zm4JI6LuwAi3l9BlQl7lRlnPZyHv5wdmy3qHq1YTlIBA==',
].join('\n');

const SIGNED = LINES.join('\n');
const KEY = readMinisignKey(PUBLIC);
const UNSIGNED = unsignedEnvelope(DOCUMENT, 'desired');
const RING = ringOf(
  keySet({ keys: [...keySet().keys, { key: readPublicText(PUBLIC), roles: ['release'] }] }),
  null,
);
const admit = (payload: Uint8Array) => {
  const verdict = admitDesired(NO_DESIRED, payload, { ...ENROLLED, ring: RING }, HERE);
  return verdict.verdict === 'apply' ? 'apply' : verdict.reason;
};

test('a document that minisign signed is followed as any other', () => {
  const signature = readMinisig(SIGNED, KEY.id);
  assert.equal(admit(bytes(attested(UNSIGNED, signature, KEY))), 'apply');
  assert.equal(readMinisignKey(PUBLIC.split('\n')[1] ?? '').id, KEY.id);
  const crlf = readMinisig(`${LINES.join('\r\n')}\r\n`, KEY.id);
  assert.deepEqual(crlf, signature);
});

test('what minisign did not sign, or signed as something else', () => {
  const signature = readMinisig(SIGNED, KEY.id);
  const sent = (more: object) => admit(bytes({ ...UNSIGNED, signatures: [{ ...signature, ...more }] }));
  assert.equal(sent({}), 'apply');
  assert.equal(sent({ minisign: null }), 'bad_signature');
  assert.equal(sent({ bytes: signature.minisign?.global }), 'bad_signature');
  assert.equal(sent({ minisign: { ...signature.minisign, global: signature.bytes } }), 'bad_signature');
  const other = readMinisig(OTHER, KEY.id);
  assert.equal(sent(other), 'bad_signature');
  const comment = UNSIGNED.payloadType;
  assert.equal(sent({ ...other, minisign: { ...other.minisign, comment } }), 'bad_signature');
  const changed = { ...UNSIGNED, body: Buffer.from(JSON.stringify(desired({ gen: 2 }))) };
  assert.equal(admit(bytes({ ...changed, signatures: [signature] })), 'bad_signature');
  assert.throws(() => attested(changed, signature, KEY), { reason: 'bad_signature', hint: /-t application/ });
});

test('files that minisign did not make, or are of its older algorithm', () => {
  assert.throws(() => readMinisig(OLD, KEY.id), { reason: 'bad_signature', hint: /without -l/ });
  for (let gone = 0; gone < LINES.length; gone++) {
    const text = LINES.filter((_, index) => index !== gone).join('\n');
    assert.throws(() => readMinisig(text, KEY.id), { reason: 'bad_signature' }, text);
  }
  assert.throws(() => readMinisig(`${SIGNED}\nmore`, KEY.id), { reason: 'bad_signature' });
  for (const text of ['', 'untrusted comment: x', 'AAAA', STRANGER.text, SIGNED])
    assert.throws(() => readMinisignKey(text), { reason: 'bad_keys' }, text);
});
