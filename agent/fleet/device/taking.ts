/**
 * From a document that was admitted to a device that follows it: weighed, then taken as a whole or not at all. Each step
 * can be the last thing that a process does, and the next process begins with the document again.
 */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { toFailure } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import { AGENT_BYTES, settingsOf } from '../../settings.ts';
import type { Desired, FleetPolicy } from '../documents/desired.ts';
import type { Reported } from '../documents/shapes.ts';
import { isHere, needRoom, type Place } from './capacity.ts';
import type { Admitted, Keeping, TurnedDown } from './kept-desired.ts';
import { readManifests } from './manifests.ts';
import { overlaid, overlayOf } from './overlay.ts';
import type { Device } from './ports.ts';

/** Fits a pino logger. */
export interface TwinLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface TakingOptions {
  readonly device: Device;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: TwinLog;
  /** As it is written, without the fleet's word. */
  readonly config: () => Config;
  readonly kept: Keeping;
  /** Something is another than before. */
  readonly onChange: () => void;
}

/** What has no room now, or could not be taken for a while, is looked at again. */
const RETRY_MS = 300_000;
const BLIND = { availableBytes: null, totalBytes: null, limitBytes: null };

export class Taking {
  readonly #options: TakingOptions;
  /** One word for the device at a time. */
  #settled: Promise<void> = Promise.resolve();
  #isWorking = false;
  #isAskedAgain = false;
  #weighing = new AbortController();
  #unsized: readonly string[] = [];
  #cancelRetry: (() => void) | null = null;
  #stopped = false;

  constructor(options: TakingOptions) {
    this.#options = options;
  }

  /** Experts of the newest document of which nobody could tell whether they fit. */
  get unsized(): readonly string[] {
    return this.#unsized;
  }

  /** Begins, or begins anew, to take what was admitted. */
  begin(): void {
    this.#isAskedAgain = true;
    this.#weighing.abort();
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    if (!this.#isWorking) void this.#work();
  }

  /** See `Twin.setPolicy`. */
  setPolicy(policy: FleetPolicy): Promise<void> {
    const { kept, device } = this.#options;
    return this.#inTurn(async () => {
      const before = kept.value.policy;
      kept.keep({ policy: { ...before, ...policy } });
      try {
        const { current, policy: all } = kept.value;
        await device.overlay(overlayOf(current?.document ?? null, all));
      } catch (error) {
        kept.keep({ policy: before });
        throw error;
      }
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#weighing.abort();
    this.#cancelRetry?.();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#isAskedAgain && !this.#stopped) {
      this.#isAskedAgain = false;
      const { next } = this.#options.kept.value;
      if (next === null) continue;
      await this.#try(next);
      this.#options.onChange();
    }
    this.#isWorking = false;
  }

  /** Never rejects. */
  async #try(next: Admitted): Promise<void> {
    this.#weighing = new AbortController();
    const { signal } = this.#weighing;
    try {
      this.#unsized = await this.#weigh(next.document, signal);
    } catch (error) {
      if (!signal.aborted) this.#turnDown(next, 'REJECTED', error);
      return;
    }
    if (signal.aborted) return;
    try {
      await this.#inTurn(() => this.#take(next));
    } catch (error) {
      this.#turnDown(next, 'FAILED', error);
    }
  }

  /** Throws where it has no room; resolves with the ids of which that is not known. */
  async #weigh(document: Desired, signal: AbortSignal): Promise<readonly string[]> {
    const { device, stateDir } = this.#options;
    const budget = this.#budget(document);
    const views = new Map(device.experts().map((view) => [view.id, view]));
    const unknown = document.experts.filter((expert) => {
      const view = views.get(expert.id);
      return !isHere(expert, view) || view?.memory?.measured !== true;
    });
    const manifests = await readManifests(unknown, join(stateDir, 'experts'), signal);
    signal.throwIfAborted();
    const freeDiskBytes = diskOf(stateDir).freeBytes;
    return needRoom(document, { ...budget, experts: device.experts(), manifests, freeDiskBytes });
  }

  /** Throws AgentError `bad_config` for a budget that is too small for the agent itself. */
  #budget(document: Desired): Pick<Place, 'config' | 'budgetBytes' | 'ownBytes'> {
    const { device, kept } = this.#options;
    const own = this.#options.config();
    const overlay = overlayOf(document, null);
    const config = overlay === null ? own : overlaid(own, overlay);
    const { budgetBytes, cellBaseBytes } = settingsOf(config, BLIND);
    // What the device takes by itself shows only while nobody has said another budget.
    const isSaid = kept.value.current?.document.budget !== undefined;
    const bytesNow = isSaid ? null : device.state().budgetBytes;
    return {
      config,
      budgetBytes: config.memory.budget === undefined ? bytesNow : budgetBytes,
      ownBytes: AGENT_BYTES + cellBaseBytes,
    };
  }

  async #take(next: Admitted): Promise<void> {
    const { device, kept, log } = this.#options;
    await device.overlay(overlayOf(next.document, null));
    if (this.#stopped) return;
    // A newer one may have been admitted meanwhile.
    const newer =
      kept.value.next === next ? {} : { turnedDown: kept.value.turnedDown, next: kept.value.next };
    const { current, policy } = kept.value;
    try {
      kept.keep({ current: next, policy: null, next: null, turnedDown: null, ...newer });
    } catch (error) {
      // The next process would know of the old one only: so that one counts now, too.
      await device.overlay(overlayOf(current?.document ?? null, policy));
      throw error;
    }
    device.note({ order: orderOf(next), what: 'desired', state: 'SUCCEEDED', why: null });
    log.info({ gen: next.document.gen }, 'a document of the fleet counts');
  }

  /** The old state stays. Told again only where it is another reason than before. */
  #turnDown(next: Admitted, state: TurnedDown['state'], error: unknown): void {
    const { device, kept, log } = this.#options;
    if (kept.value.next !== next || this.#stopped) return;
    const { code: reason, message, hint, retryable } = toFailure(error);
    if (retryable) this.#retry();
    const before = kept.value.turnedDown;
    if (before?.state === state && before.reason === reason) return;
    log.warn(
      { gen: next.document.gen, reason, why: message, hint },
      'a document of the fleet does not count',
    );
    device.note({ order: orderOf(next), what: 'desired', state, why: `${reason}: ${message}` });
    kept.keepIfPossible({ turnedDown: { state, reason, message } });
  }

  #retry(): void {
    const { clock } = this.#options;
    this.#cancelRetry?.();
    this.#cancelRetry = clock.at(clock.nowMs() + RETRY_MS, () => this.begin());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#settled.then(work);
    this.#settled = done.catch(() => undefined);
    return done;
  }
}

/** null where the system does not tell. */
export function diskOf(path: string): Reported['disk'] {
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return { freeBytes: null, totalBytes: null };
  }
}

function orderOf({ document }: Admitted): string {
  return `gen ${document.gen}`;
}
