/** Swap from `/proc/meminfo`, and what of it is compressed memory (Documentation/admin-guide/blockdev/zram.rst). */
import { join } from 'node:path';
import type { Swap, Zram } from '../device.ts';
import { namesIn, readText } from '../linux/kernel-files.ts';
import { parseKilobytes } from '../linux/process.ts';
import { Discovery } from './discovery.ts';

/** null where the kernel says nothing of swap; a total of 0 is a device without any. */
export function parseSwap(meminfo: string): Swap | null {
  const totalBytes = parseKilobytes(meminfo, 'SwapTotal');
  const freeBytes = parseKilobytes(meminfo, 'SwapFree');
  return totalBytes === null || freeBytes === null ? null : { totalBytes, freeBytes };
}

/** Of `mm_stat`: orig_data_size is the first number, mem_used_total the third. */
export function parseZram(mmStat: string): Zram | null {
  const numbers = mmStat.trim().split(/\s+/, 3);
  if (numbers.length < 3 || !numbers.every((number) => /^[0-9]{1,15}$/.test(number))) return null;
  return { storedBytes: Number(numbers[0]), usedBytes: Number(numbers[2]) };
}

export class ZramReader {
  readonly #files: Discovery<readonly string[]>;

  constructor(sysRoot: string, nowMs: () => number) {
    const root = join(sysRoot, 'block');
    const find = (): string[] =>
      namesIn(root)
        .filter((name) => /^zram[0-9]+$/.test(name))
        .map((name) => join(root, name, 'mm_stat'));
    this.#files = new Discovery(find, nowMs);
  }

  /** All zram devices together. */
  read(): Zram | null {
    const texts = this.#files.get().map(readText);
    if (texts.includes(null)) this.#files.lost();
    const devices = texts.flatMap((text) => (text === null ? [] : (parseZram(text) ?? [])));
    if (devices.length === 0) return null;
    return {
      storedBytes: devices.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      usedBytes: devices.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    };
  }
}
