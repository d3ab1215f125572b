/** Numbers, times and tables for people: aligned, plain, and coloured on terminals that want it. */
import type { Io } from './io.ts';

const MB = 1_048_576;
const GB = 1_024 * MB;

export function bytes(count: number | null): string {
  if (count === null) return '-';
  if (count < 1_024) return `${count} B`;
  if (count < MB) return `${(count / 1_024).toFixed(1)} kB`;
  return count < GB ? `${(count / MB).toFixed(1)} MB` : `${(count / GB).toFixed(2)} GB`;
}

export function duration(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function percent(share: number | null): string {
  return share === null ? '-' : `${Math.round(share * 100)} %`;
}

/** Local time to the second, as in "2026-11-24 10:48:55". */
export function time(ms: number | null): string {
  if (ms === null) return '-';
  const date = new Date(ms);
  const two = (part: number) => String(part).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Rows as aligned columns, two spaces apart; columns in `right` are flushed right. Control characters are shown as a
 * question mark: what an agent sends must not steer a terminal.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const lines = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const flushed = head.map((name) => right.includes(name));
  return lines
    .map((line) => {
      const cells = line.map((cell, column) => {
        const width = widths[column] ?? 0;
        return flushed[column] ? cell.padStart(width) : cell.padEnd(width);
      });
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** Text without control characters, but for the newlines and tabs that belong to it. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?');
}

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
}

/** Bold and dim on a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is dumb. */
export function styleOf(io: Io): Style {
  const paint = painterOf(io);
  return { bold: (text) => paint(1, text), dim: (text) => paint(2, text) };
}

/** Text in one of the terminal's renditions (ECMA-48, SGR), where `styleOf` would use any. */
export type Painter = (code: number, text: string) => string;

export function painterOf(io: Io): Painter {
  const plain = !io.isTTY || Boolean(io.env['NO_COLOR']) || io.env['TERM'] === 'dumb';
  return (code, text) => (plain ? text : `\u001b[${code}m${text}\u001b[0m`);
}
