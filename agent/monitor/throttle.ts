/**
 * What the firmware of a Raspberry Pi holds back, and why. `get_throttled` is a bit field: bits 0 to 3 tell what is now,
 * bits 16 to 19 what was. Newer kernels clear the latter every few seconds, so what was seen is kept here. Where that
 * file is missing, the alarm of the voltage sensor (hwmon `rpi_volt`) still tells of under-voltage.
 */
import { join } from 'node:path';
import type { Throttle, Throttling } from '../device.ts';
import { namesIn, readInteger, readText } from '../linux/kernel-files.ts';
import { Discovery } from './discovery.ts';
import { findHwmon } from './hwmon.ts';

/** In the order of the bits. */
const BITS: readonly Throttling[] = [
  'under-voltage',
  'frequency-capped',
  'throttled',
  'soft-temperature-limit',
];
const SEEN_SHIFT = 16;
const ALL_BITS = 0xf000f;

type Source = { readonly kind: 'bits' | 'alarm'; readonly file: string };

export class ThrottleReader {
  readonly #source: Discovery<Source | null>;
  #seen = 0;

  constructor(sysRoot: string, nowMs: () => number) {
    this.#source = new Discovery(() => findSource(sysRoot), nowMs);
  }

  read(): Throttle | null {
    const source = this.#source.get();
    if (source === null) return null;
    const bits = source.kind === 'bits' ? parseThrottled(readText(source.file) ?? '') : alarmBits(source);
    if (bits === null) {
      this.#source.lost();
      return null;
    }
    this.#seen |= bits | (bits >>> SEEN_SHIFT);
    return { now: throttlings(bits), seen: throttlings(this.#seen) };
  }
}

/** The bit field, written in hexadecimal with or without `0x`; null for any other text. */
export function parseThrottled(text: string): number | null {
  const match = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(text.trim());
  return match?.[1] === undefined ? null : Number.parseInt(match[1], 16) & ALL_BITS;
}

function throttlings(bits: number): readonly Throttling[] {
  return BITS.filter((_, bit) => (bits & (1 << bit)) !== 0);
}

function alarmBits({ file }: Source): number | null {
  const alarm = readInteger(file);
  return alarm === null ? null : Number(alarm !== 0);
}

/** `platform/soc/soc:firmware/`, `platform/soc@107c000000:firmware/`: the name differs between boards and kernels. */
function findSource(sysRoot: string): Source | null {
  const platform = join(sysRoot, 'devices/platform');
  const socs = namesIn(platform).filter((name) => name.startsWith('soc'));
  const folders = socs.flatMap((soc) => [
    join(platform, soc),
    ...namesIn(join(platform, soc))
      .filter((name) => name.includes('firmware'))
      .map((name) => join(platform, soc, name)),
  ]);
  for (const folder of folders) {
    const file = join(folder, 'get_throttled');
    if (parseThrottled(readText(file) ?? '') !== null) return { kind: 'bits', file };
  }
  const [sensor] = findHwmon(sysRoot, 'rpi_volt');
  return sensor === undefined ? null : { kind: 'alarm', file: join(sensor, 'in0_lcrit_alarm') };
}
