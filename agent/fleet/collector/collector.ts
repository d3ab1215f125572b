/**
 * Takes in what devices send and acknowledges it once it is kept. What arrives within a moment is kept in one
 * transaction, and each epoch of a device is acknowledged once for it. Nothing that a device sends ends the collector:
 * what cannot be read is refused, counted, and told once per device and reason.
 */
import type { Archive, Arrived, Kept } from '../../archive.ts';
import { toFailure } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { Failure } from '../../types.ts';
import { type Ack, readHello, readReported, readStatus } from '../documents/shapes.ts';
import type { Link, Subscriptions } from '../link.ts';
import { decodeBatch } from '../records/batch.ts';
import { controlOf, parseTopic, topicsOf } from '../topics.ts';

export interface CollectorOptions {
  readonly root: string;
  readonly link: Link & Subscriptions;
  readonly archive: Archive;
  readonly clock: Clock;
  readonly report: (failure: Failure, device: string | null) => void;
}

export interface CollectorHealth {
  readonly batches: number;
  readonly records: number;
  readonly refused: number;
  readonly acks: number;
  /** Transactions, each with one fsync. */
  readonly commits: number;
}

/** Batches wait so long for others, at most so many, and no more bytes of them than that. */
const gatherMs = 20;
const mostGathered = 256;
const mostGatheredBytes = 4_194_304;
/** After the database refused. */
const retryMs = 1_000;
/** So often devices are reminded that somebody is there: a word of an earlier end may have overtaken the last one. */
const remindMs = 300_000;
/** Kinds of trouble that are told; then it is known that there is trouble. */
const mostTold = 1_000;
const wallMs = (): number => Date.now();

/** A topic that a second filter covers as well is delivered twice by some brokers: these do not overlap. */
export function collectorTopics(root: string): readonly string[] {
  const each = ['rec', 'status', 'reported'].map((name) => `${root}/v1/+/${name}`);
  return [...each, controlOf(root).hello];
}

