/** The terminal of this process as a place to write lines, by node's readline. */
import { createInterface, type Interface } from 'node:readline/promises';
import type { Dialogue, Entered } from './io.ts';

/** As much of `process` as a dialogue needs. */
export type DialogueProcess = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'env' | 'on' | 'off'>;

/** Pasted text comes between marks, which readline reads: xterm's private mode 2004. */
const MARK_PASTES = '\u001b[?2004h';
const UNMARK_PASTES = '\u001b[?2004l';
const MAX_HISTORY = 200;
const USUAL_COLUMNS = 80;

/** Null where standard input or output is no terminal. */
export function openDialogue(process: DialogueProcess): Dialogue | null {
  const { stdin, stdout } = process;
  return stdin.isTTY && stdout.isTTY ? new TerminalDialogue(process) : null;
}

/**
 * While nothing is read the terminal is as the shell left it: it shows what is typed, keeps it for the next reading, and
 * makes a signal of Ctrl-C. While something is read, readline has the keyboard.
 */
class TerminalDialogue implements Dialogue {
  readonly #process: DialogueProcess;
  readonly #marksPastes: boolean;
  /** Newest first, as readline keeps it; in memory alone. */
  #history: string[] = [];

  constructor(process: DialogueProcess) {
    this.#process = process;
    this.#marksPastes = process.env['TERM'] !== 'dumb';
  }

  columns(): number {
    return this.#process.stdout.columns || USUAL_COLUMNS;
  }

  onInterrupt(listener: () => void): () => void {
    this.#process.on('SIGINT', listener);
    return () => void this.#process.off('SIGINT', listener);
  }

  async read(prompt: string): Promise<Entered> {
    const { stdin, stdout } = this.#process;
    const editor = createInterface({
      input: stdin,
      output: stdout,
      prompt,
      history: [...this.#history],
      historySize: MAX_HISTORY,
      removeHistoryDuplicates: true,
      terminal: true,
    });
    if (this.#marksPastes) stdout.write(MARK_PASTES);
    const reading = new Reading(editor, this.#process);
    editor.prompt();
    const entered = await reading.entered;
    if (this.#marksPastes) stdout.write(UNMARK_PASTES);
    this.#history = [...reading.lines].reverse().concat(this.#history).slice(0, MAX_HISTORY);
    return entered;
  }
}

/** One entry: its lines, whether it is being pasted, and its end. */
class Reading {
  readonly entered: Promise<Entered>;
  readonly lines: string[] = [];
  readonly #editor: Interface;
  readonly #stopWatching: () => void;
  #finish: (entered: Entered) => void = () => {};
  #isPasting = false;
  /** Pasted text waits for a line end that is typed by hand: somebody may want to look at it first. */
  #wasPasted = false;

  constructor(editor: Interface, { stdin, stdout }: Pick<DialogueProcess, 'stdin' | 'stdout'>) {
    this.#editor = editor;
    this.entered = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const watch = (_: unknown, key: { readonly name?: string } | undefined): void => this.#watch(key?.name);
    stdin.on('keypress', watch);
    this.#stopWatching = () => void stdin.off('keypress', watch);
    editor.on('line', (line) => this.#take(line));
    editor.on('SIGINT', () => {
      stdout.write('^C\n');
      this.#end({ kind: 'interrupt', discarded: editor.line !== '' || this.lines.length > 0 });
    });
    editor.on('close', () => this.#end({ kind: 'end' }));
  }

  #watch(key: string | undefined): void {
    if (key === 'paste-start') this.#isPasting = this.#wasPasted = true;
    if (key === 'paste-end') this.#isPasting = false;
  }

  /** Lines that came at once belong together, and so does what stands behind the last of them and waits for its end. */
  #take(line: string): void {
    this.lines.push(line);
    if (!this.#isPasting) this.#wasPasted = false;
    setImmediate(() => {
      if (this.#wasPasted || this.#editor.line !== '') return;
      this.#end({ kind: 'text', text: this.lines.join('\n') });
    });
  }

  /** The first end counts: closing the editor is one too. */
  #end(entered: Entered): void {
    this.#finish(entered);
    this.#stopWatching();
    this.#editor.close();
  }
}
