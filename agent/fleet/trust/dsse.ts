/**
 * Envelopes as the Dead Simple Signing Envelope has them (github.com/secure-systems-lab/dsse, protocol 1.0.2): what is
 * signed are the bytes that were sent together with their type, never a value that was written again.
 *
 * Fields of our own, which other readers ignore as the protocol bids: `keys` beside the signatures, and `minisign` of
 * a signature that was made with minisign (`minisign.ts`).
 */
import { type Static, Type } from 'typebox';
import { checker } from '../../validation.ts';
import { readBase64, writeBase64 } from '../documents/base64.ts';
import { readJson } from '../documents/json.ts';
import { Refused } from '../documents/refused.ts';

/** Types of payloads. */
export const PAYLOADS = {
  desired: 'application/vnd.expertd.desired+json',
  command: 'application/vnd.expertd.command+json',
  keys: 'application/vnd.expertd.keys+json',
  enrolment: 'application/vnd.expertd.enrolment+json',
} as const;
export type PayloadKind = keyof typeof PAYLOADS;

export interface Signature {
  /** What the sender calls the key; a hint, signed by nobody. */
  readonly keyid: string | null;
  readonly bytes: Uint8Array;
  /** Where minisign made it: its trusted comment, and the signature over that. */
  readonly minisign: { readonly comment: string; readonly global: Uint8Array } | null;
}

export interface Envelope {
  readonly payloadType: string;
  readonly body: Uint8Array;
  readonly signatures: readonly Signature[];
  /** Envelopes of key sets, by rising version. */
  readonly keys: readonly Envelope[];
}

const MAX_SIGNATURES = 8;
const MAX_KEY_SETS = 32;
const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/_-]*={0,2}$' });
const SignatureSchema = Type.Object({
  sig: Base64,
  keyid: Type.Optional(Type.String({ maxLength: 256 })),
  minisign: Type.Optional(Type.Object({ comment: Type.String({ maxLength: 8_192 }), global: Base64 })),
});
const PLAIN = {
  payload: Base64,
  payloadType: Type.String({ minLength: 1, maxLength: 256 }),
  signatures: Type.Array(SignatureSchema, { maxItems: MAX_SIGNATURES }),
};
const PlainSchema = Type.Object(PLAIN);
const EnvelopeSchema = Type.Object({
  ...PLAIN,
  keys: Type.Optional(Type.Array(PlainSchema, { maxItems: MAX_KEY_SETS })),
});

const check = checker(EnvelopeSchema, { subject: 'the envelope' });

/** What is signed of a body and its type: the protocol's pre-authentication encoding. */
export function preAuthentication(payloadType: string, body: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  const head = `DSSEv1 ${type.byteLength} ${payloadType} ${body.byteLength} `;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Throws Refused as `readJson` does, `bad_envelope` for what is none, `unsigned` where there is no signature. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const { value, problem } = check(readJson(bytes));
  if (problem !== null) throw new Refused('bad_envelope', problem.message, problem.hint);
  return { ...decode(value), keys: (value.keys ?? []).map((one) => ({ ...decode(one), keys: [] })) };
}

/** Throws Refused `wrong_type`. */
export function needType(envelope: Envelope, kind: PayloadKind): void {
  if (envelope.payloadType === PAYLOADS[kind]) return;
  const type = JSON.stringify(envelope.payloadType);
  throw new Refused('wrong_type', `the payload is of type ${type}, not ${PAYLOADS[kind]}`);
}

/** The text of an envelope, as it is published. */
export function writeEnvelope(envelope: Envelope): string {
  const keys = envelope.keys.map((one) => writable(one));
  return JSON.stringify({ ...writable(envelope), ...(keys.length === 0 ? {} : { keys }) });
}

type Plain = Static<typeof PlainSchema>;

function writable({ payloadType, body, signatures }: Envelope): Plain {
  return {
    payloadType,
    payload: writeBase64(body),
    signatures: signatures.map(({ keyid, bytes, minisign }) => ({
      ...(keyid === null ? {} : { keyid }),
      sig: writeBase64(bytes),
      ...(minisign === null
        ? {}
        : { minisign: { comment: minisign.comment, global: writeBase64(minisign.global) } }),
    })),
  };
}

function decode({ payloadType, payload, signatures }: Plain): Omit<Envelope, 'keys'> {
  if (signatures.length === 0) throw new Refused('unsigned', 'nobody has signed it');
  return {
    payloadType,
    body: bytesOf(payload, 'payload'),
    signatures: signatures.map(({ keyid, sig, minisign }) => ({
      keyid: keyid ?? null,
      bytes: bytesOf(sig, 'sig'),
      minisign:
        minisign === undefined
          ? null
          : { comment: minisign.comment, global: bytesOf(minisign.global, 'minisign.global') },
    })),
  };
}

function bytesOf(text: string, field: string): Uint8Array {
  const bytes = readBase64(text);
  if (bytes === null) throw new Refused('bad_envelope', `"${field}" is not base64`);
  return bytes;
}
