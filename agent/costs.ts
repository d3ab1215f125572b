/**
 * What it takes to bring an expert back, in ms: what eviction weighs, what a choice predicts, what a client is told.
 * What is parked comes from the page cache at once, or from the disk where that has forgotten it.
 */
import { loadMsNow } from './heat.ts';
import { canPark } from './residency.ts';
import type { Entry, State } from './types.ts';

/** Measured at 10 to 35 ms with the weights in the page cache, for 100 to 500 MB. */
const RESUME_MS = 30;
/** Bytes a second of a slow card, where no disk was measured. */
const BLIND_BYTES_PER_SECOND = 50e6;

/** To the first answer of a parked expert. */
export function resumeMs(state: State, { coldBytes }: Entry): number {
  const bytesPerSecond = state.sample?.device?.storageBytesPerSecond ?? BLIND_BYTES_PER_SECOND;
  return (RESUME_MS + (coldBytes / bytesPerSecond) * 1000) * state.loadCost.factor;
}

/** Until an expert could answer, from where it is now; 0 for one in memory. */
export function readyMs(state: State, entry: Entry): number {
  if (entry.residency.state === 'resident') return 0;
  return entry.residency.state === 'parked' ? resumeMs(state, entry) : loadMsNow(state, entry.expert);
}

/** What it would take to bring an expert back that is in memory, once it has left as it would leave now. */
export function returnMs(state: State, entry: Entry): number {
  const parks = entry.residency.state === 'resident' && canPark(state, entry);
  return parks ? resumeMs(state, entry) : loadMsNow(state, entry.expert);
}

/** True for an expert that is here as far as a router minds: resident, or parked and back long before a load would end. */
export function isNear(state: State, entry: Entry): boolean {
  const { residency, expert } = entry;
  if (residency.state === 'resident') return true;
  return residency.state === 'parked' && resumeMs(state, entry) <= loadMsNow(state, expert) / 2;
}
