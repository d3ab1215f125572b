/**
 * The twin of a device: what the fleet wants it to be, and what it says it is. A document is judged, kept, and then taken
 * (`taking.ts`); what is so is told (`reporter.ts`).
 */
import { AgentError, toFailure } from '../../errors.ts';
import type { FleetPolicy } from '../documents/desired.ts';
import type { Reason } from '../documents/refused.ts';
import { admitDesired, type DesiredVerdict } from '../trust/admit-desired.ts';
import type { Circumstances, Trust } from '../trust/trust.ts';
import { Keeping } from './kept-desired.ts';
import type { Hearer } from './member.ts';
import {
  type ConditionType,
  differences,
  type Phase,
  phaseOf,
  type Remark,
  type Situation,
  toldOf,
} from './reported.ts';
import { Reporter } from './reporter.ts';
import { diskOf, Taking, type TakingOptions } from './taking.ts';

export { keptOverlay } from './kept-desired.ts';

export interface TwinOptions extends Omit<TakingOptions, 'kept' | 'onChange'> {
  readonly circumstances: () => Circumstances;
  /** `keep` throws where it cannot be kept. */
  readonly trust: { current(): Trust; keep(trust: Trust): void };
  /** Resolves when the broker has it. */
  readonly publish: (name: 'reported', body: string, retain: boolean) => Promise<void>;
  readonly isUp: () => boolean;
}

/** What is not valid yet may come with a clock that is being set. */
const LEAST_WAIT_MS = 60_000;

type TurnedAway = Exclude<DesiredVerdict, { verdict: 'apply' }>;

export class Twin implements Hearer {
  readonly #options: TwinOptions;
  readonly #kept: Keeping;
  readonly #taking: Taking;
  readonly #reporter: Reporter;
  readonly #remarks = new Map<ConditionType, Remark>();
  readonly #counts = new Map<Reason, number>();
  /** Reasons that were told since a document was admitted last. */
  readonly #told = new Set<Reason>();
  /** What is kept cannot be read: it must not be replaced by less. */
  #damaged: AgentError | null = null;
  #cancelWait: (() => void) | null = null;

