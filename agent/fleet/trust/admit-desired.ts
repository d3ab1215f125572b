/** Whether a desired document is to be followed. A pure function: what it must remember is a value of its caller. */
import { checkDesired, type Desired } from '../documents/desired.ts';
import { isFor, readDocument } from '../documents/reading.ts';
import { type Reason, Refused } from '../documents/refused.ts';
import { type Envelope, needType, readEnvelope } from './dsse.ts';
import { type Keyring, sha256, signersOf } from './keyring.ts';
import { type Circumstances, followKeys, needBegun, needUnexpired, type Trust } from './trust.ts';

/** JSON, to be stored with the document before anything is done about it. */
export interface DesiredMemory {
  /** The highest generation that was admitted; 0 before the first. */
  readonly gen: number;
  /** sha256 of the bytes of that document; null before the first, and after a key set has lowered the generation. */
  readonly digest: string | null;
  readonly releaseNo: number;
  /** Only rises, unless a key set lowers it. */
  readonly minRelease: number;
  /** The key set whose word about generations was followed. */
  readonly keysVersion: number;
}

export const NO_DESIRED: DesiredMemory = {
  gen: 0,
  digest: null,
  releaseNo: 0,
  minRelease: 0,
  keysVersion: 0,
};

/** What is to be kept, whatever the verdict. The same objects as before where nothing changed. */
interface Standing {
  readonly memory: DesiredMemory;
  readonly trust: Trust;
  /** What is wrong with the keys that came along. */
  readonly keysRefused: Refused | null;
}

export type DesiredVerdict =
  | (Standing & {
      readonly verdict: 'apply';
      readonly document: Desired;
      /** The bytes that were signed. */
      readonly body: Uint8Array;
      /** `ClockUntrusted`: nobody looked at `nbf` and `exp`. */
      readonly conditions: readonly 'ClockUntrusted'[];
    })
  | (Standing & {
      /** `ignore`: nothing is wrong, and nothing is to be done (now). */
      readonly verdict: 'ignore' | 'refuse';
      readonly reason: Reason;
      readonly message: string;
      readonly hint: string | null;
      /** When it is worth another look; null: not by waiting. */
      readonly retryAtMs: number | null;
    });

const HARMLESS: ReadonlySet<Reason> = new Set(['same_generation', 'old_generation', 'not_yet_valid']);

/**
 * Judges the payload of `R/v1/D/desired`, in this order: 1 its form and the keys that came along, 2 signatures, 3 shape,
 * 4 audience, 5 generation, 6 release, 7 time. Never throws for what was sent.
 */
export function admitDesired(
  memory: DesiredMemory,
  bytes: Uint8Array,
  trust: Trust,
  circumstances: Circumstances,
): DesiredVerdict {
  let standing: Standing = { memory, trust, keysRefused: null };
  let retryAtMs: number | null = null;
  try {
    const envelope = readEnvelope(bytes);
    const followed = followKeys(trust, envelope.keys, circumstances);
    const lowered = lower(memory, followed.trust.ring);
    standing = { memory: lowered, trust: followed.trust, keysRefused: followed.refused };
    const document = openDesired(envelope, followed.trust.ring);
    if (!isFor(document.aud, circumstances))
      throw new Refused('wrong_audience', `it is not for "${circumstances.device}"`);
    const digest = sha256(envelope.body);
    needNewer(document, digest, lowered);
    retryAtMs = (document.nbf ?? 0) * 1_000;
    if (document.nbf !== undefined) needBegun(document.nbf, circumstances);
    needUnexpired(document.exp, circumstances);
    const conditions = circumstances.clockTrusted ? [] : (['ClockUntrusted'] as const);
    const next = remember(lowered, document, digest);
    return { ...standing, verdict: 'apply', memory: next, document, body: envelope.body, conditions };
  } catch (error) {
    return turnDown(error, standing, retryAtMs);
  }
}

/** The document of an envelope that `ring` trusts. Throws Refused. */
export function openDesired(envelope: Envelope, ring: Keyring | null): Desired {
  needType(envelope, 'desired');
  if (ring === null) throw new Refused('no_keys', 'this device has no keys, and takes no orders');
  signersOf(envelope, ring, 'release');
  return readDocument(envelope.body, checkDesired);
}

/** What a key set says of generations counts once. */
function lower(memory: DesiredMemory, ring: Keyring | null): DesiredMemory {
  const lowered = ring?.lowered ?? null;
  if (lowered === null || lowered.version <= memory.keysVersion) return memory;
  const isAbove = memory.gen > lowered.gen;
  return {
    gen: Math.min(memory.gen, lowered.gen),
    digest: isAbove ? null : memory.digest,
    releaseNo: memory.releaseNo,
    minRelease: Math.min(memory.minRelease, lowered.minRelease),
    keysVersion: lowered.version,
  };
}

function needNewer(document: Desired, digest: string, memory: DesiredMemory): void {
  const { gen, release_no: releaseNo } = document;
  if (gen < memory.gen) throw new Refused('old_generation', `generation ${gen} came after ${memory.gen}`);
  if (gen === memory.gen) {
    if (memory.digest === null || memory.digest === digest)
      throw new Refused('same_generation', `generation ${gen} is known`);
    throw new Refused(
      'forked',
      `there are two documents of generation ${gen}`,
      'Publish what is right under a higher generation, and find out who signs.',
    );
  }
  if (releaseNo < memory.minRelease)
    throw new Refused(
      'rollback',
      `release ${releaseNo} is below ${memory.minRelease}, the lowest that this device may still run`,
    );
}

function remember(memory: DesiredMemory, document: Desired, digest: string): DesiredMemory {
  const { gen, release_no: releaseNo, min_release: minRelease } = document;
  return { ...memory, gen, digest, releaseNo, minRelease: Math.max(memory.minRelease, minRelease) };
}

function turnDown(error: unknown, standing: Standing, retryAtMs: number | null): DesiredVerdict {
  if (!(error instanceof Refused)) throw error;
  const { reason, message, hint } = telling(error, standing.keysRefused);
  const verdict = HARMLESS.has(reason) ? 'ignore' : 'refuse';
  return {
    ...standing,
    verdict,
    reason,
    message,
    hint,
    retryAtMs: reason === 'not_yet_valid' ? retryAtMs : null,
  };
}

/** A key that is not known is not known because of what was wrong with the keys. */
export function telling(error: Refused, keysRefused: Refused | null): Refused {
  const isAboutKeys = error.reason === 'unknown_key' || error.reason === 'no_keys';
  return isAboutKeys && keysRefused !== null ? keysRefused : error;
}
