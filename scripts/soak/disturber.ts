/** Does to the agent what devices do: kills its cells, takes the memory around it, lowers its budget for a while. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../test/experts-made/random.ts';
import type { MemoryGroup } from './memory-group.ts';
import type { Due, Kind } from './schedule.ts';
import type { SoakedAgent } from './soaked-agent.ts';

/** While one lasts, and for a while after, what it does to requests was done on purpose. */
export interface Disturbance {
  readonly kind: Kind;
  readonly atSwap: number;
  readonly sinceMs: number;
  untilMs: number;
  /** What was killed, or how much was taken. */
  readonly what: string;
}

export interface DisturberOptions {
  readonly agent: SoakedAgent;
  readonly group: MemoryGroup | null;
  readonly random: Random;
  readonly budgetBytes: number;
  /** null: there is none, and nobody takes memory. */
  readonly limitBytes: number | null;
}

const LAST_MS = 2_500;
/** Under a lower budget: still enough for the agent, a cell and the largest expert. */
const LOW_BUDGET = 0.75;
/** What the hog leaves of the limit beside a full budget: as much as the ledger may be wrong by. */
const SPARED = 0.05;
/** What a bare Node takes, the hog's own. */
const HOG_BASE_BYTES = 24 * 2 ** 20;
const MIB = 2 ** 20;

export class Disturber {
  readonly done: Disturbance[] = [];
  /** Experts that were brought back from quarantine, into which our kills had put them. */
  cleared = 0;
  /** Hogs that the kernel killed instead of a cell. */
  hogsKilled = 0;
  readonly #options: DisturberOptions;
  #hog: ChildProcess | null = null;

  constructor(options: DisturberOptions) {
    this.#options = options;
  }

  async run({ kind, atSwap }: Due): Promise<void> {
    if (kind === 'kill') await this.#kill(atSwap);
    else if (kind === 'hog' && this.#options.limitBytes !== null) await this.#takeMemory(atSwap);
    else await this.#lowerBudget(atSwap);
  }

  /** Ends what it started. */
  end(): void {
    this.#hog?.kill('SIGKILL');
  }

  /** True where one of these was under way between the two times, or had ended less than `graceMs` before. */
  overlaps(kinds: readonly Kind[], sinceMs: number, untilMs: number, graceMs: number): boolean {
    return this.done.some(
      (one) => kinds.includes(one.kind) && one.sinceMs <= untilMs && one.untilMs + graceMs >= sinceMs,
    );
  }

  /** A process that was killed three times within ten minutes is a bad one to the agent; it cannot know whose hand it was. */
  async clear(): Promise<void> {
    const { agent } = this.#options;
    for (const { id, state } of await agent.experts()) {
      if (state !== 'quarantined') continue;
      await agent.command('clear', id);
      this.cleared++;
    }
  }

  async #kill(atSwap: number): Promise<void> {
    const { agent, random } = this.#options;
    const cells = (await agent.state()).cells.filter(({ pid }) => pid !== null);
    const victim = cells[Math.floor(random.unit() * cells.length)];
    if (victim?.pid === undefined || victim.pid === null) return;
    const what = `${victim.id} with ${victim.experts.join(', ') || 'nothing'}`;
    this.#note('kill', atSwap, what);
    try {
      process.kill(victim.pid, 'SIGKILL');
    } catch {
      // It ended by itself between the look and the shot.
    }
  }

  /** Within the limit, but so that the file cache must go, and available memory falls below the low watermark. */
  async #takeMemory(atSwap: number): Promise<void> {
    const { group, limitBytes, budgetBytes } = this.#options;
    const bytes = Math.floor((limitBytes ?? 0) * (1 - SPARED)) - budgetBytes - HOG_BASE_BYTES;
    if (bytes <= 0) return;
    const script = `globalThis.taken = Buffer.alloc(${bytes}, 1); setTimeout(() => {}, ${LAST_MS})`;
    const args = ['-e', script];
    const { file, args: all } = group?.inside(process.execPath, args) ?? { file: process.execPath, args };
    const disturbance = this.#note('hog', atSwap, `${Math.round(bytes / MIB)} MiB`);
    this.#hog = spawn(file, all, { stdio: 'ignore' });
    const [, signal] = (await once(this.#hog, 'exit')) as [number | null, string | null];
    this.#hog = null;
    if (signal !== null) this.hogsKilled++;
    disturbance.untilMs = performance.now();
  }

  async #lowerBudget(atSwap: number): Promise<void> {
    const { agent, budgetBytes } = this.#options;
    const lowBytes = Math.floor(budgetBytes * LOW_BUDGET);
    const disturbance = this.#note('budget', atSwap, `${Math.round(lowBytes / MIB)} MiB`);
    await agent.tune({ budgetBytes: lowBytes });
    await sleep(LAST_MS);
    await agent.tune({ budgetBytes });
    disturbance.untilMs = performance.now();
  }

  #note(kind: Kind, atSwap: number, what: string): Disturbance {
    const nowMs = performance.now();
    const lasting = kind === 'kill' ? nowMs : Number.POSITIVE_INFINITY;
    const disturbance: Disturbance = { kind, atSwap, sinceMs: nowMs, untilMs: lasting, what };
    this.done.push(disturbance);
    return disturbance;
  }
}
