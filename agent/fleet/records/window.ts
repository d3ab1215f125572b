/**
 * What is on its way to the collector, and what to send next. Pure: time and chance come as arguments.
 *
 * A batch is a span of one epoch. It is under way from `next` until the collector's high-water mark covers it; a
 * PUBACK says only that a broker had it. At most `maxBatches` are under way, so a collector that is slow, or forgets,
 * costs as much. What to send, in this order:
 *
 *  1 again what the collector says it misses, or what it was silent about for too long
 *  2 an explanation of numbers that it misses and this device no longer has (one at a time: it may be asked for by
 *    anybody who may write to the topic)
 *  3 the next numbers that were never sent in this connection
 *
 * With a new connection, or a new collector, everything starts at what was acknowledged: the receiver knows by the key
 * what it has already.
 */
import type { Span } from '../../outbox.ts';
import type { Ack } from '../documents/shapes.ts';

export interface WindowOptions {
  readonly maxBatches: number;
  /** A batch that was not acknowledged for so long is sent again, each time after twice as long. */
  readonly firstPatienceMs: number;
  readonly lastPatienceMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const windowOptions: WindowOptions = {
  maxBatches: 4,
  firstPatienceMs: 10_000,
  lastPatienceMs: 300_000,
  random: Math.random,
};

/** A batch is not repeated sooner: every acknowledgement names a hole until it is filled. */
const shortestRepeatMs = 1_000;
/** So often an explanation is given; who did not take it will not. */
const mostExplanations = 3;

/** To be read and sent. `id` is that of the batch; a batch that is sent again keeps it. */
export interface Order extends Span {
  readonly id: number;
}

/** What an acknowledgement means. `stale`: an old one, which says nothing. */
export type Verdict =
  | { readonly kind: 'accepted'; readonly released: { readonly epoch: number; readonly high: number } }
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly reason: 'future_epoch' | 'never_sent' };

interface Batch extends Span {
  readonly id: number;
  readonly sentMs: number;
  readonly times: number;
  readonly dueMs: number;
  readonly explains: boolean;
}

export class Window {
  readonly #options: WindowOptions;
  #batches: readonly Batch[] = [];
  /** Per epoch the highest number that was ever sent by this process. */
  readonly #sent = new Map<number, number>();
  /** Per epoch the highest number that was ever acknowledged to this process. */
  readonly #heard = new Map<number, number>();
  /** Per epoch the last number that was sent since `restart`. */
  #reached = new Map<number, number>();
  #question: Span | null = null;
  #nextId = 1;

  constructor(options: WindowOptions = windowOptions) {
    this.#options = options;
  }

  /** Batches under way. */
  get size(): number {
    return this.#batches.length;
  }

  /** A new connection or a new collector: nothing is under way. */
  restart(): void {
    this.#batches = [];
    this.#reached = new Map();
    this.#question = null;
  }

