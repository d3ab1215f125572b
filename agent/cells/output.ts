/** What a cell prints, line by line and bounded: a model that prints without end must not fill the log. */
import type { Readable } from 'node:stream';

const MAX_LINE = 1_000;
const MAX_LINES = 50;
const WINDOW_MS = 60_000;

/**
 * Calls `onLine` for every line of a stream: at most 50 a minute, each cut to 1,000 characters. What is over that is
 * counted, and told when the next minute's first line comes or the stream ends.
 */
export function readLines(stream: Readable, onLine: (line: string) => void, nowMs = () => Date.now()): void {
  const quota = new Quota(onLine, nowMs);
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) quota.take(line);
  });
  stream.on('error', () => stream.destroy());
  stream.on('close', () => {
    quota.take(rest);
    quota.reportDropped();
  });
}

class Quota {
  readonly #onLine: (line: string) => void;
  readonly #nowMs: () => number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #taken = 0;
  #dropped = 0;

  constructor(onLine: (line: string) => void, nowMs: () => number) {
    this.#onLine = onLine;
    this.#nowMs = nowMs;
  }

  take(line: string): void {
    const text = line.trimEnd().slice(0, MAX_LINE);
    if (text === '') return;
    const nowMs = this.#nowMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) this.#openWindow(nowMs);
    if (this.#taken < MAX_LINES) this.#onLine(text);
    else this.#dropped += 1;
    this.#taken += 1;
  }

  reportDropped(): void {
    if (this.#dropped > 0) this.#onLine(`(${this.#dropped} more lines were dropped)`);
    this.#dropped = 0;
  }

  #openWindow(nowMs: number): void {
    this.reportDropped();
    this.#windowStartMs = nowMs;
    this.#taken = 0;
  }
}
