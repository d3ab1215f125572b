/** The clients of a world. Invariant 3: everyone who waits is answered exactly once. */
import assert from 'node:assert/strict';
import type { RequestId } from '../../agent/types.ts';

export class Clients {
  readonly #ends = new Map<RequestId, string>();
  readonly #open = new Set<RequestId>();

  get waiting(): number {
    return this.#open.size;
  }

  open(request: RequestId): void {
    this.#open.add(request);
  }

  isOpen(request: RequestId): boolean {
    return this.#open.has(request);
  }

  endOf(request: RequestId): string | undefined {
    return this.#ends.get(request);
  }

  end(request: RequestId, how: string): void {
    assert.ok(!this.#ends.has(request), `${request} ended twice: ${this.#ends.get(request)}, then ${how}`);
    this.#ends.set(request, how);
    this.#open.delete(request);
  }
}
