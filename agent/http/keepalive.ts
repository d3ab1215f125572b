/** `keep_alive`: how long an expert stays in memory after a request, as Ollama's API writes it. */
import { Type } from 'typebox';
import { FieldError } from './errors.ts';

export const KeepAlive = Type.Union([Type.Number(), Type.String({ minLength: 1, maxLength: 64 })], {
  description: 'How long the expert stays when it is idle: "5m", seconds, 0 for not at all, -1 for ever.',
});

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // micro sign
  μs: 1e-3, // Greek mu
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const AMOUNT = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const DURATION = new RegExp(`^[-+]?(?:${AMOUNT.source})+$`);
const SECONDS = /^[-+]?\d+$/;
/** Every longer time is for ever to a device; and timers of the core count in whole ms. */
const LONGEST_MS = 100 * 365 * 86_400_000;

/**
 * In ms; null where nothing was said, -1 for ever. A number, or a text of digits, is seconds; text with units is a
 * duration of Go ("1h30m", "300ms"). Whatever is negative is for ever.
 */
export function keepAliveMs(value: number | string | undefined, field = 'keep_alive'): number | null {
  if (value === undefined) return null;
  const ms = typeof value === 'number' ? value * 1_000 : durationMs(value);
  if (ms === null) {
    const message = `"${field}" is no duration: "${String(value)}"`;
    throw new FieldError('bad_input', field, message, 'Send "5m", "1h30m", a number of seconds, 0 or -1.');
  }
  if (ms < 0 || ms > LONGEST_MS) return -1;
  return Math.ceil(ms);
}

function durationMs(text: string): number | null {
  if (SECONDS.test(text)) return Number(text) * 1_000;
  if (!DURATION.test(text)) return null;
  const amounts = [...text.matchAll(AMOUNT)];
  const ms = amounts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (UNIT_MS[unit] ?? 0), 0);
  return text.startsWith('-') ? -ms : ms;
}
