/** An outbox in memory, with what a real one goes through: starts, syncs that lag, retention. */
import type { Outbox, Portion, Span, Tombstone } from '../../../agent/outbox.ts';

interface Epoch {
  epoch: number;
  /** What it was called before `renew`: what its records say of themselves. */
  readonly born: number;
  /** By number, from 1; null is what retention took. */
  readonly bodies: (string | null)[];
  synced: number;
  released: number;
}

export class FakeOutbox implements Outbox {
  readonly epochs: Epoch[] = [];
  /** Called with what is let go of, before it goes. */
  onRelease: (epoch: number, first: number, last: number) => void = () => undefined;
  readonly #listeners = new Set<() => void>();
  #isRenewed = false;

  /** A new process: what was not synced is gone. */
  begin(): void {
    const former = this.epochs.at(-1);
    former?.bodies.splice(former.synced);
    this.#isRenewed = false;
    const epoch = (former?.epoch ?? 100) + 1;
    this.epochs.push({ epoch, born: epoch, bodies: [], synced: 0, released: 0 });
  }

  append(count: number): void {
    const { born, bodies } = this.#current();
    for (let n = 0; n < count; n += 1) {
      const seq = bodies.length + 1;
      bodies.push(JSON.stringify({ seq, wallMs: 1_000 * seq, event: 'request', say: `${born}-${seq}` }));
    }
  }

  sync(): void {
    const current = this.#current();
    current.synced = current.bodies.length;
    for (const listener of this.#listeners) listener();
  }

  /** Drops the oldest of what waits; the newest synced one stays. */
  retain(count: number): void {
    let left = count;
    for (const { bodies, released, synced } of this.epochs) {
      for (let seq = released + 1; seq < synced && left > 0; seq += 1) {
        if (bodies[seq - 1] !== null) left -= 1;
        bodies[seq - 1] = null;
      }
    }
  }

  epoch(): number | null {
    return this.epochs.at(-1)?.epoch ?? null;
  }

  pending(): readonly Span[] {
    return this.epochs
      .filter(({ synced, released }) => synced > released)
      .map(({ epoch, synced, released }) => ({ epoch, first: released + 1, last: synced }));
  }

  read({ epoch, first, last }: Span, maxBytes: number): Portion | null {
    const found = this.epochs.find((one) => one.epoch === epoch);
    if (found === undefined) return null;
    const records: string[] = [];
    const tombstones: Tombstone[] = [];
    let bytes = 0;
    let seq = first;
    for (; seq <= last && bytes < maxBytes; seq += 1) {
      const body = seq <= found.released ? undefined : found.bodies[seq - 1];
      if (typeof body === 'string') {
        records.push(body);
        bytes += body.length;
      } else
        tombstones.push({ from: seq, to: seq, reason: body === null ? 'retention' : 'not_kept', count: 1 });
    }
    return { epoch, first, last: seq - 1, records, tombstones };
  }

  acknowledge(epoch: number, high: number): void {
    const found = this.epochs.find((one) => one.epoch === epoch);
    if (found === undefined || high <= found.released) return;
    this.onRelease(epoch, found.released + 1, high);
    found.released = high;
  }

  renew(above: number): boolean {
    const current = this.#current();
    if (this.#isRenewed || current.released > 0 || above > 4_294_967_295) return false;
    current.epoch = Math.max(current.epoch, above) + 1;
    this.#isRenewed = true;
    return true;
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #current(): Epoch {
    const current = this.epochs.at(-1);
    if (current === undefined) throw new Error('begin() first');
    return current;
  }
}
