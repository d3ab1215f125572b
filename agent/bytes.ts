/** Sizes as people write them: `300MB`, `1.5GiB`, `64k`. */
import { AgentError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** Bytes of a size. Decimal units (MB) are powers of 1000, binary ones (MiB) of 1024. Throws AgentError `bad_config`. */
export function parseBytes(size: number | string, name: string): number {
  if (typeof size === 'number') return size;
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?i?)B?$/.exec(size);
  const unit = UNITS[(match?.[2] ?? '').replace('k', 'K')];
  const bytes = unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * unit);
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new AgentError('bad_config', `${name} is "${size}", which is not a size`, {
      hint: 'Write a size as 300MB, 1.5GiB or 1048576.',
    });
  }
  return bytes;
}
