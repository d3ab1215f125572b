/** The keys that a device has pinned: which, for what, and since which set. A plain value. */
import { createHash, verify } from 'node:crypto';
import type { KeySet, Role } from '../documents/keys.ts';
import { ROLES } from '../documents/keys.ts';
import { Refused } from '../documents/refused.ts';
import { type Envelope, preAuthentication, type Signature } from './dsse.ts';
import { minisignHolds } from './minisign.ts';
import { type PublicKey, publicKeyOf } from './public-key.ts';

export interface Keyring {
  /** Of the key set; the next one is higher by one. */
  readonly version: number;
  readonly keys: readonly RingKey[];
  readonly thresholds: Readonly<Record<Role, number>>;
  /** Ids of keys that no set may bring back, sorted. */
  readonly revoked: readonly string[];
  /** The newest word of a set about where generations go on. */
  readonly lowered: Lowered | null;
}

export interface RingKey {
  /** As in the key set. */
  readonly key: string;
  readonly id: string;
  readonly roles: readonly Role[];
}

export interface Lowered {
  /** Of the set that said so. */
  readonly version: number;
  readonly gen: number;
  readonly minRelease: number;
}

const MAX_REVOKED = 1_024;

/**
 * The ring that a key set makes, after the ring before it. Throws Refused `bad_keys` where it could not be used: a key
 * that is none, one that was revoked, or fewer keys of a role than must sign. A role without keys is allowed: then
 * nobody may give such orders. `root` needs keys, or no set could ever follow.
 */
export function ringOf(set: KeySet, before: Pick<Keyring, 'revoked' | 'lowered'> | null): Keyring {
  const revoked = [...new Set([...(before?.revoked ?? []), ...(set.revoked ?? [])])].sort();
  if (revoked.length > MAX_REVOKED)
    throw new Refused('bad_keys', `more than ${MAX_REVOKED} keys were revoked`, 'Enrol the device again.');
  const keys = set.keys.map(({ key, roles }): RingKey => ({ key, id: idOf(key), roles: inOrder(roles) }));
  const back = keys.find(({ id }) => revoked.includes(id));
  if (back !== undefined) throw new Refused('bad_keys', `the key ${back.id} was revoked`);
  const { root = 1, release = 1, command = 1 } = set.thresholds ?? {};
  const thresholds = { root, release, command };
  for (const role of ROLES) needEnough(keys, role, thresholds[role]);
  const lowered =
    set.lower === undefined
      ? (before?.lowered ?? null)
      : { version: set.version, gen: set.lower.gen, minRelease: set.lower.min_release };
  return {
    version: set.version,
    keys: keys.sort((a, b) => (a.id < b.id ? -1 : 1)),
    thresholds,
    revoked,
    lowered,
  };
}

/** The two say the same. A ring is made in one order only, so its text tells. */
export function isSameRing(a: Keyring, b: Keyring): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function inOrder(roles: readonly Role[]): Role[] {
  return ROLES.filter((role) => roles.includes(role));
}

function needEnough(keys: readonly RingKey[], role: Role, threshold: number): void {
  const count = keys.filter(({ roles }) => roles.includes(role)).length;
  if (count >= threshold || (count === 0 && role !== 'root')) return;
  throw new Refused('bad_keys', `${threshold} keys of role ${role} must sign, and there are ${count}`);
}

/**
 * Ids of the keys of `role` that have signed the envelope, sorted. Throws Refused with the most telling reason where
 * they are fewer than the ring asks for: `revoked_key`, `bad_signature`, `wrong_role`, `unknown_key`,
 * `too_few_signatures`.
 */
export function signersOf(envelope: Envelope, ring: Keyring, role: Role): readonly string[] {
  const findings = envelope.signatures.map((signature) => judge(signature, envelope, ring, role));
  const signers = [...new Set(findings.flatMap((finding) => (finding.by === null ? [] : [finding.by])))];
  if (signers.length >= ring.thresholds[role]) return signers.sort();
  if (signers.length > 0)
    throw new Refused(
      'too_few_signatures',
      `${signers.length} of the ${ring.thresholds[role]} keys of role ${role} that must sign have`,
    );
  const why =
    TELLING.find((reason) => findings.some((finding) => finding.reason === reason)) ?? 'unknown_key';
  throw new Refused(why, SENTENCES[why](role));
}

const TELLING = ['revoked_key', 'wrong_role', 'bad_signature', 'unknown_key'] as const;
type Doubt = (typeof TELLING)[number];
const SENTENCES: Readonly<Record<Doubt, (role: Role) => string>> = {
  revoked_key: () => 'the key that signed it was revoked',
  wrong_role: (role) => `the key that signed it is not of role ${role}`,
  bad_signature: () => 'its signature is not that of its bytes',
  unknown_key: () => 'no key that this device has pinned has signed it',
};

type Finding = { readonly by: string; readonly reason: null } | { readonly by: null; readonly reason: Doubt };

/** 1 without a name every key is tried. 2 a name is believed only if its key has signed. */
function judge(signature: Signature, envelope: Envelope, ring: Keyring, role: Role): Finding {
  const { keyid } = signature;
  if (keyid !== null && ring.revoked.includes(keyid)) return { by: null, reason: 'revoked_key' };
  const named = keyid === null ? ring.keys : ring.keys.filter(({ id }) => id === keyid);
  const signer = named.find(({ key }) => hasSigned(key, signature, envelope));
  if (signer === undefined) {
    const isKnown = keyid !== null && named.length > 0;
    return { by: null, reason: isKnown ? 'bad_signature' : 'unknown_key' };
  }
  return signer.roles.includes(role) ? { by: signer.id, reason: null } : { by: null, reason: 'wrong_role' };
}

function hasSigned(text: string, signature: Signature, envelope: Envelope): boolean {
  const key = publicKeyOf(text);
  return key !== null && signatureHolds(signature, envelope, key);
}

/** Whether `key` made this signature of this body and type. */
export function signatureHolds(signature: Signature, envelope: Envelope, key: PublicKey): boolean {
  const { payloadType, body } = envelope;
  if (signature.minisign !== null) return minisignHolds(signature, payloadType, body, key);
  return verify(null, preAuthentication(payloadType, body), key.key, signature.bytes);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function idOf(text: string): string {
  const key = publicKeyOf(text);
  if (key === null) throw new Refused('bad_keys', `${text} is not the public key of Ed25519`);
  return key.id;
}
