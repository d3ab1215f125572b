/** The newest lines of the agent's own log, for whoever asks for them from afar. Bounded in lines and in bytes. */

const MAX_LINES = 5_000;
const MAX_BYTES = 262_144;
/** A stack with everything around it; what is longer is cut, and says so. */
const MAX_LINE_CHARS = 8_192;
const CUT = ' [cut]';

export interface LogTailOptions {
  readonly maxLines?: number;
  readonly maxBytes?: number;
}

export class LogTail {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  /** Those from `#first` on count; what is before it is dropped now and then, since a shift of all is slow. */
  #kept: { readonly line: string; readonly bytes: number }[] = [];
  #first = 0;
  #bytes = 0;

  constructor({ maxLines = MAX_LINES, maxBytes = MAX_BYTES }: LogTailOptions = {}) {
    this.#maxLines = maxLines;
    this.#maxBytes = maxBytes;
  }

  /** One line as it was written, with or without its end. */
  push(text: string): void {
    const line = shortened(text.endsWith('\n') ? text.slice(0, -1) : text);
    const bytes = Buffer.byteLength(line);
    this.#kept.push({ line, bytes });
    this.#bytes += bytes;
    while (this.#kept.length - this.#first > this.#maxLines || this.#bytes > this.#maxBytes)
      this.#dropOldest();
    if (this.#first > this.#maxLines) this.#compact();
  }

  /** The newest, oldest of them first; up to so many. */
  lines(count: number): readonly string[] {
    const from = Math.max(this.#first, this.#kept.length - Math.max(0, count));
    return this.#kept.slice(from).map(({ line }) => line);
  }

  #dropOldest(): void {
    this.#bytes -= this.#kept[this.#first]?.bytes ?? 0;
    this.#first += 1;
  }

  #compact(): void {
    this.#kept = this.#kept.slice(this.#first);
    this.#first = 0;
  }
}

/** Cut where no character is: half of one would be no text any more. */
function shortened(line: string): string {
  return line.length <= MAX_LINE_CHARS ? line : `${line.slice(0, MAX_LINE_CHARS).toWellFormed()}${CUT}`;
}
