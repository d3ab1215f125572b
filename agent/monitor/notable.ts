/** What is worth an event: the log keeps every sample that `decide` sees. */
import type { Device } from '../device.ts';
import type { Sample } from '../types.ts';

/** Least change of a number of bytes that is worth an event. */
const NOTABLE_BYTES = 1_048_576;
/** Least change of a PSI share, in percent. */
const NOTABLE_SHARE = 1;
/** Least change of a temperature: far below where the device is slowed down, and where it begins to matter. */
const NOTABLE_CELSIUS = { far: 5, near: 1 } as const;
/** How far from there "near" begins; heat.ts raises the cost of loads from 10 degrees on. */
const NEAR_CELSIUS = 12;
/** Least change of a battery's charge. */
const NOTABLE_CHARGE = 0.05;

/** True where a sample tells something that the last one did not. */
export function isNotable(sample: Sample, last: Sample | null): boolean {
  if (last === null || sample.cellBytes.size !== last.cellBytes.size) return true;
  for (const [cell, bytes] of sample.cellBytes) {
    if (differs(bytes, last.cellBytes.get(cell) ?? null, NOTABLE_BYTES)) return true;
    // A claim puts a file in the place of weights: as many bytes as before, but the kernel may drop them now.
    const fileBytes = sample.cellFileBytes.get(cell) ?? null;
    if (differs(fileBytes, last.cellFileBytes.get(cell) ?? null, NOTABLE_BYTES)) return true;
  }
  return (
    differs(sample.agentBytes, last.agentBytes, NOTABLE_BYTES) ||
    differs(sample.availableBytes, last.availableBytes, availableStep(last)) ||
    differs(sample.psiSomeAvg10, last.psiSomeAvg10, NOTABLE_SHARE) ||
    differs(sample.psiFullAvg10, last.psiFullAvg10, NOTABLE_SHARE) ||
    hasChanged(sample.device, last.device)
  );
}

/** Heat, throttling, batteries, kills and a first look at the disk; not watts, frequencies or how busy the CPUs are. */
function hasChanged(now: Device | null, before: Device | null): boolean {
  if (now === null || before === null) return now !== before;
  return (
    differs(now.thermal?.celsius ?? null, before.thermal?.celsius ?? null, celsiusStep(now)) ||
    wordsOf(now) !== wordsOf(before) ||
    differs(now.battery?.share ?? null, before.battery?.share ?? null, NOTABLE_CHARGE) ||
    now.cgroup?.oomKills !== before.cgroup?.oomKills ||
    now.storageBytesPerSecond !== before.storageBytesPerSecond
  );
}

function celsiusStep({ thermal }: Device): number {
  if (thermal === null) return NOTABLE_CELSIUS.far;
  const isNear = thermal.celsius > thermal.slowCelsius - NEAR_CELSIUS;
  return isNear ? NOTABLE_CELSIUS.near : NOTABLE_CELSIUS.far;
}

/** What is not a number, as one text to compare. */
function wordsOf({ throttle, onMains, battery }: Device): string {
  return JSON.stringify([throttle?.now ?? null, onMains, battery?.discharging ?? null]);
}

/** Available memory moves all the time: 2 % of all memory is a step, as long as there is plenty. */
function availableStep({ totalBytes }: Sample): number {
  return Math.max(NOTABLE_BYTES, (totalBytes ?? 0) * 0.02);
}

function differs(now: number | null, before: number | null, step: number): boolean {
  if (now === null || before === null) return now !== before;
  return Math.abs(now - before) >= step;
}
