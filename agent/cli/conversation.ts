/** What was said in a chat, and how it is kept in a file where somebody wants that. */
import { readFileSync, writeFileSync } from 'node:fs';
import { CliError, EXIT } from './io.ts';

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** Of a request, beside its messages; what is not set is as the makers of the model say. */
export interface ChatSettings {
  readonly temperature?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
}

const MAX_FILE_BYTES = 64 * 1_048_576;

export class Conversation {
  model: string;
  system: string | null;
  readonly settings: ChatSettings;
  #messages: Message[] = [];
  /** Files that this chat has written or read: only those are written over. */
  readonly #files = new Set<string>();

  constructor(model: string, system: string | null, settings: ChatSettings) {
    this.model = model;
    this.system = system;
    this.settings = settings;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** The body of a request that adds `question`. Of a talk that has become too long, its beginning is left out. */
  request(question: string): object {
    const system = this.system === null ? [] : [{ role: 'system', content: this.system }];
    const messages = [...system, ...this.#messages, { role: 'user', content: question }];
    return { model: this.model, messages, stream: true, truncation: 'auto', ...this.settings };
  }

  add(question: string, answer: string): void {
    this.#messages.push({ role: 'user', content: question }, { role: 'assistant', content: answer });
  }

  reset(): void {
    this.#messages = [];
  }

  /** Throws a CliError where the file cannot be written, or holds something else. */
  save(path: string): void {
    const { model, system } = this;
    const text = `${JSON.stringify({ model, system, messages: this.#messages }, null, 2)}\n`;
    try {
      // For its owner alone: what was asked is nobody else's business.
      writeFileSync(path, text, { flag: this.#files.has(path) ? 'w' : 'wx', mode: 0o600 });
    } catch (error) {
      const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      if (exists) throw new CliError(EXIT.failed, `there is a ${path} already`, 'Choose another name.');
      throw new CliError(EXIT.failed, `${path} cannot be written: ${messageOf(error)}`);
    }
    this.#files.add(path);
  }

  /** Takes what `save` wrote in place of all that was said. Throws a CliError, and changes nothing, for any other file. */
  load(path: string): void {
    const { model, system, messages } = readSaved(path);
    this.model = model;
    this.system = system;
    this.#messages = messages;
    this.#files.add(path);
  }
}

function readSaved(path: string): { model: string; system: string | null; messages: Message[] } {
  let value: unknown;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_FILE_BYTES) throw new RangeError('it is too large');
    value = JSON.parse(text);
  } catch (error) {
    throw new CliError(EXIT.failed, `${path} cannot be read: ${messageOf(error)}`);
  }
  const { model, system, messages } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const isSystem = system === null || typeof system === 'string';
  if (typeof model === 'string' && isSystem && Array.isArray(messages) && messages.every(isMessage))
    return { model, system, messages: messages.map(({ role, content }) => ({ role, content })) };
  throw new CliError(EXIT.failed, `${path} is no chat that /save wrote`);
}

function isMessage(value: unknown): value is Message {
  const { role, content } = (value ?? {}) as Readonly<Record<string, unknown>>;
  return (role === 'user' || role === 'assistant') && typeof content === 'string';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
