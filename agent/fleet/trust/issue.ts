/** The operator's side: documents are checked as a device would, and then signed as the bytes that they are. */
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { checkCommand } from '../documents/command.ts';
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
import { tokenProof } from './trust.ts';

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

/**
 * What a file holds that is to be signed: a document, or an envelope that gets one more signature. Throws Refused
 * where a device would refuse the document, `wrong_type` for what nobody signs.
 */
export function envelopeToSign(bytes: Uint8Array): Envelope {
  const value = readJson(bytes);
  if (typeof value !== 'object' || value === null || !('payload' in value))
    return unsignedEnvelope(bytes, needSignable(kindOf(value)));
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
