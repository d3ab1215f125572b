/**
 * Delivers the outbox: reads, packs and publishes what `Window` says, and lets go of what a collector acknowledged. It
 * sends nothing while the link is down or no collector is there (a broker would only keep it, and may drop it), and
 * keeps nothing in memory but spans: what it sends it reads again.
 */
import { AgentError, toFailure } from '../../errors.ts';
import type { Outbox } from '../../outbox.ts';
import type { Clock } from '../../ports.ts';
import type { Failure } from '../../types.ts';
import { type Ack, type CollectorStatus, readAck, readCollectorStatus } from '../documents/shapes.ts';
import type { Link } from '../link.ts';
import { encodeBatch, maxBatchBytes } from './batch.ts';
import { type Order, Window, type WindowOptions, windowOptions } from './window.ts';

export interface DrainOptions {
  readonly outbox: Outbox;
  readonly link: Link;
  readonly clock: Clock;
  readonly topics: {
    /** Where batches go. */
    readonly rec: string;
    /** Where acknowledgements come from, and the word whether a collector is there: both are subscribed to already. */
    readonly ack: string;
    readonly collector: string;
  };
  /**
   * What was refused: each kind once, since anybody may send it again and again. What could not be sent: a kind once,
   * until something is acknowledged again.
   */
  readonly report: (failure: Failure) => void;
  /** A collector has come, or come back: who greets it now is known there on every broker. */
  readonly onCollector?: () => void;
  /** A record waits so long for others to go with. */
  readonly lingerMs?: number;
  readonly window?: WindowOptions;
  /** Tests pack without threads. */
  readonly encode?: typeof encodeBatch;
}

/** For the state that the agent shows. Counts are since the start. */
export interface DrainHealth {
  /** `offline`: no link; `paused`: no collector. */
  readonly state: 'offline' | 'paused' | 'idle' | 'sending';
  /** Numbers that are on the disk and not acknowledged. */
  readonly waiting: number;
  readonly batchesSent: number;
  readonly batchesRepeated: number;
  readonly acknowledged: number;
  /** Acknowledgements, and words about the collector, that were not followed: how many, by the code of the failure. */
  readonly refused: Readonly<Record<string, number>>;
  /** Wall clock of the last acknowledgement that said something new; null: none. */
  readonly lastAckMs: number | null;
}

const lingerMs = 2_000;
/** Text of a batch: packs to a third of what a broker takes. */
const maxTextBytes = 262_144;
/** Smaller batches are tried where a broker takes less; a record fits in this. */
const minTextBytes = 4_096;
/** After a batch could not be read or handed over. */
const retryMs = 5_000;

