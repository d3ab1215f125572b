/**
 * Watermarks: from a sample to a level, with hysteresis. The level stays `high` until the numbers are clearly better
 * than what raised it, so that admission does not flap. A missing number has no say.
 */
import { committedBytes } from './residency.ts';
import type { Pressure, Sample, State } from './types.ts';

/** `high` ends when stall shares fell below this part of their watermark. */
const RECOVERED_SHARE = 0.5;
/** ... and when available memory rose above this multiple of it. */
const RECOVERED_ROOM = 1.25;

/** The level after `sample`; `previous` is what it was before. */
export function readPressure(sample: Sample, state: State): Pressure {
  const { availableLowBytes, psiSomeHigh, psiFullHigh } = state.settings;
  const wasHigh = state.pressure.level === 'high';
  const share = wasHigh ? RECOVERED_SHARE : 1;
  const low = availableLowBytes * (wasHigh ? RECOVERED_ROOM : 1);
  if (sample.availableBytes !== null && sample.availableBytes < low) {
    return high(`${mb(sample.availableBytes)} MB available, low watermark ${mb(low)} MB`);
  }
  if (sample.psiSomeAvg10 !== null && sample.psiSomeAvg10 > psiSomeHigh * share) {
    return high(`memory PSI some avg10 ${sample.psiSomeAvg10} %, watermark ${psiSomeHigh * share} %`);
  }
  if (sample.psiFullAvg10 !== null && sample.psiFullAvg10 > psiFullHigh * share) {
    return high(`memory PSI full avg10 ${sample.psiFullAvg10} %, watermark ${psiFullHigh * share} %`);
  }
  return { level: 'ok', why: 'below every watermark' };
}

/** Bytes that are charged over the budget; 0 when it is met. */
export function overBudgetBytes(state: State): number {
  return Math.max(0, committedBytes(state) - state.settings.budgetBytes);
}

/** Bytes that the device lacked at the last look until pressure ends; 0 without pressure or without data. */
export function shortageBytes(state: State): number {
  if (state.pressure.level !== 'high') return 0;
  return Math.max(0, -spareBytes(state));
}

/** Bytes that were available at the last look above the mark where pressure ends; Infinity without data. */
export function spareBytes(state: State): number {
  const available = state.sample?.availableBytes ?? null;
  if (available === null) return Number.POSITIVE_INFINITY;
  return available - state.settings.availableLowBytes * RECOVERED_ROOM;
}

function high(why: string): Pressure {
  return { level: 'high', why };
}

function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
