/** Reads the JSON of a tokenizer.json: each value is checked where it is read, and named where it is wrong. */
import { badTokenizer } from './refusal.ts';

export class Component {
  /** Where it is, such as `model`. */
  readonly path: string;
  readonly #value: Readonly<Record<string, unknown>>;

  /** Throws `bad_expert` for what is no JSON object. */
  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw badTokenizer(`${path === '' ? 'it' : path} is not an object`);
    this.#value = value as Record<string, unknown>;
    this.path = path;
  }

  get type(): string {
    return this.text('type');
  }

  /** A part; null if it is null or not there. */
  part(key: string): Component | null {
    const value = this.#own(key);
    return value === null ? null : new Component(value, this.#pathOf(key));
  }

  /** A part that must be there. */
  need(key: string): Component {
    return new Component(this.#own(key), this.#pathOf(key));
  }

  list(key: string): readonly unknown[] {
    const value = this.#own(key);
    if (Array.isArray(value)) return value;
    throw this.#wrong(key, 'a list');
  }

  parts(key: string): readonly Component[] {
    return this.list(key).map((value, at) => new Component(value, `${this.#pathOf(key)}[${at}]`));
  }

  /** Keys and values. */
  entries(): readonly (readonly [string, unknown])[] {
    return Object.entries(this.#value);
  }

  /** Without a fallback it must be there. */
  text(key: string, fallback?: string): string {
    const value = this.#own(key) ?? fallback;
    if (typeof value === 'string') return value.toWellFormed();
    throw this.#wrong(key, 'a text');
  }

  /** Null if it is null or not there. */
  textOrNull(key: string): string | null {
    return this.#own(key) === null ? null : this.text(key);
  }

  flag(key: string, fallback?: boolean): boolean {
    const value = this.#own(key) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.#wrong(key, 'true or false');
  }

  /** True for 0, null, and what is not there. */
  isZero(key: string): boolean {
    return (this.#own(key) ?? 0) === 0;
  }

  /** A whole number from 0. */
  count(key: string): number {
    return this.#checked(this.#own(key), key);
  }

  counts(key: string): readonly number[] {
    return this.list(key).map((value) => this.#checked(value, key));
  }

  /** One of `choices`. */
  choice<T extends string>(key: string, choices: readonly T[], fallback?: T): T {
    const value = this.text(key, fallback);
    const choice = choices.find((known) => known === value);
    if (choice !== undefined) return choice;
    throw this.#wrong(key, `one of ${choices.join(', ')}`);
  }

  #checked(value: unknown, key: string): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
    throw this.#wrong(key, 'a whole number');
  }

  #own(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? (this.#value[key] ?? null) : null;
  }

  #pathOf(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  #wrong(key: string, what: string): Error {
    return badTokenizer(`${this.#pathOf(key)} should be ${what}`);
  }
}
