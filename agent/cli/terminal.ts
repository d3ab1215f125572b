/** The terminal that this process was started at, for commands that draw on the whole screen. */
import type { Terminal } from './io.ts';

/** As much of `process` as a terminal needs. */
export type TerminalProcess = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'env' | 'on' | 'off'>;

export const INTERRUPT = '\u0003';
/** Another screen, no cursor, no line wraps: xterm's private modes, which every terminal of today knows. */
const TAKE = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const GIVE_BACK = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const ENDINGS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** What a terminal is taken to be that does not say. */
const USUAL = { columns: 80, rows: 24 };

/** Null where standard output is no terminal, or one that cannot move its cursor. */
export function openTerminal(process: TerminalProcess): Terminal | null {
  const { stdin, stdout, env } = process;
  if (!stdout.isTTY || env['TERM'] === 'dumb') return null;
  return {
    size: () => ({ columns: stdout.columns || USUAL.columns, rows: stdout.rows || USUAL.rows }),

    take({ onKey, onResize }) {
      const hear = (data: Buffer): void => {
        for (const key of keysOf(data.toString('utf8'))) onKey(key);
      };
      const interrupt = (): void => onKey(INTERRUPT);
      const restore = (): void => void stdout.write(GIVE_BACK);
      stdout.write(TAKE);
      if (stdin.isTTY) stdin.setRawMode(true).resume().on('data', hear);
      stdout.on('resize', onResize);
      for (const signal of ENDINGS) process.on(signal, interrupt);
      // Whatever ends the process, the shell gets its screen back.
      process.on('exit', restore);
      return () => {
        process.off('exit', restore);
        for (const signal of ENDINGS) process.off(signal, interrupt);
        stdout.off('resize', onResize);
        if (stdin.isTTY) stdin.off('data', hear).setRawMode(false).pause();
        restore();
      };
    },
  };
}

/** Keys that were pressed at once; one that sends an escape sequence is one key. */
export function keysOf(text: string): readonly string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return text.match(/\u001b(?:\[[\d;?]*[ -/]*[@-~]|O.)?|[^\u001b]/gu) ?? [];
}
