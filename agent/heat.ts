/**
 * How much more a load costs on a device that is hot, slowed down, or low on charge: a factor from 1 to 3 on the time of
 * loads. It makes what is resident worth more (routing, eviction) and keeps predictions honest; it stops nothing.
 *
 *  1 heat: 1 up to 10 degrees below where the device is slowed down, 3 from there on, a straight line in between
 *  2 the firmware holds the device back now, whatever for: at least 2; a load is the most power that expertd can ask for
 *  3 on battery: 1 down to 30 % of its charge, 2 from 10 % on, a straight line in between
 * The worst of them counts; a sensor without data has no say.
 */
import type { Device, Throttling } from './device.ts';
import type { Expert, LoadCost, State } from './types.ts';

const HEAT_SPAN_CELSIUS = 10;
const HOTTEST_FACTOR = 3;
const THROTTLED_FACTOR = 2;
const LOW_CHARGE = { from: 0.3, to: 0.1, factor: 2 } as const;
/** Less is not worth a word. */
const WORTH_SAYING = 1.05;

export const COOL: LoadCost = { factor: 1, why: null };

const WORDS: Readonly<Record<Throttling, string>> = {
  'under-voltage': 'the supply voltage is too low',
  'frequency-capped': 'the firmware caps its frequency',
  throttled: 'the firmware throttles it',
  'soft-temperature-limit': 'the firmware limits its temperature',
};

/** What the device says about the cost of loads now. */
export function loadCostOf(device: Device | null): LoadCost {
  if (device === null) return COOL;
  const costs = [heatCost(device), throttleCost(device), batteryCost(device)];
  return costs.reduce((worst, cost) => (cost.factor > worst.factor ? cost : worst), COOL);
}

function heatCost({ thermal }: Device): LoadCost {
  if (thermal === null) return COOL;
  const { zone, celsius, slowCelsius } = thermal;
  const factor = between(slowCelsius - celsius, HEAT_SPAN_CELSIUS, 0, HOTTEST_FACTOR); // 1
  return { factor, why: `${zone} is at ${celsius.toFixed(1)} C, and slows down at ${slowCelsius} C` };
}

function throttleCost({ throttle }: Device): LoadCost {
  const [first] = throttle?.now ?? [];
  return first === undefined ? COOL : { factor: THROTTLED_FACTOR, why: WORDS[first] }; // 2
}

function batteryCost({ battery, onMains }: Device): LoadCost {
  if (battery === null || onMains === true || battery.discharging === false) return COOL;
  const factor = between(battery.share, LOW_CHARGE.from, LOW_CHARGE.to, LOW_CHARGE.factor); // 3
  return { factor, why: `the battery is at ${Math.round(battery.share * 100)} %` };
}

/** 1 where `value` is `from` or more, `most` where it is `to` or less, a straight line in between. */
function between(value: number, from: number, to: number, most: number): number {
  const share = Math.min(1, Math.max(0, (from - value) / (from - to)));
  return 1 + share * (most - 1);
}

/**
 * What a load of this expert takes now, in ms. Before its first load its weights cannot arrive faster than the disk
 * reads, where that was measured.
 */
export function loadMsNow(state: State, { memory, weightBytes }: Expert): number {
  const { loadCost, sample } = state;
  const speed = memory.measured ? null : (sample?.device?.storageBytesPerSecond ?? null);
  const readMs = speed === null ? 0 : (weightBytes / speed) * 1000;
  return Math.max(memory.loadMs, readMs) * loadCost.factor;
}

/** True where the cost differs from that of a cool device by enough to tell of it. */
export function isRaised({ factor }: LoadCost): boolean {
  return factor >= WORTH_SAYING;
}

/** `loads cost 2.4 times as much (cpu-thermal is at 82.0 C, and slows down at 85 C)` */
export function sayLoadCost({ factor, why }: LoadCost): string {
  return `loads cost ${factor.toFixed(1)} times as much (${why ?? 'no reason is known'})`;
}
