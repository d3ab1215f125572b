/** CPU frequencies, one policy a cluster (Documentation/admin-guide/pm/cpufreq.rst). */
import { join } from 'node:path';
import type { Frequency } from '../device.ts';
import { namesIn, readInteger, readWord } from '../linux/kernel-files.ts';
import { Discovery } from './discovery.ts';

/** Boards have one to three clusters; servers have a policy for each of their many CPUs. */
const MOST_POLICIES = 4;
/** With these drivers, kernels before 5.18 sleep 10 ms in a read of the current frequency. */
const SLOW_DRIVERS = /^(intel_|acpi-|amd-)/;

interface Policy {
  readonly folder: string;
  readonly maxKilohertz: number;
  readonly tellsCurrent: boolean;
}

export class FrequencyReader {
  readonly #policies: Discovery<readonly Policy[]>;

  constructor(sysRoot: string, nowMs: () => number) {
    const root = join(sysRoot, 'devices/system/cpu/cpufreq');
    this.#policies = new Discovery(() => findPolicies(root), nowMs);
  }

  read(): Frequency | null {
    let allowedShare: number | null = null;
    let currentShare: number | null = null;
    for (const { folder, maxKilohertz, tellsCurrent } of this.#policies.get()) {
      const allowed = shareOf(readInteger(join(folder, 'scaling_max_freq')), maxKilohertz);
      if (allowed === null) this.#policies.lost();
      else allowedShare = Math.min(allowedShare ?? 1, allowed);
      const current = tellsCurrent
        ? shareOf(readInteger(join(folder, 'scaling_cur_freq')), maxKilohertz)
        : null;
      if (current !== null) currentShare = Math.max(currentShare ?? 0, current);
    }
    return allowedShare === null ? null : { allowedShare, currentShare };
  }
}

function findPolicies(root: string): Policy[] {
  const names = namesIn(root).filter((name) => /^policy[0-9]+$/.test(name));
  return names.slice(0, MOST_POLICIES).flatMap((name) => {
    const folder = join(root, name);
    const maxKilohertz = readInteger(join(folder, 'cpuinfo_max_freq'));
    if (maxKilohertz === null || maxKilohertz <= 0) return [];
    const driver = readWord(join(folder, 'scaling_driver')) ?? '';
    return [{ folder, maxKilohertz, tellsCurrent: !SLOW_DRIVERS.test(driver) }];
  });
}

/** A boost may go above what is called the maximum. */
export function shareOf(kilohertz: number | null, maxKilohertz: number): number | null {
  return kilohertz === null || kilohertz < 0 ? null : Math.min(1, kilohertz / maxKilohertz);
}