export class Drain {
  readonly #options: DrainOptions;
  readonly #window: Window;
  /** Who is there to acknowledge; null: nobody. */
  #collector: CollectorStatus | null = null;
  #running = false;
  #pumping = false;
  #again = false;
  #textBytes = maxTextBytes;
  /** Rises with each restart: an order of before is none any more. */
  #generation = 0;
  #alarm: { readonly atMs: number; readonly cancel: () => void } | null = null;
  #ends: readonly (() => void)[] = [];
  readonly #reported = new Set<string>();
  readonly #refused = new Map<string, number>();
  #counts = { sent: 0, repeated: 0, acknowledged: 0 };
  #lastAckMs: number | null = null;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#window = new Window(options.window ?? windowOptions);
  }

  /** Listens from now on; sends as soon as link and collector are there. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    const { link, outbox } = this.#options;
    this.#ends = [
      link.onMessage((topic, payload, { retain }) => this.#take(topic, payload, retain)),
      link.onUp(() => this.#restart()),
      link.onDown(() => this.#pause()),
      outbox.onMore(() => this.#wake(this.#options.lingerMs ?? lingerMs)),
    ];
    this.#restart();
  }

  /** Sends nothing more. What is under way is sent again by the next process if it is not acknowledged. */
  stop(): void {
    this.#running = false;
    for (const end of this.#ends) end();
    this.#ends = [];
    this.#sleep();
  }

  health(): DrainHealth {
    const { sent, repeated, acknowledged } = this.#counts;
    const spans = this.#options.outbox.pending();
    return {
      state: this.#state(),
      waiting: spans.reduce((sum, { first, last }) => sum + last - first + 1, 0),
      batchesSent: sent,
      batchesRepeated: repeated,
      acknowledged,
      refused: Object.fromEntries(this.#refused),
      lastAckMs: this.#lastAckMs,
    };
  }

  #state(): DrainHealth['state'] {
    if (!this.#options.link.isUp) return 'offline';
    if (this.#collector === null) return 'paused';
    return this.#window.size === 0 ? 'idle' : 'sending';
  }

  // ---- what comes in ------------------------------------------------------------------------------------------

  #take(topic: string, payload: Uint8Array, isRetained: boolean): undefined {
    const { ack, collector } = this.#options.topics;
    if (topic !== ack && topic !== collector) return undefined;
    // Somebody took away what the broker kept: that says nothing.
    if (payload.byteLength === 0) return undefined;
    try {
      if (topic === ack) this.#acknowledge(readAck(payload));
      else this.#meet(readCollectorStatus(payload), isRetained);
    } catch (error) {
      this.#refuse(toFailure(error));
    }
    return undefined;
  }

  /** Collectors repeat their word; one that connected anew may have lost what it had not yet kept. */
  #meet(status: CollectorStatus, isRetained: boolean): void {
    const before = this.#collector;
    // A goodbye of an earlier connection. What the broker kept is its newest word, whatever the clocks say.
    if (!isRetained && isOfEarlier(status, before)) return;
    this.#collector = status.online ? status : null;
    if (!status.online) return this.#pause();
    if (before !== null && before.sinceMs !== undefined && before.sinceMs === status.sinceMs) return;
    this.#restart();
    this.#options.onCollector?.();
  }

  #acknowledge(ack: Ack): void {
    const { outbox, clock } = this.#options;
    const current = outbox.epoch();
    if (current === null) return;
    const pending = outbox.pending();
    const verdict = this.#window.acknowledged(ack, pending, current, clock.nowMs());
    if (verdict.kind === 'refused') return this.#dispute(ack, current, verdict.reason);
    if (verdict.kind === 'accepted') {
      const { epoch, high } = verdict.released;
      const first = pending.find((span) => span.epoch === epoch)?.first ?? high + 1;
      this.#counts.acknowledged += high - first + 1;
      this.#lastAckMs = Date.now();
      this.#reported.clear();
      outbox.acknowledge(epoch, high);
    }
    this.#wake(0);
  }

  /**
   * A collector knows of this epoch, or of a later one, what this device never sent. The word may be forged or meant for
   * another device with this name; or this device has lost all that it knew of its epochs, has no clock, and gives them
   * again. Then what it sends would have the keys of other records, and be dropped there as known. So it takes a later
   * name while that costs nothing: as long as nothing of the epoch was sent. What arrived under two names would be there
   * twice, and whoever may write to the topic could bring that about. The last acknowledgement is retained, so a device
   * that forgot everything hears it before it sends.
   */
  #dispute(ack: Ack, current: number, reason: string): void {
    const mayRenew = ack.epoch >= current && !this.#window.hasSent(current);
    if (!mayRenew || !this.#options.outbox.renew(ack.epoch)) return this.#refuse(refusal(reason, ack));
    this.#refuse(renewal(ack, current));
    this.#restart();
  }

  #refuse(failure: Failure): void {
    const count = (this.#refused.get(failure.code) ?? 0) + 1;
    this.#refused.set(failure.code, count);
    if (count === 1) this.#options.report(failure);
  }

  // ---- what goes out ------------------------------------------------------------------------------------------

  #restart(): void {
    this.#window.restart();
    this.#generation += 1;
    this.#textBytes = maxTextBytes;
    this.#wake(0);
  }

  #pause(): void {
    this.#window.restart();
    this.#generation += 1;
    this.#sleep();
  }

  #isOpen(): boolean {
    return this.#running && this.#collector !== null && this.#options.link.isUp;
  }

  async #pump(): Promise<void> {
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    this.#pumping = true;
    try {
      do {
        this.#again = false;
        while (this.#isOpen() && (await this.#sendNext()));
      } while (this.#again);
    } catch (error) {
      this.#report(toFailure(error));
      this.#wake(retryMs);
    } finally {
      this.#pumping = false;
    }
    const dueMs = this.#window.dueMs();
    if (this.#isOpen() && dueMs !== null) this.#wakeAt(dueMs);
  }

  /** False if there is nothing to send, or if it could not be read. */
  async #sendNext(): Promise<boolean> {
    const { outbox, clock, link, topics } = this.#options;
    const order = this.#window.next(outbox.pending(), clock.nowMs());
    if (order === null) return false;
    const generation = this.#generation;
    const packed = await this.#pack(order);
    if (generation !== this.#generation) return true;
    if (packed === null) {
      // A hole of somebody else's epoch is not explained here, and holds nothing up.
      if (this.#window.cancel(order)) return true;
      this.#wake(retryMs);
      return false;
    }
    if (!this.#isOpen()) return false;
    if (!this.#window.sent(order, packed.last, clock.nowMs())) return true;
    this.#counts.sent += 1;
    if (order.id > 0) this.#counts.repeated += 1;
    link.publish(topics.rec, packed.payload, { qos: 1 }).catch((error: unknown) => this.#notSent(error));
    return true;
  }

  async #pack(order: Order): Promise<{ readonly payload: Uint8Array; readonly last: number } | null> {
    const { outbox, encode = encodeBatch } = this.#options;
    for (let bytes = this.#textBytes; ; bytes /= 2) {
      const portion = outbox.read(order, bytes);
      if (portion === null) return null;
      const payload = await encode(portion);
      if (payload.byteLength <= maxBatchBytes || bytes <= minTextBytes)
        return { payload, last: portion.last };
    }
  }

  /** The window sends it again in time; a link that is lost begins anew by itself. */
  #notSent(error: unknown): void {
    const { code } = toFailure(error);
    if (code === 'link_lost' || code === 'not_connected') return;
    if (code === 'too_large') this.#textBytes = Math.max(minTextBytes, this.#textBytes / 2);
    this.#report(toFailure(error));
  }

  // ---- time ---------------------------------------------------------------------------------------------------

  #wake(delayMs: number): void {
    if (this.#isOpen()) this.#wakeAt(this.#options.clock.nowMs() + delayMs);
  }

  #wakeAt(atMs: number): void {
    if (this.#alarm !== null && this.#alarm.atMs <= atMs) return;
    this.#alarm?.cancel();
    const cancel = this.#options.clock.at(atMs, () => {
      this.#alarm = null;
      void this.#pump();
    });
    this.#alarm = { atMs, cancel };
  }

  #sleep(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
  }

  #report(failure: Failure): void {
    if (this.#reported.has(failure.code)) return;
    this.#reported.add(failure.code);
    this.#options.report(failure);
  }
}

/** A goodbye of a connection before the one that is known. */
function isOfEarlier({ online, sinceMs }: CollectorStatus, known: CollectorStatus | null): boolean {
  return !online && sinceMs !== undefined && known?.sinceMs !== undefined && sinceMs < known.sinceMs;
}

function renewal({ epoch, hw }: Ack, current: number): Failure {
  return new AgentError(
    'epoch_renewed',
    `A collector has ${epoch}:${hw}, which this device never sent: what waits of ${current} goes under a later epoch.`,
    { hint: 'Either its state was lost while it had no clock, or another device has its name.' },
  ).toFailure();
}

function refusal(reason: string, { epoch, hw }: Ack): Failure {
  return new AgentError(
    'ack_refused',
    `An acknowledgement of ${epoch}:${hw} was refused (${reason}): this device has not sent that.`,
    { hint: 'Somebody else may write to its topic, or has its name. Look at the rights at the broker.' },
  ).toFailure();
}
