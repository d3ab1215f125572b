/**
 * What a device remembers of desired documents, in one file: the memory against old and forked ones, the document that
 * counts, and the one that was admitted and is still to be taken. It is written before anything is done.
 */
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { AgentError } from '../../errors.ts';
import { readKept, writeKept } from '../../kept-file.ts';
import { checker } from '../../validation.ts';
import { checkDesired, type Desired, type FleetPolicy, PolicySchema } from '../documents/desired.ts';
import { type JsonLimits, readJson } from '../documents/json.ts';
import { isFor, type Reader, readDocument } from '../documents/reading.ts';
import { type DesiredMemory, NO_DESIRED } from '../trust/admit-desired.ts';
import { overlayOf } from './overlay.ts';
import type { Overlay } from './ports.ts';

export interface Admitted {
  readonly document: Desired;
  /** What was signed. */
  readonly body: string;
}

/** Why `next` is not taken. */
export interface TurnedDown {
  readonly state: 'REJECTED' | 'FAILED';
  readonly reason: string;
  readonly message: string;
}

export interface KeptDesired {
  readonly memory: DesiredMemory;
  /** Admitted, and not taken (yet). */
  readonly next: Admitted | null;
  /** What counts over the configuration. */
  readonly current: Admitted | null;
  readonly turnedDown: TurnedDown | null;
  /** By commands since `current` was taken. */
  readonly policy: FleetPolicy | null;
  /** The last generation of which every expert was here; 0 before the first. */
  readonly completeGen: number;
}

const NOTHING_KEPT: KeptDesired = {
  memory: NO_DESIRED,
  next: null,
  current: null,
  turnedDown: null,
  policy: null,
  completeGen: 0,
};

const FILE = 'fleet/desired.json';
/** Two documents, each of at most a message, in which quotes take two bytes. */
const LIMITS: JsonLimits = { maxBytes: 1_048_576, maxDepth: 8 };

const Whole = Type.Integer({ minimum: 0 });
const orNull = <S extends Parameters<typeof Type.Union>[0][number]>(schema: S) =>
  Type.Union([schema, Type.Null()]);
const FileSchema = Type.Object(
  {
    v: Type.Literal(1),
    memory: Type.Object({
      gen: Whole,
      digest: orNull(Type.String()),
      releaseNo: Whole,
      minRelease: Whole,
      keysVersion: Whole,
    }),
    next: orNull(Type.String()),
    current: orNull(Type.String()),
    turnedDown: orNull(
      Type.Object({
        state: Type.Union([Type.Literal('REJECTED'), Type.Literal('FAILED')]),
        reason: Type.String(),
        message: Type.String(),
      }),
    ),
    policy: orNull(PolicySchema),
    completeGen: Whole,
  },
  { additionalProperties: false },
);
type KeptFile = Static<typeof FileSchema>;
const check = checker(FileSchema, { subject: FILE });

/**
 * What is kept; nothing where no file is, or one that came with the disk of another device, whose documents and
 * generations are not this one's. Throws AgentError `bad_memory` for one that is damaged: to forget it would let
 * an old document in.
 */
function loadKept(stateDir: string, reader: Reader): KeptDesired {
  const path = join(stateDir, FILE);
  try {
    const text = readKept(path);
    const kept = text === null ? NOTHING_KEPT : keptOf(text);
    const isOwn = [kept.current, kept.next].every((one) => one === null || isFor(one.document.aud, reader));
    return isOwn ? kept : NOTHING_KEPT;
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function keptOf(text: string): KeptDesired {
  const { value, problem } = check(readJson(Buffer.from(text), LIMITS));
  if (problem !== null) throw new AgentError('bad_memory', problem.message);
  const { v: _, next, current, ...others } = value;
  return { ...others, next: admitted(next), current: admitted(current) };
}

/** On the disk when this returns. Throws AgentError `not_kept`, retryable; then the old memory stays. */
function saveKept(stateDir: string, kept: KeptDesired): void {
  const { next, current, ...others } = kept;
  const file: KeptFile = { v: 1, ...others, next: next?.body ?? null, current: current?.body ?? null };
  try {
    writeKept(join(stateDir, FILE), `${JSON.stringify(file)}\n`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('not_kept', `what the fleet wants cannot be kept: ${why}`, {
      hint: 'Free some space on the disk of stateDir.',
      retryable: true,
      cause,
    });
  }
}

/** What is kept, and how it changes: on the disk first. */
export class Keeping {
  readonly #stateDir: string;
  #value: KeptDesired = NOTHING_KEPT;
  #hasEnded = false;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  get value(): KeptDesired {
    return this.#value;
  }

  /** Throws AgentError `bad_memory`. */
  load(reader: Reader): void {
    this.#value = loadKept(this.#stateDir, reader);
  }

  /** Throws AgentError `not_kept`, retryable; then all is as it was. */
  keep(part: Partial<KeptDesired>): void {
    if (this.#hasEnded) throw new AgentError('not_kept', 'the agent stops', { retryable: true });
    const value = { ...this.#value, ...part };
    saveKept(this.#stateDir, value);
    this.#value = value;
  }

  /** From here on the file may be another's: an agent that starts again in this very process. */
  end(): void {
    this.#hasEnded = true;
  }

  /** For what the next process would find out again: it counts in this one though the disk did not take it. */
  keepIfPossible(part: Partial<KeptDesired>): void {
    try {
      this.keep(part);
    } catch {
      this.#value = { ...this.#value, ...part };
    }
  }
}

/**
 * What counts over the configuration when the agent starts. null where there is nothing, or where it is damaged: the
 * device then serves by its own configuration, and the twin says so.
 */
export function keptOverlay(stateDir: string, reader: Reader): Overlay | null {
  try {
    const { current, policy } = loadKept(stateDir, reader);
    return overlayOf(current?.document ?? null, policy);
  } catch (error) {
    if (error instanceof AgentError) return null;
    throw error;
  }
}

function admitted(body: string | null): Admitted | null {
  return body === null ? null : { body, document: readDocument(Buffer.from(body), checkDesired) };
}

function damaged(path: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('bad_memory', `${path} cannot be used: ${why}`, {
    hint: 'Remove it and start again: then the next document that comes is taken, whatever its generation.',
    cause,
  });
}
