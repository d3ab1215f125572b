/**
 * Logs: JSON lines, or plain lines on a terminal. Levels are syslog's, which journald understands; under systemd each
 * line also begins with the priority that journald reads (sd-daemon(3)). The only importer of pino.
 */
import pino from 'pino';

export type Logger = pino.Logger;

/** pino's level -> syslog's name and number (RFC 5424). */
const SYSLOG: Readonly<Record<string, readonly [name: string, priority: number]>> = {
  trace: ['debug', 7],
  debug: ['debug', 7],
  info: ['info', 6],
  warn: ['warning', 4],
  error: ['err', 3],
  fatal: ['crit', 2],
};

export interface LoggingOptions {
  readonly level: string;
  readonly isTTY: boolean;
  /** journald reads this stream. */
  readonly toJournal: boolean;
  readonly write: (line: string) => void;
}

export function openLogger({ level, isTTY, toJournal, write }: LoggingOptions): Logger {
  const stream = {
    write: (line: string): void => {
      if (isTTY) write(plain(line));
      else write(toJournal ? `<${priorityOf(line)}>${line}` : line);
    },
  };
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: SYSLOG[label]?.[0] ?? label }) },
      // What could hold a secret or a prompt is never logged; this is the net below that rule.
      redact: {
        paths: ['token', '*.token', 'authorization', '*.authorization', 'text', '*.text'],
        censor: '[hidden]',
      },
    },
    stream,
  );
}

function priorityOf(line: string): number {
  const name = /"level":"([a-z]+)"/.exec(line)?.[1];
  return Object.values(SYSLOG).find(([known]) => known === name)?.[1] ?? 6;
}

/** `10:11:12 info  message key=value`. */
function plain(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const clock = String(time).slice(11, 19);
  const words = [clock, String(level).padEnd(7), String(msg ?? ''), ...details];
  return `${words.map(visible).join(' ')}\n`;
}

/** What a cell printed may hold what a terminal takes for a command. */
function visible(text: string): string {
  return text.replaceAll(
    /\p{Cc}/gu,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
