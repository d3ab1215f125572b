/** The operator's side: documents are checked as a device would, and then signed as the bytes that they are. */
import { createPublicKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { type Command, type CommandType, checkCommand, MAX_LIFE_SECONDS } from '../documents/command.ts';
import { checkDesired } from '../documents/desired.ts';
import { MQTT_LIMITS, readJson } from '../documents/json.ts';
import { checkEnrolment, checkKeySet, type Enrolment } from '../documents/keys.ts';
import { Refused } from '../documents/refused.ts';
import {
  type Envelope,
  PAYLOADS,
  type PayloadKind,
  preAuthentication,
  readEnvelope,
  type Signature,
  writeEnvelope,
} from './dsse.ts';
import { ringOf, signatureHolds } from './keyring.ts';
import { readMinisignKey } from './minisign.ts';
import { type PublicKey, publicKeyOf, publicTextOf } from './public-key.ts';
import { SKEW_MS, tokenProof } from './trust.ts';

/** Which kind of document a value is meant to be, by a field that only this kind has; null for none. */
export function kindOf(value: unknown): PayloadKind | null {
  if (typeof value !== 'object' || value === null) return null;
  if ('gen' in value || 'experts' in value) return 'desired';
  if ('ctr' in value || 'args' in value) return 'command';
  if ('keyset' in value) return 'enrolment';
  return 'keys' in value ? 'keys' : null;
}

/** The public key in a file, of PEM or of minisign, as key sets have it. Throws Refused `bad_keys`. */
export function readPublicText(text: string): string {
  if (!text.includes('-----BEGIN PUBLIC KEY-----')) return publicTextOf(readMinisignKey(text).key);
  try {
    return publicTextOf(createPublicKey(text));
  } catch (error) {
    throw error instanceof Refused ? error : new Refused('bad_keys', 'it is no public key in PEM');
  }
}

/** The bytes as an envelope without signatures. Throws Refused where a device would refuse them in any case. */
export function unsignedEnvelope(body: Uint8Array, kind: PayloadKind): Envelope {
  const value = readJson(body);
  if (kind === 'desired') checkDesired(value);
  else if (kind === 'command') checkCommand(value);
  else if (kind === 'keys') ringOf(checkKeySet(value), null);
  else checkedEnrolment(checkEnrolment(value));
  return { payloadType: PAYLOADS[kind], body, signatures: [], keys: [] };
}

/** What a device shall do, as an operator says it; `args` as a command of this type has them. */
export interface NewOrder {
  readonly type: CommandType;
  readonly args: Readonly<Record<string, unknown>>;
  readonly device: string;
}

/**
 * An order as a command, to be signed. It is good from `SKEW_MS` before `nowMs` on, for devices whose clocks are behind,
 * until `lifeSeconds` after it.
 *
 * Its counter is the wall clock in ms, so that the counters of a key rise without a file that remembers them, on whatever
 * machine the key is used. Where that clock was set back, or two commands are made in one ms, a device refuses the later
 * one with `low_counter`; a key that has once signed a higher counter needs one that is higher still.
 *
 * Throws Refused where a device would refuse it in any case.
 */
export function newCommand({ type, args, device }: NewOrder, nowMs: number, lifeSeconds: number): Command {
  const exp = Math.floor(nowMs / 1_000) + lifeSeconds;
  const begin = Math.floor((nowMs - SKEW_MS) / 1_000);
  const nbf = Math.max(begin, exp - MAX_LIFE_SECONDS);
  return checkCommand({ v: 1, id: randomUUID(), type, args, aud: device, nbf, exp, ctr: Math.floor(nowMs) });
}

/** Whether it is an envelope, as far as its fields tell. Throws Refused for what is no JSON that devices read. */
export function isEnvelope(bytes: Uint8Array): boolean {
  const value = readJson(bytes);
  return typeof value === 'object' && value !== null && 'payload' in value;
}

/** As `unsignedEnvelope`, of a desired document; throws Refused `wrong_audience` where it cannot be for this device. */
export function unsignedDesired(bytes: Uint8Array, device: string): Envelope {
  const value = readJson(bytes);
  const kind = kindOf(value);
  if (kind !== null && kind !== 'desired')
    throw new Refused('wrong_type', `this is no desired document, but one of the kind "${kind}"`);
  const { aud } = checkDesired(value);
  const names = typeof aud === 'string' ? [aud] : aud;
  // Only the device knows of which groups it is.
  if (!names.some((name) => name === device || name.startsWith('group:')))
    throw new Refused(
      'wrong_audience',
      `"aud" is "${names.join('", "')}", and not "${device}"`,
      'Name this device in the document, or set the twin of the one it is for.',
    );
  return unsignedEnvelope(bytes, 'desired');
}

/**
 * What a file holds that is to be signed: a document, or an envelope that gets one more signature. Throws Refused
 * where a device would refuse the document, `wrong_type` for what nobody signs.
 */
export function envelopeToSign(bytes: Uint8Array): Envelope {
  if (!isEnvelope(bytes)) return unsignedEnvelope(bytes, needSignable(kindOf(readJson(bytes))));
  const envelope = readEnvelope(bytes);
  const kind = (Object.keys(PAYLOADS) as PayloadKind[]).find((one) => PAYLOADS[one] === envelope.payloadType);
  const { signatures, keys } = envelope;
  return { ...unsignedEnvelope(envelope.body, needSignable(kind ?? null)), signatures, keys };
}

function needSignable(kind: PayloadKind | null): PayloadKind {
  if (kind !== null && kind !== 'enrolment') return kind;
  throw new Refused(
    'wrong_type',
    'this is no desired document, no command, and no key set',
    kind === null ? null : 'An enrolment is not signed: expertd fleet enrol',
  );
}

/** The envelope with one more signature; one by the same key is replaced. Throws Refused `bad_keys`, `oversize`. */
export function signedBy(envelope: Envelope, privateKey: KeyObject): Envelope {
  const key = publicKeyOf(publicTextOf(privateKey));
  if (key === null) throw new Refused('bad_keys', 'it is no key of Ed25519');
  const bytes = sign(null, preAuthentication(envelope.payloadType, envelope.body), privateKey);
  return withSignature(envelope, { keyid: key.id, bytes, minisign: null });
}

/** The envelope with a signature that was made elsewhere. Throws Refused `bad_signature` where it does not hold. */
export function attested(envelope: Envelope, signature: Signature, key: PublicKey): Envelope {
  if (!signatureHolds(signature, envelope, key))
    throw new Refused(
      'bad_signature',
      'the signature is not that of this document',
      `minisign must sign these very bytes, with -t ${envelope.payloadType}`,
    );
  return withSignature(envelope, signature);
}

/** With the key sets that lead a device from what it may have pinned to the keys that signed this. */
export function withKeys(envelope: Envelope, keys: readonly Envelope[]): Envelope {
  return bounded({ ...envelope, keys });
}

/** First keys for a device, as they are carried to it. Throws Refused. */
export function checkedEnrolment(enrolment: Enrolment): Enrolment {
  ringOf(checkEnrolment(enrolment).keyset, null);
  return enrolment;
}

/** First keys for a device that was given `token`, as an envelope. Throws Refused. */
export function tokenEnvelope(enrolment: Enrolment, token: string): Envelope {
  const envelope = unsignedEnvelope(Buffer.from(JSON.stringify(enrolment)), 'enrolment');
  const bytes = tokenProof(token, envelope.payloadType, envelope.body);
  return { ...envelope, signatures: [{ keyid: 'token', bytes, minisign: null }] };
}

function withSignature(envelope: Envelope, signature: Signature): Envelope {
  const others = envelope.signatures.filter(({ keyid }) => keyid !== signature.keyid);
  return bounded({ ...envelope, signatures: [...others, signature] });
}

function bounded(envelope: Envelope): Envelope {
  const bytes = Buffer.byteLength(writeEnvelope(envelope));
  if (bytes <= MQTT_LIMITS.maxBytes) return envelope;
  throw new Refused(
    'oversize',
    `the envelope has ${bytes} bytes, and a message at most ${MQTT_LIMITS.maxBytes}`,
  );
}
