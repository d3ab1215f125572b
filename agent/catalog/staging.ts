/**
 * New versions of experts that prove themselves beside those that count: each is told to the loop as an expert of its
 * own, and what becomes of it is on the disk before anything follows from it.
 */
import type { Catalog } from '../ports.ts';
import type { Canary } from '../rollout.ts';
import type { Expert, ExpertId, Failure } from '../types.ts';
import type { Package } from './package.ts';
import type { Candidate, Rollouts, Tenure } from './rollouts.ts';
import type { Wanted } from './standing.ts';
import type { Telling } from './telling.ts';

export type RolloutStep = Parameters<Catalog['rollout']>[0];

export interface StagingOptions {
  readonly rollouts: Rollouts;
  readonly telling: Telling;
}

const NO_REASON: Failure = { code: 'rolled_back', message: 'nobody said why', hint: null, retryable: false };

/** A candidate that the loop knows of. */
interface Staged {
  readonly id: ExpertId;
  readonly found: Package;
  /** What the loop was told of it. */
  readonly told: string;
  /** An attempt of this process is counted on the disk. */
  isTried: boolean;
}

export class Staging {
  readonly #options: StagingOptions;
  /** By the expert whose place is to be taken. */
  readonly #staged = new Map<ExpertId, Staged>();
  /** Digests that the loop knows to be rolled back, by the same. */
  readonly #held = new Map<ExpertId, string>();

  constructor(options: StagingOptions) {
    this.#options = options;
  }

  /** The package of a candidate that the loop knows of. */
  package(id: ExpertId): Package | null {
    return this.#byId(id)?.[1].found ?? null;
  }

  /** Tells the loop of a candidate; again where what is asked of it has changed. */
  stage(wanted: Wanted, found: Package, { progress }: Candidate, expert: Expert): void {
    const of = wanted.id;
    const canary = canaryOf(wanted);
    const told = JSON.stringify([found.digest, canary, expert.cacheBytes]);
    const before = this.#staged.get(of);
    if (before?.told === told) return;
    if (before !== undefined && before.found.digest !== found.digest) this.leave(of);
    this.#held.delete(of);
    this.#staged.set(of, { id: expert.id, found, told, isTried: before?.isTried ?? false });
    this.#options.telling.rollout(of, { type: 'staged', expert, of, canary, progress });
  }

  /** Tells the loop, once, that the version that is wanted was rolled back. */
  hold(of: ExpertId, { version, digest, why }: Candidate): void {
    if (this.#held.get(of) === digest) return;
    this.#held.set(of, digest);
    this.#options.telling.rollout(of, { type: 'rolledBack', expert: of, version, why: why ?? NO_REASON });
  }

  /** It is no candidate any more. */
  leave(of: ExpertId): void {
    this.#held.delete(of);
    const staged = this.#staged.get(of);
    if (staged === undefined) return;
    this.#staged.delete(of);
    this.#options.telling.removed(staged.id);
  }

  /** Whether the loop knows of this candidate. */
  isStaged(of: ExpertId, { digest }: Package): boolean {
    return this.#staged.get(of)?.found.digest === digest;
  }

  /** Lets all leave of which this is not said. */
  leaveAllBut(isCandidate: (of: ExpertId, digest: string) => boolean): void {
    const known = [...[...this.#staged].map(([of, { found }]) => [of, found.digest] as const), ...this.#held];
    for (const [of, digest] of known) if (!isCandidate(of, digest)) this.leave(of);
  }

  /** Of several loads in one process the first counts: it is processes that are counted. */
  beginAttempt(id: ExpertId): void {
    const [of, staged] = this.#byId(id) ?? [];
    if (of === undefined || staged === undefined || staged.isTried) return;
    this.#count(of, 1);
    staged.isTried = true;
  }

  /**
   * Records how far it has come. Returns the package that is to take the place of the expert's; null: none is. A step
   * about a version that is no candidate any more changes nothing. `flush` says whether the record is on the disk.
   */
  advance(step: RolloutStep, flush: () => void): Package | null {
    const { rollouts } = this.#options;
    const staged = this.#staged.get(step.expert);
    const tenure = rollouts.get(step.expert);
    const candidate = tenure?.candidate ?? null;
    if (staged === undefined || tenure === null || candidate === null) return null;
    if (staged.found.digest !== step.digest || candidate.digest !== step.digest) return null;
    rollouts.set(step.expert, tenureAfter(step, tenure, candidate));
    flush();
    if (step.phase === 'probation') {
      staged.isTried = false;
      return null;
    }
    this.leave(step.expert);
    if (step.phase === 'rolledBack') this.#held.set(step.expert, candidate.digest);
    return step.phase === 'committed' ? staged.found : null;
  }

  /** An end of the process that is none of the candidates' doing takes back what was counted of this process. */
  forgive(): void {
    for (const [of, staged] of this.#staged) {
      if (!staged.isTried) continue;
      try {
        this.#count(of, -1);
        staged.isTried = false;
      } catch {
        // It costs the candidate one of its attempts.
      }
    }
  }

  #byId(id: ExpertId): [ExpertId, Staged] | undefined {
    return [...this.#staged].find(([, staged]) => staged.id === id);
  }

  /** Throws AgentError `not_kept`; then nothing was counted. */
  #count(of: ExpertId, more: number): void {
    const { rollouts } = this.#options;
    const tenure = rollouts.get(of);
    if (tenure === null || tenure.candidate === null) return;
    const attempts = tenure.candidate.attempts + more;
    rollouts.set(of, { ...tenure, candidate: { ...tenure.candidate, attempts } });
    try {
      rollouts.flush();
    } catch (error) {
      rollouts.set(of, tenure);
      throw error;
    }
  }
}

/** `attempts` begin anew with a probation: it was loaded, and the process is still here. */
function tenureAfter({ phase, progress, why }: RolloutStep, tenure: Tenure, candidate: Candidate): Tenure {
  const { version, digest } = candidate;
  if (phase === 'committed')
    return { current: { version, digest }, previous: tenure.current, candidate: null };
  const attempts = phase === 'probation' ? 0 : candidate.attempts;
  return { ...tenure, candidate: { ...candidate, state: phase, attempts, progress, why } };
}

function canaryOf({ canary }: Wanted): Canary | null {
  if (canary === undefined) return null;
  const { share, decisions = null, minutes } = canary;
  return { share, decisions, ms: minutes === undefined ? null : minutes * 60_000 };
}
