/** What the loop is told of the experts on this device, and what of it is to be taken back. */
import type { Event } from '../events.ts';
import type { Expert, ExpertId, Failure } from '../types.ts';

type Untimed<E> = E extends unknown ? Omit<E, 'atMs'> : never;
export type CatalogEvent = Untimed<
  Extract<Event, { type: 'installed' | 'removed' | 'pending' | 'staged' | 'rolledBack' }>
>;

export interface Waiting {
  readonly state: 'fetching' | 'failed';
  readonly error: Failure | null;
  readonly done?: number;
  readonly total?: number | null;
}

export class Telling {
  readonly #emit: (event: CatalogEvent) => void;
  /** Told as pending and not installed since: to be taken back when nobody wants them any more. */
  readonly #announced = new Set<ExpertId>();
  #hasStopped = false;

  constructor(emit: (event: CatalogEvent) => void) {
    this.#emit = emit;
  }

  installed(expert: Expert): void {
    this.#announced.delete(expert.id);
    this.#tell({ type: 'installed', expert });
  }

  removed(expert: ExpertId): void {
    this.#announced.delete(expert);
    this.#tell({ type: 'removed', expert });
  }

  /** What is told of a rollout says as well that the wait for its version is over. */
  rollout(of: ExpertId, event: Extract<CatalogEvent, { type: 'staged' | 'rolledBack' }>): void {
    this.#announced.delete(of);
    this.#tell(event);
  }

  pending(expert: ExpertId, version: string | null, { state, error, done = 0, total = null }: Waiting): void {
    this.#announced.add(expert);
    this.#tell({
      type: 'pending',
      expert,
      pending: { version, state, doneBytes: done, totalBytes: total, error },
    });
  }

  /** Takes back what waits, but for those that are still wanted. */
  takeBack(isWanted: (expert: ExpertId) => boolean): void {
    for (const id of [...this.#announced]) if (!isWanted(id)) this.removed(id);
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#hasStopped = true;
  }

  #tell(event: CatalogEvent): void {
    if (!this.#hasStopped) this.#emit(event);
  }
}
