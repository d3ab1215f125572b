/** What a chat knows and shows: who answers, the answer as it comes, its sources, what goes wrong. */
import { type Answered, type Answerer, askOnce, type Hearer, type Sleep } from './answer.ts';
import { type AgentClient, RefusedError } from './client.ts';
import type { Conversation } from './conversation.ts';
import { type CliError, EXIT, type Io } from './io.ts';
import { percent, styleOf } from './print.ts';
import { visible } from './visible.ts';

export interface ChatOptions {
  readonly agent: AgentClient;
  readonly io: Io;
  readonly conversation: Conversation;
  readonly sleep: Sleep;
}

/** To the beginning of the line, and empties it (ECMA-48: CR, EL). */
const ANEW = '\r\u001b[K';

export class ChatSession {
  readonly agent: AgentClient;
  readonly io: Io;
  readonly conversation: Conversation;
  readonly #sleep: Sleep;
  /** Somebody sits there. */
  readonly #isTalk: boolean;
  /** The last decision, for `/why`. */
  #decision: string | null = null;
  #exitCode: number = EXIT.ok;
  /** What is said of the waiting; '' where nothing is. */
  #waiting = '';

  constructor({ agent, io, conversation, sleep }: ChatOptions) {
    this.agent = agent;
    this.io = io;
    this.conversation = conversation;
    this.#sleep = sleep;
    this.#isTalk = Boolean(io.dialogue);
  }

  get decision(): string | null {
    return this.#decision;
  }

  /** Of a chat without a terminal. */
  get exitCode(): number {
    return this.#exitCode;
  }

  greet(): void {
    const { model } = this.conversation;
    const whom = model === 'auto' ? 'the expert that suits each message' : model;
    this.note(`You talk to ${whom}. /help says more; Ctrl-D ends the chat.`);
  }

  /** Asks, and tells the answer as it comes. Rejects with a CliError; what failed is no part of the conversation. */
  async say(question: string, signal: AbortSignal): Promise<void> {
    const { agent, conversation } = this;
    const hearer = this.#hearer();
    let answered: Answered | null = null;
    try {
      answered = await askOnce(conversation.request(question), { agent, hearer, signal, sleep: this.#sleep });
    } catch (error) {
      if (error instanceof RefusedError) this.#decision = error.decision ?? this.#decision;
      throw error;
    } finally {
      this.#endWaiting();
      this.#endLine();
    }
    if (answered !== null) this.#close(question, answered);
    if (answered?.isWhole !== true) this.note('(ended)');
  }

  /** A dim line, where somebody sits there. */
  note(text: string): void {
    if (this.#isTalk) this.io.stdout.write(`${styleOf(this.io).dim(visible(text))}\n`);
  }

  /** What was asked for: shown to people and programs. */
  show(text: string): void {
    this.io.stdout.write(visible(text));
  }

  complain({ message, hint }: CliError): void {
    this.io.stderr.write(visible(`${message}\n${hint === null ? '' : `${hint}\n`}`));
  }

  #lineIsOpen = false;

  #hearer(): Hearer {
    return {
      answering: (who) => {
        this.#endWaiting();
        this.note(introduce(who));
      },
      piece: (text) => {
        this.io.stdout.write(visible(text));
        this.#lineIsOpen = !text.endsWith('\n');
      },
      waiting: (what) => this.#wait(what),
    };
  }

  #close(question: string, { text, sources, expert, decision, isWhole }: Answered): void {
    this.#decision = decision ?? this.#decision;
    // Nobody was confident: what is said of that is no part of what was said.
    if (isWhole && expert === null) this.#exitCode = EXIT.refused;
    else if (text !== '') this.conversation.add(question, text);
    if (sources.length === 0) return;
    const lines = sources.map((source, at) => `[${at + 1}] ${source}`).join('\n');
    if (this.#isTalk) this.note(lines);
    else this.show(`${lines}\n`);
  }

  #wait(what: string): void {
    if (what === this.#waiting) return;
    const { io } = this;
    const text = `${what}; trying again`;
    if (!this.#rewrites()) io.stderr.write(visible(`${text}\n`));
    else
      io.stdout.write(
        `${ANEW}${styleOf(io).dim(visible(fitted(`${text} (Ctrl-C gives up)`, this.#columns())))}`,
      );
    this.#waiting = what;
  }

  #endWaiting(): void {
    if (this.#waiting !== '' && this.#rewrites()) this.io.stdout.write(ANEW);
    this.#waiting = '';
  }

  #endLine(): void {
    if (this.#lineIsOpen) this.io.stdout.write('\n');
    this.#lineIsOpen = false;
  }

  /** A line can be written over where there is a terminal that knows how. */
  #rewrites(): boolean {
    return this.#isTalk && this.io.env['TERM'] !== 'dumb';
  }

  #columns(): number {
    return this.io.dialogue?.columns() ?? Number.POSITIVE_INFINITY;
  }
}

function introduce({ expert, confidence, degraded }: Answerer): string {
  if (expert === null) return 'no expert is confident';
  const sure = confidence === null ? '' : `, ${percent(confidence)}`;
  return `${expert}${sure}${degraded === null ? '' : ` (less than it could be: ${degraded})`}`;
}

/** A line that is longer than the terminal is wide cannot be written over. */
export function fitted(text: string, columns: number): string {
  return text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`;
}