export class Collector {
  readonly #options: CollectorOptions;
  #gathered: Arrived[] = [];
  #gatheredBytes = 0;
  /** What devices said of themselves and is to be written, in that order. */
  readonly #words: (() => void)[] = [];
  #cancel: (() => void) | null = null;
  #cancelReminder: (() => void) | null = null;
  /** The connection that its words are of, and when that began. */
  #bd: number | null = null;
  #sinceMs = 0;
  #full: { readonly promise: Promise<void>; readonly release: () => void; readonly told: string } | null =
    null;
  #acks = new Map<string, Kept>();
  #acking = false;
  #end: (() => void) | null = null;
  readonly #told = new Set<string>();
  #counts = { batches: 0, records: 0, refused: 0, acks: 0, commits: 0 };

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  health(): CollectorHealth {
    return { ...this.#counts };
  }

  /**
   * Retained at `ctl/status`, to be said at each connection: devices send again what an earlier one may have lost. `bd`
   * is the number of the connection.
   */
  birth(bd: number): string {
    this.#begin(bd);
    return this.#word(true);
  }

  /** The last will, and the goodbye. It names its connection: one that comes late takes back no later birth. */
  will(bd: number): string {
    this.#begin(bd);
    return this.#word(false);
  }

  /** Listens from now on; the link subscribes to `collectorTopics`. */
  start(): void {
    this.#end ??= this.#options.link.onMessage((topic, payload) => this.#take(topic, payload));
    this.#remindLater();
  }

  /** Keeps what has arrived, and listens no more. */
  stop(): void {
    this.#end?.();
    this.#end = null;
    this.#keep();
    this.#cancel?.();
    this.#cancel = null;
    this.#cancelReminder?.();
    this.#cancelReminder = null;
  }

  #remindLater(): void {
    const { clock, link, root } = this.#options;
    this.#cancelReminder ??= clock.at(clock.nowMs() + remindMs, () => {
      this.#cancelReminder = null;
      this.#remindLater();
      // Who is not connected says it at the next connection.
      link.publish(controlOf(root).status, this.#word(true), { qos: 1, retain: true }).catch(() => undefined);
    });
  }

  #begin(bd: number): void {
    if (bd === this.#bd) return;
    this.#bd = bd;
    this.#sinceMs = Math.max(wallMs(), this.#sinceMs + 1);
  }

  #word(online: boolean): string {
    return JSON.stringify({ online, sinceMs: this.#sinceMs });
  }

  // ---- what comes in ------------------------------------------------------------------------------------------

  /** Waits where more came than can be kept: the broker slows down then. */
  #take(topic: string, payload: Uint8Array): Promise<void> | undefined {
    const parsed = parseTopic(this.#options.root, topic);
    if (parsed === null) return undefined;
    const device = parsed.of === 'device' ? parsed.device : null;
    try {
      if (parsed.of === 'control') this.#greet(parsed.name, payload);
      else if (parsed.name === 'rec') return this.#gather(parsed.device, payload);
      else if (parsed.name === 'status') return this.#note(parsed.device, payload);
      else if (parsed.name === 'reported') return this.#noteReport(parsed.device, payload);
    } catch (error) {
      this.#refuse(device, toFailure(error));
    }
    return undefined;
  }

  #gather(device: string, payload: Uint8Array): Promise<void> | undefined {
    this.#gathered.push({ device, batch: decodeBatch(payload) });
    this.#gatheredBytes += payload.byteLength;
    if (this.#gathered.length >= mostGathered || this.#gatheredBytes >= mostGatheredBytes) this.#keep();
    else this.#keepLater(gatherMs);
    return this.#full?.promise;
  }

  #note(device: string, payload: Uint8Array): Promise<void> | undefined {
    // A retained message that was taken away is empty.
    if (payload.byteLength === 0) return undefined;
    const status = readStatus(payload);
    const { archive } = this.#options;
    return this.#write(() => {
      if (status.online) archive.born(device, status, wallMs());
      else archive.died(device, status.bd, wallMs());
    });
  }

  #noteReport(device: string, payload: Uint8Array): Promise<void> | undefined {
    if (payload.byteLength === 0) return undefined;
    readReported(payload);
    const text = Buffer.from(payload).toString();
    return this.#write(() => this.#options.archive.reported(device, text, wallMs()));
  }

  /** Its birth does not reach wildcards at every broker when it is old: it is asked for by name. */
  #greet(name: string, payload: Uint8Array): void {
    if (name !== 'hello') return;
    const { device } = readHello(payload);
    const { root, link } = this.#options;
    const { status } = topicsOf(root, device);
    link
      .subscribe([status])
      .then(() => link.unsubscribe([status]))
      .catch((error: unknown) => this.#tell(toFailure(error), device));
  }

  // ---- keeping ------------------------------------------------------------------------------------------------

  /** A broker need not say it again: what the database does not take now waits, and so does what comes behind it. */
  #write(word: () => void): Promise<void> | undefined {
    this.#words.push(word);
    if (this.#full === null) {
      try {
        this.#writeWords();
      } catch (error) {
        this.#wait(error);
      }
    }
    return this.#full?.promise;
  }

  #writeWords(): void {
    for (let word = this.#words[0]; word !== undefined; word = this.#words[0]) {
      word();
      this.#words.shift();
    }
  }

  #keepLater(delayMs: number): void {
    const { clock } = this.#options;
    this.#cancel ??= clock.at(clock.nowMs() + delayMs, () => {
      this.#cancel = null;
      this.#keep();
    });
  }

  #keep(): void {
    if (this.#gathered.length === 0 && this.#words.length === 0) return;
    try {
      this.#writeWords();
      this.#keepGathered();
      this.#open();
      void this.#acknowledge();
    } catch (error) {
      this.#wait(error);
    }
  }

  #keepGathered(): void {
    const arrived = this.#gathered;
    if (arrived.length === 0) return;
    const kept = this.#options.archive.keep(arrived, wallMs());
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#counts.commits += 1;
    this.#counts.batches += arrived.length;
    for (const { batch } of arrived) this.#counts.records += batch.records.length;
    for (const one of kept) this.#acks.set(`${one.device} ${one.epoch}`, one);
  }

  /** The database takes nothing: neither does the collector. */
  #wait(error: unknown): void {
    const failure = toFailure(error);
    this.#tell(failure, null);
    this.#keepLater(retryMs);
    if (this.#full !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#full = { promise, release: resolve, told: keyOf(failure, null) };
  }

  /** It takes again; the next time that it does not is told anew. */
  #open(): void {
    this.#full?.release();
    if (this.#full !== null) this.#told.delete(this.#full.told);
    this.#full = null;
  }

  /** What is lost here with the link is said again when the device repeats its batch. */
  async #acknowledge(): Promise<void> {
    if (this.#acking) return;
    this.#acking = true;
    while (this.#acks.size > 0) {
      const acks = [...this.#acks.values()];
      this.#acks = new Map();
      await Promise.all(acks.map((kept) => this.#publish(kept)));
    }
    this.#acking = false;
  }

  async #publish({ device, epoch, high, missing }: Kept): Promise<void> {
    const ack: Ack = { epoch, hw: high, missing: missing.map(([first, last]) => [first, last]) };
    const { link, root } = this.#options;
    try {
      await link.publish(topicsOf(root, device).ack, JSON.stringify(ack), { qos: 1, retain: true });
      this.#counts.acks += 1;
    } catch (error) {
      this.#tell(toFailure(error), device);
    }
  }

  // ---- trouble ------------------------------------------------------------------------------------------------

  #refuse(device: string | null, failure: Failure): void {
    this.#counts.refused += 1;
    this.#tell(failure, device);
    if (device === null) return;
    try {
      this.#options.archive.refused(device, wallMs());
    } catch (error) {
      this.#tell(toFailure(error), null);
    }
  }

  #tell(failure: Failure, device: string | null): void {
    const key = keyOf(failure, device);
    if (this.#told.has(key) || this.#told.size >= mostTold) return;
    this.#told.add(key);
    this.#options.report(failure, device);
  }
}

function keyOf({ code }: Failure, device: string | null): string {
  return `${device ?? ''} ${code}`;
}
