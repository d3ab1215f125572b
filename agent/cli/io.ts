/** What a command may touch of the world, and what it can end with. */

import type { ParseArgsOptionsConfig } from 'node:util';

export interface Output {
  write(text: string): unknown;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** stdout is a terminal: colours and side notes are welcome. */
  readonly isTTY: boolean;
  /** For commands that draw; missing or null where stdout is no terminal. */
  readonly terminal?: Terminal | null;
  /** For commands that talk; missing or null where stdin or stdout is no terminal. */
  readonly dialogue?: Dialogue | null;
}

/** A terminal at which somebody writes lines. */
export interface Dialogue {
  columns(): number;
  /** What is entered after `prompt`; lines that are pasted at once come together. */
  read(prompt: string): Promise<Entered>;
  /** Calls for every Ctrl-C that comes while nothing is read; returns what ends that. */
  onInterrupt(listener: () => void): () => void;
}

export type Entered =
  | { readonly kind: 'text'; readonly text: string }
  /** Ctrl-C; `discarded`: there was text in the line. */
  | { readonly kind: 'interrupt'; readonly discarded: boolean }
  /** Ctrl-D, or the terminal is gone. */
  | { readonly kind: 'end' };

/** A screen and a keyboard. */
export interface Terminal {
  size(): { readonly columns: number; readonly rows: number };
  /**
   * Takes the whole screen: keys come one at a time and unechoed, and a wish to end from elsewhere comes as Ctrl-C.
   * Returns what gives the screen back as it was.
   */
  take(handlers: { readonly onKey: (key: string) => void; readonly onResize: () => void }): () => void;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Shown by `--help`, without a trailing newline. */
  readonly usage: string;
  /** What `parseFlags` takes, for the completion of shells. */
  readonly flags?: ParseArgsOptionsConfig;
  /** What its words may be, for the completion of shells: these, and experts or files. */
  readonly words?: { readonly fixed?: readonly string[]; readonly of?: 'experts' | 'files' };
  /** Of a group: its first word names one of these, and `run` is for what names none. */
  readonly commands?: readonly Command[];
  /** Resolves with one of EXIT; rejects with a CliError, or with anything else for a bug. */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** Exit codes: part of the interface, listed by `expertd --help`. */
export const EXIT = {
  ok: 0,
  /** Something broke: in the agent, in an expert, or what was checked is not valid. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No agent answers. */
  notRunning: 3,
  /** The agent refused the request, or no expert was confident. */
  refused: 4,
} as const;

/** Ends a command: a sentence, what to do about it, and the exit code. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  readonly hint: string | null;

  constructor(exitCode: number, message: string, hint: string | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
