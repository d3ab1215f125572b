/** Ed25519 public keys (RFC 8032) and their names. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readBase64, writeBase64 } from '../documents/base64.ts';
import { Refused } from '../documents/refused.ts';

export interface PublicKey {
  /** The first 128 bits of the sha256 of its SubjectPublicKeyInfo, in hex: nobody makes two keys of one name. */
  readonly id: string;
  readonly key: KeyObject;
}

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the 32 bytes of the key itself. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;

/** A key as key sets have it; null for anything else, keys of other kinds included. */
export function publicKeyOf(text: string): PublicKey | null {
  const spki = readBase64(text);
  if (spki === null || !startsWith(spki, SPKI_PREFIX)) return null;
  return rawPublicKey(spki.subarray(SPKI_PREFIX.length));
}

/** The key of 32 bytes; null if there are not 32, or they are none. */
export function rawPublicKey(raw: Uint8Array): PublicKey | null {
  if (raw.byteLength !== KEY_BYTES) return null;
  const spki = Buffer.concat([SPKI_PREFIX, raw]);
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return { id: createHash('sha256').update(spki).digest('hex').slice(0, 32), key };
  } catch {
    return null;
  }
}

/** As `publicKeyOf` reads it. `key` may be a private key too. Throws Refused `bad_keys` where it is not Ed25519. */
export function publicTextOf(key: KeyObject): string {
  if (key.asymmetricKeyType !== 'ed25519') throw new Refused('bad_keys', 'it is no key of Ed25519');
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return writeBase64(half.export({ type: 'spki', format: 'der' }));
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}
