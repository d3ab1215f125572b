/**
 * What a device trusts, and how that changes: a plain value, and functions from value to value.
 *
 * First keys come in one of three ways: with a file that somebody imports on the device; by the network, proved by a
 * token that the device was given and that counts once; or not at all: then the device reports and takes no orders.
 * Later keys come as key sets, each signed by the root keys before it and by its own, so that a set whose keys nobody
 * holds cannot lock anybody out (as in TUF, theupdateframework.github.io/specification, section 5.3).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { checkEnrolment, checkKeySet } from '../documents/keys.ts';
import { isFor, type Reader, readDocument } from '../documents/reading.ts';
import { Refused } from '../documents/refused.ts';
import { type Envelope, PAYLOADS, preAuthentication, readEnvelope } from './dsse.ts';
import { isSameRing, type Keyring, ringOf, signersOf } from './keyring.ts';

export interface Trust {
  /** The device that was enrolled, where an enrolment said so. */
  readonly device: string | null;
  /** null: nobody may give orders. */
  readonly ring: Keyring | null;
  /** Proves the first keys, once; null when it is used up, or there was none. */
  readonly token: string | null;
}

/** Who judges a document, and when. */
export interface Circumstances extends Reader {
  readonly nowMs: number;
  /** Where it is false the clock may be years off: what is said of times then cannot be held against a document. */
  readonly clockTrusted: boolean;
}

export const NO_TRUST: Trust = { device: null, ring: null, token: null };
/** Clocks of devices that are "right" differ by seconds. */
export const SKEW_MS = 60_000;
const TOKEN_FORM = /^expertd-[A-Za-z0-9_-]{43}$/;

/** A new token: 256 bits of chance. */
export function newToken(): string {
  return `expertd-${randomBytes(32).toString('base64url')}`;
}

export function isToken(text: string): boolean {
  return TOKEN_FORM.test(text);
}

/** What proves, to a device that has `token`, that the sender has it too: HMAC-SHA256 of what DSSE signs. */
export function tokenProof(token: string, payloadType: string, body: Uint8Array): Uint8Array {
  return createHmac('sha256', token).update(preAuthentication(payloadType, body)).digest();
}

/**
 * What is trusted after an envelope of a key set or of an enrolment. Throws Refused: as `readDocument` and `ringOf` do,
 * `wrong_type`, `no_keys`, `no_token`, `bad_signature`, `wrong_audience`, `expired`, `old_keys`, `forked`,
 * `missing_keys`, or what `signersOf` finds.
 */
export function admitKeys(trust: Trust, envelope: Envelope, circumstances: Circumstances): Trust {
  if (envelope.payloadType === PAYLOADS.enrolment) return enrol(trust, envelope, circumstances);
  if (envelope.payloadType === PAYLOADS.keys) return rotate(trust, envelope);
  throw new Refused('wrong_type', `keys do not come as ${JSON.stringify(envelope.payloadType)}`);
}

/** As `admitKeys`, for a message that is nothing else. */
export function admitKeysMessage(trust: Trust, bytes: Uint8Array, circumstances: Circumstances): Trust {
  const envelope = readEnvelope(bytes);
  const { trust: before } = followKeys(trust, envelope.keys, circumstances);
  return admitKeys(before, envelope, circumstances);
}

/**
 * Follows the key sets that came with a document, as far as they are new and hold. Nobody has signed that they are
 * complete: what is wrong with one is told as `refused`, and is no reason not to look at the document.
 */
export function followKeys(
  trust: Trust,
  envelopes: readonly Envelope[],
  circumstances: Circumstances,
): { readonly trust: Trust; readonly refused: Refused | null } {
  let at = trust;
  for (const envelope of envelopes) {
    try {
      at = admitKeys(at, envelope, circumstances);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.reason !== 'old_keys') return { trust: at, refused: error };
    }
  }
  return { trust: at, refused: null };
}

function enrol(trust: Trust, envelope: Envelope, circumstances: Circumstances): Trust {
  if (trust.ring !== null) throw new Refused('old_keys', 'this device is enrolled');
  const { token } = trust;
  if (token === null)
    throw new Refused(
      'no_token',
      'this device was given no token',
      'Import one: "expertd fleet enrol --help".',
    );
  const proof = tokenProof(token, envelope.payloadType, envelope.body);
  const isProved = envelope.signatures.some(
    ({ bytes }) => bytes.byteLength === proof.byteLength && timingSafeEqual(bytes, proof),
  );
  if (!isProved) throw new Refused('bad_signature', 'it was not made with the token of this device');
  const enrolment = readDocument(envelope.body, checkEnrolment);
  if (!isFor(enrolment.aud, circumstances))
    throw new Refused('wrong_audience', `the enrolment is for "${enrolment.aud}"`);
  const { exp } = enrolment;
  if (exp !== undefined) needUnexpired(exp, circumstances);
  return { device: enrolment.aud, ring: ringOf(enrolment.keyset, null), token: null };
}

function rotate(trust: Trust, envelope: Envelope): Trust {
  const { ring } = trust;
  if (ring === null) throw new Refused('no_keys', 'this device has no keys yet');
  const set = readDocument(envelope.body, checkKeySet);
  if (set.version < ring.version) throw new Refused('old_keys', `key set ${set.version} is an old one`);
  if (set.version > ring.version + 1)
    throw new Refused(
      'missing_keys',
      `key set ${set.version} cannot follow ${ring.version}`,
      'Send the sets between too.',
    );
  signersOf(envelope, ring, 'root');
  const next = ringOf(set, ring);
  signersOf(envelope, next, 'root');
  if (set.version > ring.version) return { ...trust, ring: next };
  if (isSameRing(next, ring)) throw new Refused('old_keys', `key set ${set.version} is what is used`);
  throw new Refused('forked', `there are two key sets of version ${set.version}`);
}

/** Throws Refused `expired`, if the clock can tell. `exp` is in seconds. */
export function needUnexpired(exp: number, { nowMs, clockTrusted }: Circumstances): void {
  if (!clockTrusted || nowMs < exp * 1_000 + SKEW_MS) return;
  throw new Refused('expired', `it was good until ${new Date(exp * 1_000).toISOString()}`);
}

/** Throws Refused `not_yet_valid`, if the clock can tell. `nbf` is in seconds. */
export function needBegun(nbf: number, { nowMs, clockTrusted }: Circumstances): void {
  if (!clockTrusted || nowMs >= nbf * 1_000 - SKEW_MS) return;
  throw new Refused('not_yet_valid', `it is good from ${new Date(nbf * 1_000).toISOString()} on`);
}
