/**
 * The experts of this device: those that lie in `expertsDir`, those that were added by hand, and those that the
 * configuration names with sources.
 * Tells the loop what is installed, what is still being fetched, what is broken, and which new version is to prove itself
 * beside the one that counts; a broken one stops no other.
 */
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { AgentError, toFailure } from '../errors.ts';
import type { Catalog, Clock, Memory } from '../ports.ts';
import type { ExpertId, Failure } from '../types.ts';
import { areUntouched, type Traces } from '../untouched.ts';
import { versionFolder } from './added.ts';
import { expertOf } from './facts.ts';
import { removeFetched } from './fetched.ts';
import { Fetching } from './fetching.ts';
import type { Manifest } from './manifest.ts';
import { badExpert, type Package, tracesOf, verifyPackage } from './package.ts';
import { type Candidate, Rollouts } from './rollouts.ts';
import { type RolloutStep, Staging } from './staging.ts';
import { NO_TENURE, type Standing, type Wanted } from './standing.ts';
import { type Places, type Stock, standingIn, takeStock } from './stock.ts';
import { type CatalogEvent, Telling } from './telling.ts';

export type { CatalogEvent };

export interface CatalogOptions extends Places {
  /** File of what is kept of rollouts; its folder is made when it is written. */
  readonly recordPath: string;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly emit: (event: CatalogEvent) => void;
  /** Told what is wrong with the record of rollouts. All goes on without it, until the process ends. */
  readonly onTrouble?: (failure: Failure) => void;
  /** Makes what loads faster than the package itself, in that time; never rejects. Without it, experts load as they are. */
  readonly prepare?: (found: Package, limitMs: number) => Promise<void>;
}

export class ExpertCatalog implements Catalog {
  readonly #options: CatalogOptions;
  readonly #telling: Telling;
  readonly #rollouts: Rollouts;
  readonly #staging: Staging;
  readonly #fetching: Fetching;
  /** Those that count. */
  readonly #packages = new Map<ExpertId, Package>();
  /** By folder and digest: whose files were hashed, and what they were just before. */
  readonly #verified = new Map<string, { readonly before: Traces; readonly checking: Promise<void> }>();
  /** The one that was taken last. */
  #config: Pick<Config, 'experts' | 'without' | 'embedder'> = { experts: [], without: [], embedder: null };
  #stopped = false;

