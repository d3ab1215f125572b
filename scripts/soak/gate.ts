/** Lets clients through, or holds them back until all that are under way are done. */
export class Gate {
  #open = true;
  #inside = 0;
  #onOpen: (() => void)[] = [];
  #onEmpty: (() => void)[] = [];

  /** Runs `work` once the gate is open. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    while (!this.#open) await new Promise<void>((resolve) => this.#onOpen.push(resolve));
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
      if (this.#inside === 0) for (const tell of this.#onEmpty.splice(0)) tell();
    }
  }

  /** Runs `work` alone: nobody is inside, and nobody comes in meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#open = false;
    try {
      if (this.#inside > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
      return await work();
    } finally {
      this.#open = true;
      for (const tell of this.#onOpen.splice(0)) tell();
    }
  }
}
