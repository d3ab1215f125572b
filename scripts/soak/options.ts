/** The command line of a soak. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface SoakOptions {
  /** Ends after so many requests whose expert was not resident when they came. */
  readonly swaps: number;
  readonly seed: number;
  /** Hard limit of the whole tree, file cache included; the budget goes with it. null takes the fleet's own. */
  readonly limitBytes: number | null;
  /** Where the summary goes, with a chart beside it; null: only to standard output. */
  readonly out: string | null;
  /** Ends after so long, whether or not all swaps were made. */
  readonly timeMs: number;
  readonly clients: number;
  /** Small generated experts only: seconds instead of hours. */
  readonly small: boolean;
}

const MIB = 2 ** 20;

/** Throws an Error that says what is wrong. */
export function parseOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      swaps: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      'limit-mb': { type: 'string' },
      out: { type: 'string' },
      minutes: { type: 'string', default: '180' },
      clients: { type: 'string', default: '3' },
      small: { type: 'boolean', default: false },
    },
  });
  const limit = values['limit-mb'];
  return {
    swaps: whole('swaps', values.swaps, 1),
    seed: whole('seed', values.seed, 0),
    limitBytes: limit === undefined ? null : whole('limit-mb', limit, 1) * MIB,
    out: values.out === undefined ? null : resolve(values.out),
    timeMs: whole('minutes', values.minutes, 1) * 60_000,
    clients: whole('clients', values.clients, 1),
    small: values.small,
  };
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= 2 ** 31) return value;
  throw new Error(`--${name} takes a whole number from ${least} on, not "${text}"`);
}