  constructor(options: CatalogOptions) {
    const { recordPath, installDir, clock, emit } = options;
    this.#options = options;
    this.#telling = new Telling(emit);
    this.#rollouts = new Rollouts(recordPath);
    this.#staging = new Staging({ rollouts: this.#rollouts, telling: this.#telling });
    this.#fetching = new Fetching({
      installDir,
      clock,
      telling: this.#telling,
      take: (wanted) => this.#takeWanted(wanted),
    });
  }

  package(id: ExpertId): Package | null {
    return this.#packages.get(id) ?? this.#staging.package(id);
  }

  /**
   * Reads what is on the disk, tells what changed, and starts to fetch what is missing. `onRead` is called in between:
   * from there on nothing fails. Rejects with an AgentError where `expertsDir` cannot be read; then nothing changed.
   * One call at a time.
   */
  async reconcile(config: Config, onRead: () => void = () => {}): Promise<void> {
    if (this.#stopped) return;
    const trouble = this.#rollouts.load();
    if (trouble !== null) this.#options.onTrouble?.(trouble);
    const stock = takeStock(this.#options, config.experts, config.without, (id) => this.#rollouts.get(id));
    onRead();
    this.#config = config;
    const unstaged = this.#publish(stock);
    // A fetch under way may follow an old configuration: it starts anew, and goes on from what is on the disk.
    this.#fetching.abort();
    for (const one of [...stock.missing, ...unstaged]) this.#fetching.start(one);
  }

  async verify(id: ExpertId, digest: string): Promise<void> {
    const found = this.package(id);
    if (found === null) throw new AgentError('bad_expert', `no package of expert "${id}" is on this device`);
    if (found.digest !== digest) {
      throw new AgentError('replaced', `another version of expert "${id}" has come meanwhile`, {
        retryable: true,
      });
    }
    const key = `${found.directory} ${found.digest}`;
    const known = this.#verified.get(key);
    const now = tracesOf(found);
    const isKnown = known !== undefined && areUntouched(known.before, now);
    const checking = isKnown ? known.checking : this.#check(found);
    this.#verified.set(key, { before: now, checking });
    if (isKnown) return checking;
    // A failure is not remembered: the files may be mended before the next try.
    checking.catch(() => {
      if (this.#verified.get(key)?.checking === checking) this.#verified.delete(key);
    });
    return checking;
  }

  async prepare(id: ExpertId, limitMs: number): Promise<void> {
    const found = this.package(id);
    if (found !== null) await this.#options.prepare?.(found, limitMs);
  }

  examples(id: ExpertId): readonly string[] {
    return this.package(id)?.manifest.routing.examples ?? [];
  }

  golden(id: ExpertId): Manifest['golden'] {
    return this.package(id)?.manifest.golden ?? [];
  }

  systemPrompt(id: ExpertId): string | null {
    return this.package(id)?.manifest.assistant?.systemPrompt ?? null;
  }

  /** By which way a package came: added by hand, fetched for the configuration, or a folder among `expertsDir`. */
  originOf({ directory }: Package): 'added' | 'fetched' | 'folder' {
    const { addedDir, installDir } = this.#options;
    if (directory.startsWith(`${installDir}/`)) return 'fetched';
    return addedDir !== undefined && directory.startsWith(`${addedDir}/`) ? 'added' : 'folder';
  }

  // ---- rollouts -----------------------------------------------------------------------------------------------

  beginAttempt(id: ExpertId): void {
    // A load that begins so late ends with its agent, and says nothing of the candidate.
    if (!this.#stopped) this.#staging.beginAttempt(id);
  }

  rollout(step: RolloutStep): void {
    if (this.#stopped) return;
    const successor = this.#staging.advance(step, () => this.#flush());
    if (successor !== null) {
      this.#packages.set(step.expert, successor);
      this.#install(successor);
    }
    if (step.phase !== 'probation') this.#tidy(step.expert);
  }

  /** A version of this expert that was rolled back is tried again, if the configuration still wants it. */
  forget(expert: ExpertId): void {
    if (this.#stopped) return;
    const tenure = this.#rollouts.get(expert);
    if (tenure?.candidate?.state !== 'rolledBack') return;
    this.#staging.leave(expert);
    this.#rollouts.set(expert, { ...tenure, candidate: null });
    this.#flush();
    const wanted = this.#wanted(expert);
    if (wanted !== undefined && !this.#config.without.includes(expert)) this.#fetching.start(wanted);
  }

  /**
   * Ends all fetches; nothing is told or recorded any more: the next agent, which may be of this process, reads the record.
   * Resolves when nothing writes to the disk any more.
   */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#telling.stop();
    this.#fetching.abort();
    this.#staging.forgive();
    return this.#fetching.ended();
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  async #check(found: Package): Promise<void> {
    try {
      await verifyPackage(found);
    } catch (error) {
      const { directory, manifest } = found;
      if (this.originOf(found) !== 'fetched' || !(error instanceof AgentError)) throw error;
      throw badExpert(
        error.message,
        `Remove ${directory} and reload: it is fetched again. Then POST /expertd/v1/experts/${manifest.id}/clear.`,
      );
    }
  }

  /** Returns those that are here and could not be staged: to be tried again. */
  #publish(stock: Stock): readonly Wanted[] {
    const { found, broken, standings } = stock;
    this.#record(stock);
    this.#flush();
    this.#staging.leaveAllBut((of, digest) => {
      const next = standings.get(of)?.next;
      return (next?.kind === 'stage' || next?.kind === 'held') && next.candidate.digest === digest;
    });
    for (const [id, one] of [...this.#packages]) {
      // What was fetched and is damaged stays until it is mended, or its successor is here: it may be in memory.
      const isAwaited = standings.has(id) && this.#wanted(id)?.sources.length !== 0;
      if (found.has(id) || (isAwaited && this.originOf(one) === 'fetched')) continue;
      this.#packages.delete(id);
      this.#telling.removed(id);
    }
    this.#telling.takeBack((id) => found.has(id) || broken.has(id) || this.#wanted(id) !== undefined);
    for (const [id, one] of found) this.#packages.set(id, one);
    for (const one of found.values()) this.#install(one);
    for (const [id, error] of broken) this.#telling.pending(id, null, { state: 'failed', error });
    return this.#config.experts.filter((one) => {
      const standing = standings.get(one.id);
      if (standing === undefined) return false;
      const { next } = standing;
      const isNew = next.kind === 'stage' && !this.#staging.isStaged(one.id, next.found);
      if (isNew && !this.#rollouts.isKept) return true;
      this.#goOn(one, standing);
      return false;
    });
  }

  /** What counts, and which candidates are wanted still. In memory: the caller sees to it that it comes to the disk. */
  #record({ found, standings }: Stock): void {
    for (const [id, { tenure }] of standings) if (tenure !== null) this.#rollouts.set(id, tenure);
    for (const id of this.#rollouts.ids()) {
      const tenure = this.#rollouts.get(id);
      if (standings.has(id) || tenure === null) continue;
      // Nobody wants it from sources: then a folder counts, or nothing, and what was fetched waits for its time.
      this.#rollouts.set(id, found.has(id) ? NO_TENURE : { ...tenure, candidate: null });
    }
  }

  /** What follows for the version that is wanted, and for those that are not any more. */
  #goOn(wanted: Wanted, { counts, next, tenure }: Standing): void {
    const { id } = wanted;
    if (next.kind === 'stage') this.#stage(wanted, next.found, next.candidate);
    else if (next.kind === 'held') this.#staging.hold(id, next.candidate);
    if (next.kind === 'held' && counts === null)
      this.#telling.pending(id, next.candidate.version, heldBack(next.candidate));
    // The process may have ended right after a rollout.
    if (next.kind === 'held' || (next.kind === 'none' && tenure?.previous != null)) this.#tidy(id);
  }

  #stage(wanted: Wanted, found: Package, candidate: Candidate): void {
    this.#describing(found, () => {
      this.#staging.stage(wanted, found, candidate, this.#factsOf(found, wanted.id));
    });
  }

  /**
   * Takes what is wanted from the disk; false where it is not there. Before it may come there, what counts until then is
   * on the record: else the new one would be found alone after a power cut. Throws AgentError `not_kept`.
   */
  #takeWanted(wanted: Wanted): boolean {
    const { id } = wanted;
    const standing = standingIn(this.#options, wanted, (expert) => this.#rollouts.get(expert));
    const { counts, next, tenure } = standing;
    if (tenure !== null) this.#rollouts.set(id, tenure);
    const isOther = counts?.directory !== this.#packages.get(id)?.directory;
    if (next.kind === 'none') this.#staging.leave(id);
    if (counts !== null && (isOther || next.kind === 'none')) {
      this.#flush();
      this.#packages.set(id, counts);
      this.#install(counts);
    }
    if (next.kind !== 'none') this.#rollouts.flush();
    if (next.kind === 'fetch') return false;
    this.#goOn(wanted, standing);
    return true;
  }

  #install(one: Package): void {
    this.#describing(one, () => this.#telling.installed(this.#factsOf(one, null)));
  }

  /** A package whose facts cannot be had is told as failed. */
  #describing({ manifest: { id, version } }: Package, tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#telling.pending(id, version, { state: 'failed', error: toFailure(error) });
    }
  }

  #factsOf(found: Package, candidateOf: ExpertId | null): ReturnType<typeof expertOf> {
    const { embedder } = this.#config;
    const embedderDigest = embedder === null ? null : (this.#packages.get(embedder)?.digest ?? null);
    const wanted = this.#wanted(found.manifest.id);
    return expertOf(found, {
      memory: this.#options.memory,
      embedderDigest,
      pinned: wanted?.pinned ?? false,
      contextTokens: wanted?.contextTokens ?? null,
      fallback: wanted?.fallback ?? null,
      candidateOf,
    });
  }

  #wanted(id: ExpertId): Wanted | undefined {
    return this.#config.experts.find((one) => one.id === id);
  }

  /** False where it is not on the disk: it counts all the same until this process ends, and comes there with the next. */
  #flush(): boolean {
    try {
      this.#rollouts.flush();
      return true;
    } catch (error) {
      this.#options.onTrouble?.(toFailure(error));
      return false;
    }
  }

  /** Removes the versions of an expert that nobody goes back to, when no fetch of it is under way. */
  #tidy(id: ExpertId): void {
    const { installDir } = this.#options;
    const isKept = (name: string): boolean => {
      const tenure = this.#rollouts.get(id);
      if (tenure === null || !this.#rollouts.isKept) return true;
      const { current, previous, candidate } = tenure;
      const kept = [current, previous, candidate?.state === 'rolledBack' ? null : candidate];
      const isNamed = kept.some((one) => one !== null && versionFolder(one.version, one.digest) === name);
      return isNamed || this.#packages.get(id)?.directory === join(installDir, id, name);
    };
    this.#fetching.afterwards(id, () => removeFetched(installDir, id, isKept));
  }
}

function heldBack({ version, why }: Candidate): { readonly state: 'failed'; readonly error: Failure } {
  const message = `version ${version} was rolled back, and no other is here: ${why?.message ?? 'nobody said why'}`;
  const hint = 'Send another version; or clear the expert, and this one is tried again.';
  return { state: 'failed', error: { code: 'rolled_back', message, hint, retryable: false } };
}
