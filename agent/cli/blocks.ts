/** Messages of several lines: those between two lines with three quotes. */

const FENCE = '"""';

export class Blocks {
  /** The lines of the block that is open; null where none is. */
  #lines: string[] | null = null;

  get isOpen(): boolean {
    return this.#lines !== null;
  }

  /** Takes a line, or several that came at once; a whole message, or null while a block is open. */
  take(text: string): string | null {
    if (this.#lines === null && !text.trimStart().startsWith(FENCE)) return text;
    const lines = text.split('\n');
    for (const [at, line] of lines.entries()) {
      const block = this.#take(line);
      if (block !== null) return [block, ...lines.slice(at + 1)].join('\n');
    }
    return null;
  }

  /** Forgets what was begun, and gives it. */
  drop(): string | null {
    const lines = this.#lines;
    this.#lines = null;
    return lines === null ? null : lines.join('\n');
  }

  /** The block, where this line ends it. */
  #take(line: string): string | null {
    const opened = this.#lines;
    const text = opened === null ? line.trimStart().slice(FENCE.length) : line;
    const end = text.trimEnd();
    const isLast = end.endsWith(FENCE);
    const own = isLast ? end.slice(0, -FENCE.length) : text;
    // A line that holds nothing but quotes is none of the text.
    const lines = [...(opened ?? []), ...(own === '' && (opened === null || isLast) ? [] : [own])];
    this.#lines = isLast ? null : lines;
    return isLast ? lines.join('\n') : null;
  }
}
