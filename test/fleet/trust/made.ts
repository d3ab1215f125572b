/** A fleet of one device: keys of every role, documents, and envelopes of them. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Command } from '../../../agent/fleet/documents/command.ts';
import type { Desired } from '../../../agent/fleet/documents/desired.ts';
import { checkKeySet, type KeySet, type Role } from '../../../agent/fleet/documents/keys.ts';
import { type Envelope, PAYLOADS, type PayloadKind, writeEnvelope } from '../../../agent/fleet/trust/dsse.ts';
import { signedBy, withKeys } from '../../../agent/fleet/trust/issue.ts';
import { ringOf } from '../../../agent/fleet/trust/keyring.ts';
import { publicKeyOf, publicTextOf } from '../../../agent/fleet/trust/public-key.ts';
import { type Circumstances, NO_TRUST, type Trust } from '../../../agent/fleet/trust/trust.ts';

export interface Made {
  readonly key: KeyObject;
  readonly text: string;
  readonly id: string;
}

export function makeKey(): Made {
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = publicTextOf(privateKey);
  return { key: privateKey, text, id: publicKeyOf(text)?.id ?? '' };
}

export const ROOT = makeKey();
export const RELEASE = makeKey();
export const COMMAND = makeKey();
export const STRANGER = makeKey();

export const NOW_SECONDS = 1_800_000_000;
export const HERE: Circumstances = {
  device: 'kitchen-1',
  groups: ['north'],
  nowMs: NOW_SECONDS * 1_000,
  clockTrusted: true,
};
export const NO_CLOCK: Circumstances = { ...HERE, nowMs: 0, clockTrusted: false };

export function keySet(more: Partial<KeySet> = {}): KeySet {
  return {
    v: 1,
    version: 1,
    keys: [entry(ROOT, 'root'), entry(RELEASE, 'release'), entry(COMMAND, 'command')],
    ...more,
  };
}

export function entry({ text }: Made, ...roles: Role[]): KeySet['keys'][number] {
  return { key: text, roles };
}

export const ENROLLED: Trust = {
  ...NO_TRUST,
  device: 'kitchen-1',
  ring: ringOf(checkKeySet(keySet()), null),
};

export function desired(more: Partial<Desired> & Record<string, unknown> = {}): Desired {
  return {
    v: 1,
    gen: 1,
    aud: 'kitchen-1',
    exp: NOW_SECONDS + 3_600,
    release_no: 1,
    min_release: 1,
    experts: [],
    ...more,
  };
}

export function command(more: Record<string, unknown> = {}): Command {
  return {
    v: 1,
    id: 'c1',
    type: 'load',
    args: { expert: 'medical' },
    aud: 'kitchen-1',
    nbf: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 600,
    ctr: 1,
    ...more,
  } as Command;
}

/** An envelope of any value or text, whether or not a device would take it. */
export function envelope(kind: PayloadKind, value: unknown, ...signers: readonly Made[]): Envelope {
  const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const unsigned: Envelope = { payloadType: PAYLOADS[kind], body, signatures: [], keys: [] };
  return signers.reduce((at, { key }) => signedBy(at, key), unsigned);
}

export function bytes(one: Envelope, ...keys: readonly Envelope[]): Uint8Array {
  return Buffer.from(writeEnvelope(keys.length === 0 ? one : withKeys(one, keys)));
}