  constructor(options: TwinOptions) {
    const { circumstances, publish, isUp, clock, log } = options;
    this.#options = options;
    this.#kept = new Keeping(options.stateDir);
    this.#taking = new Taking({ ...options, kept: this.#kept, onChange: () => this.changed() });
    this.#reporter = new Reporter({
      look: () => toldOf(this.#situation()),
      publish: (body) => publish('reported', body, true),
      isUp,
      clock,
      wallMs: () => circumstances().nowMs,
      onFailure: (error) => log.warn({ failure: toFailure(error) }, 'what is so was not published'),
    });
  }

  /** Begins to take what an earlier process has kept and not taken; does not wait for the end of it. */
  async start(): Promise<void> {
    try {
      this.#kept.load(this.#options.circumstances());
      this.#taking.begin();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#damaged = error;
      this.#remark('MemoryDamaged', error.code, error.message);
      this.#options.log.warn({ failure: error.toFailure() }, 'no document of the fleet is taken');
    }
  }

  stop(): void {
    this.#kept.end();
    this.#taking.stop();
    this.#reporter.stop();
    this.#cancelWait?.();
  }

  onUp(): void {
    this.#reporter.onUp();
  }

  /** Something may be another than before. Cheap: it is looked at later. */
  changed(): void {
    this.#reporter.changed();
  }

  /** Messages that were not followed, by their reason, since the start; a document that is known is none of them. */
  refused(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** As it is reported, for who asks the device itself. */
  standing(): { readonly genSeen: number; readonly genApplied: number; readonly phase: Phase } {
    const kept = this.#kept.value;
    const phase = phaseOf({ kept, experts: this.#options.device.experts(), remarks: this.#remarks });
    return { genSeen: kept.memory.gen, genApplied: kept.completeGen, phase };
  }

  /**
   * Resolves when the message was judged and what follows from it is on the disk; it is carried out after that. Rejects
   * with AgentError `not_kept`, retryable, where the disk does not take it: then nothing is done.
   */
  async receive(payload: Uint8Array): Promise<void> {
    if (this.#damaged !== null) return;
    const trust = this.#options.trust.current();
    const verdict = admitDesired(this.#kept.value.memory, payload, trust, this.#options.circumstances());
    this.#needKept(() => this.#keep(verdict, trust));
    if (verdict.keysRefused === null) this.#remarks.delete('KeysRefused');
    else this.#remark('KeysRefused', verdict.keysRefused.reason, verdict.keysRefused.message);
    if (verdict.verdict === 'apply') this.#follow();
    else this.#turnAway(verdict, payload);
    this.changed();
  }

  /**
   * Lets this policy count over that of the document, until a newer document is taken. Rejects with an AgentError, and
   * changes nothing, where it cannot be kept or used.
   */
  async setPolicy(policy: FleetPolicy): Promise<void> {
    if (this.#damaged !== null) throw this.#damaged;
    await this.#taking.setPolicy(policy);
  }

  /** Keys first: what a document says counts only under the keys that it was judged by. */
  #keep(verdict: DesiredVerdict, before: Trust): void {
    const { memory } = verdict;
    if (verdict.trust !== before) this.#options.trust.keep(verdict.trust);
    if (verdict.verdict === 'apply') {
      const next = { document: verdict.document, body: Buffer.from(verdict.body).toString('utf8') };
      this.#kept.keep({ memory, next, turnedDown: null });
    } else if (memory !== this.#kept.value.memory) this.#kept.keep({ memory });
  }

  #needKept(work: () => void): void {
    try {
      work();
      this.#remarks.delete('NotKept');
    } catch (cause) {
      const { message, hint } = toFailure(cause);
      this.#remark('NotKept', 'not_kept', message);
      const more = hint === null ? { cause } : { cause, hint };
      throw new AgentError('not_kept', message, { ...more, retryable: true });
    }
  }

  #follow(): void {
    for (const type of ['DesiredRefused', 'DesiredIgnored', 'DesiredWaits', 'Forked'] as const)
      this.#remarks.delete(type);
    this.#told.clear();
    this.#cancelWait?.();
    this.#taking.begin();
  }

  #turnAway(verdict: TurnedAway, payload: Uint8Array): void {
    const { reason, message, hint, retryAtMs } = verdict;
    if (retryAtMs !== null) this.#waitFor(retryAtMs, payload);
    // A broker repeats what it retains in every session: so this is the newest word, and nothing is wrong with it.
    if (reason === 'same_generation') {
      for (const type of ['DesiredRefused', 'DesiredIgnored', 'Forked'] as const) this.#remarks.delete(type);
      return;
    }
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.#remark(typeOf(verdict), reason, message);
    if (this.#told.has(reason)) return;
    this.#told.add(reason);
    this.#options.log.warn({ reason, why: message, hint }, 'a document of the fleet is not followed');
    this.#options.device.note({
      order: 'desired',
      what: 'desired',
      state: 'REJECTED',
      why: `${reason}: ${message}`,
    });
  }

  /** One at a time: the one before would be older then, too. */
  #waitFor(retryAtMs: number, payload: Uint8Array): void {
    const { clock, circumstances, log } = this.#options;
    const delayMs = Math.max(LEAST_WAIT_MS, retryAtMs - circumstances().nowMs);
    this.#cancelWait?.();
    this.#cancelWait = clock.at(clock.nowMs() + delayMs, () => {
      this.#remarks.delete('DesiredWaits');
      this.receive(payload).catch((error: unknown) => {
        log.warn({ failure: toFailure(error) }, 'a document that waited for its time is not taken');
      });
    });
  }

  #remark(type: ConditionType, reason: string, message: string): void {
    this.#remarks.set(type, { reason, message });
    this.changed();
  }

  #situation(): Situation {
    const { device, circumstances, trust, stateDir } = this.#options;
    const experts = device.experts();
    this.#noteComplete(experts);
    const { device: name, clockTrusted } = circumstances();
    return {
      kept: this.#kept.value,
      experts,
      unsized: this.#taking.unsized,
      remarks: this.#remarks,
      device: name,
      enrolledAs: trust.current().device,
      clockTrusted,
      disk: diskOf(stateDir),
    };
  }

  #noteComplete(experts: Situation['experts']): void {
    const { current, completeGen } = this.#kept.value;
    if (current === null || current.document.gen === completeGen) return;
    if (differences({ kept: this.#kept.value, experts }).length > 0) return;
    this.#kept.keepIfPossible({ completeGen: current.document.gen });
  }
}

function typeOf({ verdict, reason }: TurnedAway): ConditionType {
  if (reason === 'forked') return 'Forked';
  if (reason === 'not_yet_valid') return 'DesiredWaits';
  return verdict === 'ignore' ? 'DesiredIgnored' : 'DesiredRefused';
}
