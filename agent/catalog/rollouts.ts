/**
 * Which fetched version of each expert counts, which one counted before, and how far the one has come that is to take
 * its place: one small file, which outlives the process and a power cut.
 */
import { type Static, Type } from 'typebox';
import { AgentError } from '../errors.ts';
import { readKept, writeKept } from '../kept-file.ts';
import type { ExpertId, Failure } from '../types.ts';
import { checker } from '../validation.ts';
import { ExpertIdSchema } from './manifest.ts';

const Count = Type.Integer({ minimum: 0 });
const version = {
  version: Type.String({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$' }),
  digest: Type.String({ pattern: '^[0-9a-f]{64}$' }),
};
const VersionSchema = Type.Object(version);
const FailureSchema = Type.Object({
  code: Type.String(),
  message: Type.String(),
  hint: Type.Union([Type.String(), Type.Null()]),
  retryable: Type.Boolean(),
});
const CandidateSchema = Type.Object({
  ...version,
  state: Type.Union([Type.Literal('staged'), Type.Literal('probation'), Type.Literal('rolledBack')]),
  attempts: Count,
  progress: Type.Object({ answered: Count, elapsedMs: Type.Number({ minimum: 0 }) }),
  why: Type.Union([FailureSchema, Type.Null()]),
});
const tenure = {
  current: Type.Union([VersionSchema, Type.Null()]),
  previous: Type.Union([VersionSchema, Type.Null()]),
  candidate: Type.Union([CandidateSchema, Type.Null()]),
};
const FileSchema = Type.Object({
  v: Type.Literal(1),
  experts: Type.Array(Type.Object({ id: ExpertIdSchema, ...tenure })),
});
const TenureSchema = Type.Object(tenure);

/** A version of an expert; `digest` is the sha256 of its manifest. */
export type Version = Readonly<Static<typeof VersionSchema>>;
/** `attempts`: processes of the agent that began to load it and have not shown since that they outlive that. */
export type Candidate = Readonly<Static<typeof CandidateSchema>>;
/**
 * Of one expert. `current`: the fetched version that counts; null: the package counts that lies in a folder or was added
 * by hand. `previous` stays on the disk. A candidate that was rolled back stays here, so that it is not tried again.
 */
export type Tenure = Readonly<Static<typeof TenureSchema>>;

/** After so many, its load is what ends the process. */
const MOST_ATTEMPTS = 2;
const HINT = 'Send another version; or clear the expert, and this one is tried again.';

const check = checker(FileSchema, { subject: 'the record of rollouts' });

/** The id of a version that is to prove itself: no package can have it. */
export function candidateIdOf(expert: ExpertId, { version }: Pick<Version, 'version'>): ExpertId {
  return `${expert}@${version}`;
}

/** What was set counts at once in this process; on the disk it is after the next flush that works. */
export class Rollouts {
  readonly #path: string;
  readonly #tenures = new Map<ExpertId, Tenure>();
  #isLoaded = false;
  #isKept = true;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads the file, at the first call. Returns what was wrong with it: then nothing is known of any expert, and what lies
   * on the disk decides.
   */
  load(): Failure | null {
    if (this.#isLoaded) return null;
    this.#isLoaded = true;
    try {
      for (const { id, ...one } of read(this.#path)) {
        const tenure = withoutVainAttempts(id, one);
        this.#tenures.set(id, tenure);
        this.#isKept &&= tenure === one;
      }
      return null;
    } catch (cause) {
      return new AgentError('bad_memory', `${this.#path} cannot be used: ${messageOf(cause)}`, {
        hint: 'Nothing is to be done: versions that were rolled back may be tried once more.',
      }).toFailure();
    }
  }

  /** All that was set is on the disk. */
  get isKept(): boolean {
    return this.#isKept;
  }

  ids(): readonly ExpertId[] {
    return [...this.#tenures.keys()];
  }

  /** null: nothing is known of it. */
  get(expert: ExpertId): Tenure | null {
    return this.#tenures.get(expert) ?? null;
  }

  set(expert: ExpertId, tenure: Tenure): void {
    if (JSON.stringify(tenure) === JSON.stringify(this.#tenures.get(expert))) return;
    this.#tenures.set(expert, tenure);
    this.#isKept = false;
  }

  /** Writes what is not on the disk yet; all is when this returns. Throws AgentError `not_kept`, retryable. */
  flush(): void {
    if (this.#isKept) return;
    const experts = [...this.#tenures].map(([id, { current, previous, candidate }]) => ({
      id,
      current,
      previous,
      candidate,
    }));
    try {
      writeKept(this.#path, `${JSON.stringify({ v: 1, experts } satisfies Static<typeof FileSchema>)}\n`);
    } catch (cause) {
      throw new AgentError('not_kept', `how far a rollout has come cannot be kept: ${messageOf(cause)}`, {
        hint: 'Free some space on the disk of stateDir.',
        retryable: true,
        cause,
      });
    }
    this.#isKept = true;
  }
}

function read(path: string): Static<typeof FileSchema>['experts'] {
  const text = readKept(path);
  if (text === null) return [];
  const { value, problem } = check(JSON.parse(text));
  if (problem !== null) throw new AgentError('bad_memory', problem.message);
  return value.experts;
}

function withoutVainAttempts(id: ExpertId, tenure: Tenure): Tenure {
  const { candidate } = tenure;
  if (candidate === null || candidate.state === 'rolledBack' || candidate.attempts < MOST_ATTEMPTS)
    return tenure;
  const message = `a load of "${id}" ${candidate.version} ended this process ${candidate.attempts} times`;
  const why = { code: 'ended_process', message, hint: HINT, retryable: false };
  return { ...tenure, candidate: { ...candidate, state: 'rolledBack', why } };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
