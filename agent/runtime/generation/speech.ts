/** What is said, as it goes out: whole characters, nothing of a stop string, each token with the text it completes. */
import type { Piece, SaidToken } from '../../generation.ts';
import type { StopScanner } from './stop.ts';
import type { TextStream } from './tokens.ts';

interface Waiting {
  readonly token: SaidToken;
  /** Where its text begins in all that was said. */
  readonly start: number;
  /** Where it ends; null while its last character is not complete. */
  end: number | null;
}

export class Speech {
  readonly #text: TextStream;
  readonly #stops: StopScanner;
  readonly #onPiece: (piece: Piece) => void;
  readonly #pieces: Piece[] = [];
  /** Tokens whose text was not given out yet, in their order. */
  #waiting: Waiting[] = [];
  /** Length of what was said. */
  #saidChars = 0;
  /** Length of what was given out. */
  #givenChars = 0;

  constructor(text: TextStream, stops: StopScanner, onPiece: (piece: Piece) => void) {
    this.#text = text;
    this.#stops = stops;
    this.#onPiece = onPiece;
  }

  /** True once a stop string was met. */
  get stopped(): boolean {
    return this.#stops.stopped;
  }

  /** `token` is what is told of it; null: nothing. */
  push(id: number, token: SaidToken | null): void {
    const start = this.#saidChars;
    const fresh = this.#text.push(id);
    this.#saidChars += fresh.length;
    if (token !== null) this.#waiting.push({ token, start, end: null });
    if (!this.#text.isHolding) for (const one of this.#waiting) one.end ??= this.#saidChars;
    const given = this.#stops.push(fresh);
    if (this.stopped) this.#giveLast(given);
    else this.#give(given, (end) => end <= this.#givenChars);
  }

  /**
   * Gives out what was held back until the end. Half a character is dropped where the answer was cut, and kept (as
   * U+FFFD) where the model chose to end there.
   */
  end(isCut: boolean): void {
    if (this.stopped) return;
    const rest = isCut ? '' : this.#stops.push(this.#text.rest());
    this.#give(rest + this.#stops.rest(), () => true);
  }

  /** All that was given out. */
  whole(): Piece {
    return {
      text: this.#pieces.map(({ text }) => text).join(''),
      tokens: this.#pieces.flatMap(({ tokens }) => tokens),
    };
  }

  /** Of the tokens that a stop string cut off, those that said something before it. */
  #giveLast(text: string): void {
    const end = this.#givenChars + text.length;
    const before = this.#waiting.filter(({ start }) => start < end);
    this.#waiting = [];
    this.#emit(text, before);
  }

  #give(text: string, isDone: (end: number) => boolean): void {
    this.#givenChars += text.length;
    if (text === '' && this.#waiting.length === 0) return;
    const first = this.#waiting.findIndex(({ end }) => !isDone(end ?? Number.POSITIVE_INFINITY));
    this.#emit(text, this.#waiting.splice(0, first < 0 ? this.#waiting.length : first));
  }

  #emit(text: string, done: readonly Waiting[]): void {
    if (text === '' && done.length === 0) return;
    const piece = { text, tokens: done.map(({ token }) => token) };
    this.#pieces.push(piece);
    this.#onPiece(piece);
  }
}