  /** What to send now; null is nothing. `pending` is what waits, oldest epoch first. Call `sent` for what was sent. */
  next(pending: readonly Span[], nowMs: number): Order | null {
    const due = this.#batches.find((batch) => batch.dueMs <= nowMs);
    if (due !== undefined) return due; // 1
    if (this.#batches.length >= this.#options.maxBatches) return null;
    if (this.#question !== null && !this.#batches.some(({ explains }) => explains)) {
      return { ...this.#question, id: 0 }; // 2
    }
    for (const { epoch, first, last } of pending) {
      const from = Math.max(first, (this.#reached.get(epoch) ?? 0) + 1);
      if (from <= last) return { epoch, first: from, last, id: 0 }; // 3
    }
    return null;
  }

  /**
   * An order was read and is to be sent now: `last` may be less than it asked for. False: it was acknowledged meanwhile,
   * and need not be sent.
   */
  sent(order: Order, last: number, nowMs: number): boolean {
    const { epoch, first } = order;
    this.#sent.set(epoch, Math.max(this.#sent.get(epoch) ?? 0, last));
    const before = this.#batches.find(({ id }) => id === order.id);
    const explains = before?.explains ?? this.#isQuestion(order);
    if (!explains && last <= (this.#heard.get(epoch) ?? 0)) return false;
    if (explains && before === undefined) this.#question = null;
    else if (!explains) this.#reached.set(epoch, Math.max(this.#reached.get(epoch) ?? 0, last));
    const times = (before?.times ?? 0) + 1;
    const id = before?.id ?? this.#nextId++;
    const batch = {
      id,
      epoch,
      first,
      last,
      sentMs: nowMs,
      times,
      dueMs: nowMs + this.#patience(times),
      explains,
    };
    this.#batches = [...this.#batches.filter((one) => one.id !== id), batch];
    if (before !== undefined && last < before.last) this.#splitRest(before, last, nowMs);
    if (explains && times >= mostExplanations) this.#forget(id);
    return true;
  }

  /** An order cannot be filled: it is forgotten. True: it was an explanation (2), and nothing waits for that here. */
  cancel(order: Order): boolean {
    const explains = this.#isQuestion(order);
    if (explains) this.#question = null;
    this.#forget(order.id);
    return explains;
  }

  /** Whether this process has sent anything of an epoch. */
  hasSent(epoch: number): boolean {
    return this.#sent.has(epoch);
  }

  /** `pending` as for `next`, `current` the epoch of this process. */
  acknowledged(ack: Ack, pending: readonly Span[], current: number, nowMs: number): Verdict {
    if (ack.epoch > current) return { kind: 'refused', reason: 'future_epoch' };
    const held = pending.find(({ epoch }) => epoch === ack.epoch);
    const named = Math.max(ack.hw, ...ack.missing.map(([, to]) => to));
    if (named > this.#highest(ack.epoch, current, held)) return { kind: 'refused', reason: 'never_sent' };
    this.#batches = this.#batches
      .filter(({ epoch, last }) => epoch !== ack.epoch || last > ack.hw)
      .map((one) => (one.epoch === ack.epoch ? { ...one, first: Math.max(one.first, ack.hw + 1) } : one));
    this.#hear(ack, held, current, nowMs);
    const isNews = held !== undefined && ack.hw >= held.first;
    if (isNews) this.#heard.set(ack.epoch, ack.hw);
    return isNews ? { kind: 'accepted', released: { epoch: ack.epoch, high: ack.hw } } : { kind: 'stale' };
  }

  /** When `next` may have something new without an event; null is never. */
  dueMs(): number | null {
    return this.#batches.length === 0 ? null : Math.min(...this.#batches.map(({ dueMs }) => dueMs));
  }

  /** Holes: what is under way there is due again, and what is not kept any more must be explained. */
  #hear(ack: Ack, held: Span | undefined, current: number, nowMs: number): void {
    const misses = ({ epoch, first, last }: Span): boolean =>
      epoch === ack.epoch && ack.missing.some(([from, to]) => from <= last && first <= to);
    this.#batches = this.#batches.map((batch) =>
      misses(batch)
        ? { ...batch, dueMs: Math.min(batch.dueMs, Math.max(nowMs, batch.sentMs + shortestRepeatMs)) }
        : batch,
    );
    const first = held?.first ?? (ack.epoch === current ? (this.#sent.get(current) ?? 0) + 1 : Infinity);
    const hole = ack.missing.find(([from]) => from < first);
    if (hole === undefined || this.#batches.some(({ explains }) => explains)) return;
    this.#question = { epoch: ack.epoch, first: hole[0], last: Math.min(hole[1], first - 1) };
  }

  /** The highest number that a collector can honestly know of: earlier processes sent as well. */
  #highest(epoch: number, current: number, held: Span | undefined): number {
    if (epoch === current) return this.#sent.get(epoch) ?? 0;
    return held?.last ?? Number.MAX_SAFE_INTEGER;
  }

  #isQuestion({ id, epoch, first }: Order): boolean {
    return id === 0 && this.#question?.epoch === epoch && this.#question.first === first;
  }

  /** A batch that had to become smaller leaves a rest, which is as late as it was. */
  #splitRest(before: Batch, last: number, nowMs: number): void {
    const rest = { ...before, id: this.#nextId++, first: last + 1, dueMs: nowMs };
    this.#batches = [...this.#batches, rest];
  }

  #forget(id: number): void {
    this.#batches = this.#batches.filter((batch) => batch.id !== id);
  }

  /** Half of it is chance: a thousand devices that lost one collector do not come back in step. */
  #patience(times: number): number {
    const { firstPatienceMs, lastPatienceMs, random } = this.#options;
    const wholeMs = Math.min(lastPatienceMs, firstPatienceMs * 2 ** (times - 1));
    return (wholeMs / 2) * (1 + random());
  }
}
