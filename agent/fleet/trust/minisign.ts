/**
 * Signatures of minisign (jedisct1.github.io/minisign), so that whoever has it needs no other tool to sign:
 *
 *   minisign -S -m desired.json -t application/vnd.expertd.desired+json
 *
 * It signs the BLAKE2b-512 of a file (algorithm "ED"), and then, with the same key, this signature together with a
 * "trusted comment". The comment must be the payload's type: so a signature counts for one kind of document only, as
 * in DSSE. The older algorithm "Ed", over the file itself, is refused: what is signed there has no form of its own,
 * and could be taken for something else that is signed with the same key.
 */
import { createHash, verify } from 'node:crypto';
import { readBase64 } from '../documents/base64.ts';
import { Refused } from '../documents/refused.ts';
import type { Signature } from './dsse.ts';
import { type PublicKey, rawPublicKey } from './public-key.ts';

const ALGORITHM_BYTES = 2;
const KEY_NUMBER_BYTES = 8;
const HEAD_BYTES = ALGORITHM_BYTES + KEY_NUMBER_BYTES;
const SIGNATURE_BYTES = 64;
const TRUSTED = 'trusted comment: ';
const UNTRUSTED = 'untrusted comment: ';

/** A file of a public key, or the line in it that is the key. Throws Refused `bad_keys`. */
export function readMinisignKey(text: string): PublicKey {
  const line = linesOf(text).find((one) => !one.startsWith(UNTRUSTED)) ?? '';
  const bytes = readBase64(line);
  const isKey = bytes !== null && Buffer.from(bytes.subarray(0, ALGORITHM_BYTES)).toString('latin1') === 'Ed';
  const key = isKey ? rawPublicKey(bytes.subarray(HEAD_BYTES)) : null;
  if (key === null) throw new Refused('bad_keys', 'it is no public key of minisign');
  return key;
}

/** A `.minisig` file, as a signature by `keyid`. Throws Refused `bad_signature`. */
export function readMinisig(text: string, keyid: string): Signature {
  const [first = '', signature = '', comment = '', global = '', ...more] = linesOf(text);
  const [bytes, over] = [readBase64(signature), readBase64(global)];
  const isWhole = first.startsWith(UNTRUSTED) && comment.startsWith(TRUSTED) && more.length === 0;
  if (!isWhole || bytes?.byteLength !== HEAD_BYTES + SIGNATURE_BYTES || over?.byteLength !== SIGNATURE_BYTES)
    throw new Refused('bad_signature', 'it is no signature of minisign');
  if (Buffer.from(bytes.subarray(0, ALGORITHM_BYTES)).toString('latin1') !== 'ED')
    throw new Refused(
      'bad_signature',
      'it was made with the older algorithm of minisign',
      'Sign again, without -l.',
    );
  return {
    keyid,
    bytes: bytes.subarray(HEAD_BYTES),
    minisign: { comment: comment.slice(TRUSTED.length), global: over },
  };
}

/** Whether `key` has signed this body, and that it is of this type. */
export function minisignHolds(
  { bytes, minisign }: Signature,
  payloadType: string,
  body: Uint8Array,
  { key }: PublicKey,
): boolean {
  if (minisign === null || minisign.comment !== payloadType) return false;
  const hash = createHash('blake2b512').update(body).digest();
  const commented = Buffer.concat([bytes, Buffer.from(minisign.comment)]);
  return verify(null, hash, key, bytes) && verify(null, commented, key, minisign.global);
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '');
}
