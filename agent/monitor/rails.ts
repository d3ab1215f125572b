/** Power rails of a Jetson: INA3221 meters with three channels each, millivolts and milliamperes (Documentation/hwmon/ina3221). */
import { join } from 'node:path';
import type { Rail } from '../device.ts';
import { readInteger, readWord } from '../linux/kernel-files.ts';
import { Discovery } from './discovery.ts';
import { findHwmon } from './hwmon.ts';

/** Channel 4 is the sum of some of them, and would count twice. */
const CHANNELS = [1, 2, 3] as const;
/** These meter what goes into the whole module: all other rails are fed by it. */
const INPUTS = new Set(['VDD_IN', 'POM_5V_IN', 'VIN']);
/** The label of a channel that nothing is connected to. */
const UNCONNECTED = 'NC';

interface Channel {
  readonly name: string;
  readonly millivolts: string;
  readonly milliamperes: string;
}

export class RailsReader {
  readonly #channels: Discovery<readonly Channel[]>;

  constructor(sysRoot: string, nowMs: () => number) {
    this.#channels = new Discovery(() => findHwmon(sysRoot, 'ina3221').flatMap(channelsOf), nowMs);
  }

  read(): readonly Rail[] {
    const rails: Rail[] = [];
    for (const { name, millivolts, milliamperes } of this.#channels.get()) {
      const volts = readInteger(millivolts);
      const amperes = readInteger(milliamperes);
      if (volts === null || amperes === null) this.#channels.lost();
      else rails.push({ name, watts: (volts * amperes) / 1e6 });
    }
    return rails;
  }
}

function channelsOf(folder: string): Channel[] {
  return CHANNELS.flatMap((channel) => {
    const name = readWord(join(folder, `in${channel}_label`));
    if (name === null || name === UNCONNECTED) return [];
    const millivolts = join(folder, `in${channel}_input`);
    return [{ name, millivolts, milliamperes: join(folder, `curr${channel}_input`) }];
  });
}

/** What the module takes in all: its input, else the sum of the rails, which is less than the input would be. */
export function totalWatts(rails: readonly Rail[]): number | null {
  if (rails.length === 0) return null;
  const input = rails.find(({ name }) => INPUTS.has(name));
  return input?.watts ?? rails.reduce((sum, { watts }) => sum + watts, 0);
}
