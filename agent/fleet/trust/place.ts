/** Where a device keeps what it trusts: one file, so that a token is used up in the moment that keys come. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { AgentError } from '../../errors.ts';
import { writeKept } from '../../kept-file.ts';
import { checker } from '../../validation.ts';
import { readJson } from '../documents/json.ts';
import { KeySetSchema } from '../documents/keys.ts';
import { type Keyring, ringOf } from './keyring.ts';
import { isToken, NO_TRUST, type Trust } from './trust.ts';

/** In the state directory. */
export const TRUST_FILE = 'fleet-trust.json';
const LIMITS = { maxBytes: 1_048_576, maxDepth: 8 };
const HINT = 'Enrol this device again: "expertd fleet enrol --help".';

const Whole = Type.Integer({ minimum: 0 });
const FileSchema = Type.Object(
  {
    v: Type.Literal(1),
    device: Type.Union([Type.String(), Type.Null()]),
    token: Type.Union([Type.String(), Type.Null()]),
    set: Type.Union([KeySetSchema, Type.Null()]),
    /** By all sets so far. */
    revoked: Type.Array(Type.String()),
    lowered: Type.Union([Type.Object({ version: Whole, gen: Whole, minRelease: Whole }), Type.Null()]),
  },
  { additionalProperties: false },
);
type TrustFile = Static<typeof FileSchema>;
const check = checker(FileSchema, { subject: TRUST_FILE });

/**
 * What the device of this state directory trusts; nothing where no file is. Throws AgentError `bad_trust` for a file
 * that is damaged: to go on without keys would be safe, and would look as if nobody had ever enrolled it.
 */
export function loadTrust(stateDir: string): Trust {
  const path = join(stateDir, TRUST_FILE);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return NO_TRUST;
    throw damaged(path, cause);
  }
  try {
    const { value, problem } = check(readJson(bytes, LIMITS));
    if (problem !== null) throw new AgentError('bad_trust', problem.message);
    return trustOf(value);
  } catch (cause) {
    if (cause instanceof AgentError) throw damaged(path, cause);
    throw cause;
  }
}

/** Replaces the file as a whole, on the disk when this returns. Readable by its owner only. Throws what the system says. */
export function saveTrust(stateDir: string, trust: Trust): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = join(stateDir, TRUST_FILE);
  writeKept(path, `${JSON.stringify(fileOf(trust))}\n`);
}

function fileOf({ device, token, ring }: Trust): TrustFile {
  return {
    v: 1,
    device,
    token,
    set: ring === null ? null : setOf(ring),
    revoked: [...(ring?.revoked ?? [])],
    lowered: ring?.lowered ?? null,
  };
}

function setOf({ version, keys, thresholds }: Keyring): NonNullable<TrustFile['set']> {
  return { v: 1, version, keys: keys.map(({ key, roles }) => ({ key, roles: [...roles] })), thresholds };
}

function trustOf({ device, token, set, revoked, lowered }: TrustFile): Trust {
  if (token !== null && !isToken(token)) throw new AgentError('bad_trust', 'its token is none');
  const ring = set === null ? null : ringOf(set, { revoked, lowered });
  return { device, ring, token: ring === null ? token : null };
}

function damaged(path: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('bad_trust', `${path} cannot be used: ${why}`, { hint: HINT, cause });
}
