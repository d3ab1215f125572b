/** Batteries and mains (Documentation/ABI/testing/sysfs-class-power). Those of mice and headsets are not the device's. */
import { join } from 'node:path';
import type { Battery } from '../device.ts';
import { namesIn, readInteger, readWord } from '../linux/kernel-files.ts';
import { Discovery } from './discovery.ts';

const MOST_SUPPLIES = 8;

interface Supply {
  readonly folder: string;
  readonly isBattery: boolean;
}

export interface Supplies {
  readonly battery: Battery | null;
  readonly onMains: boolean | null;
  /** What the batteries give; null while they give nothing or do not say. */
  readonly watts: number | null;
}

export class SuppliesReader {
  readonly #supplies: Discovery<readonly Supply[]>;

  constructor(sysRoot: string, nowMs: () => number) {
    this.#supplies = new Discovery(() => findSupplies(join(sysRoot, 'class/power_supply')), nowMs);
  }

  read(): Supplies {
    let battery: Battery | null = null;
    let onMains: boolean | null = null;
    let watts: number | null = null;
    for (const { folder, isBattery } of this.#supplies.get()) {
      if (!isBattery) {
        const online = readInteger(join(folder, 'online'));
        if (online !== null) onMains = (onMains ?? false) || online !== 0;
        continue;
      }
      const found = readBattery(folder);
      if (found === null) this.#supplies.lost();
      else if (battery === null || found.share > battery.share) battery = found;
      const given = found?.discharging === true ? readWatts(folder) : null;
      if (given !== null) watts = (watts ?? 0) + given;
    }
    return { battery, onMains, watts };
  }
}

function findSupplies(root: string): Supply[] {
  return namesIn(root)
    .slice(0, MOST_SUPPLIES)
    .flatMap((name) => {
      const folder = join(root, name);
      const type = readWord(join(folder, 'type'));
      if (type === null || readWord(join(folder, 'scope')) === 'Device') return [];
      return type === 'Battery' || type === 'Mains' || type === 'USB'
        ? [{ folder, isBattery: type === 'Battery' }]
        : [];
    });
}

function readBattery(folder: string): Battery | null {
  const percent = readInteger(join(folder, 'capacity'));
  if (percent === null || percent < 0 || percent > 100) return null;
  return { share: percent / 100, discharging: parseDischarging(readWord(join(folder, 'status'))) };
}

/** null where the battery does not know. */
export function parseDischarging(status: string | null): boolean | null {
  if (status === 'Discharging') return true;
  return status === 'Charging' || status === 'Full' || status === 'Not charging' ? false : null;
}

function readWatts(folder: string): number | null {
  const microwatts = readInteger(join(folder, 'power_now'));
  if (microwatts !== null) return Math.abs(microwatts) / 1e6;
  const microvolts = readInteger(join(folder, 'voltage_now'));
  const microamperes = readInteger(join(folder, 'current_now'));
  return microvolts === null || microamperes === null ? null : Math.abs(microvolts * microamperes) / 1e12;
}
