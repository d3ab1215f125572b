/** Thermal zones: how hot, and where the kernel begins to slow the device down (Documentation/driver-api/thermal). */
import { join } from 'node:path';
import type { Thermal } from '../device.ts';
import { namesIn, parseInteger, readText, readWord } from '../linux/kernel-files.ts';
import { Discovery } from './discovery.ts';

const MOST_ZONES = 16;
const MOST_TRIPS = 12;
/** Zones of what computes; where there is none, those of anything but what is listed below count. */
const COMPUTES = /cpu|gpu|soc|core|cluster|pkg|package|^tj/i;
const ASIDE = /batt|bms|charg|wifi|wlan|iwl|modem|nvme|usb|pch|ddr|board/i;
/** Beyond these a sensor is switched off or broken, not cold or hot. */
const PLAUSIBLE = [-60, 200] as const;
/** Trip points below steer fans. */
const LEAST_TRIP = 40;
/** A Raspberry Pi has no passive trip point: its firmware slows it down from here on. */
const FIRMWARE_SLOW_CELSIUS = 80;

interface Zone {
  readonly name: string;
  readonly file: string;
  readonly slowCelsius: number;
}

export class ThermalReader {
  readonly #zones: Discovery<readonly Zone[]>;

  constructor(sysRoot: string, nowMs: () => number) {
    this.#zones = new Discovery(() => relevant(findZones(join(sysRoot, 'class/thermal'))), nowMs);
  }

  /** The zone with the least distance to where it is slowed down. */
  read(): Thermal | null {
    let nearest: Thermal | null = null;
    for (const { name, file, slowCelsius } of this.#zones.get()) {
      const text = readText(file);
      if (text === null) this.#zones.lost();
      const celsius = text === null ? null : parseCelsius(text);
      if (celsius === null) continue;
      const thermal = { zone: name, celsius, slowCelsius };
      if (nearest === null || marginOf(thermal) < marginOf(nearest)) nearest = thermal;
    }
    return nearest;
  }
}

function marginOf({ celsius, slowCelsius }: Thermal): number {
  return slowCelsius - celsius;
}

/** Degrees from a file that holds thousandths of them; null for what no working sensor says. */
export function parseCelsius(text: string): number | null {
  const milli = parseInteger(text);
  const celsius = milli === null ? null : milli / 1000;
  return celsius !== null && celsius > PLAUSIBLE[0] && celsius < PLAUSIBLE[1] ? celsius : null;
}

function findZones(root: string): Zone[] {
  const names = namesIn(root).filter((name) => /^thermal_zone[0-9]+$/.test(name));
  return names.slice(0, MOST_ZONES).map((name) => ({
    name: readWord(join(root, name, 'type')) ?? name,
    file: join(root, name, 'temp'),
    slowCelsius: firstPassiveTrip(join(root, name)) ?? FIRMWARE_SLOW_CELSIUS,
  }));
}

function relevant(zones: readonly Zone[]): readonly Zone[] {
  const main = zones.filter(({ name }) => COMPUTES.test(name) && !ASIDE.test(name));
  return main.length > 0 ? main : zones.filter(({ name }) => !ASIDE.test(name));
}

function firstPassiveTrip(zone: string): number | null {
  let first: number | null = null;
  for (let trip = 0; trip < MOST_TRIPS; trip++) {
    const type = readWord(join(zone, `trip_point_${trip}_type`));
    if (type === null) break;
    const celsius = parseCelsius(readText(join(zone, `trip_point_${trip}_temp`)) ?? '');
    if (type !== 'passive' || celsius === null || celsius < LEAST_TRIP) continue;
    if (first === null || celsius < first) first = celsius;
  }
  return first;
}
