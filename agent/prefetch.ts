/**
 * Loading ahead: what is likely to be needed next comes into what is free, and nothing leaves for a guess.
 *
 *  1 only while the device is cool and calm, nobody waits for a load, and no load is under way
 *  2 one guess a choice: the likeliest that is not here, or parked with its pages forgotten
 *  3 an absent one is loaded if its bytes are free by the budget and by what the device has left; a parked one is read
 *    into the page cache
 */
import { admitGuess } from './admission.ts';
import type { Draft } from './draft.ts';
import { mb } from './failures.ts';
import { type Guess, likelyNext } from './habits.ts';
import { isRaised } from './heat.ts';
import { spareBytes } from './pressure.ts';
import type { Entry } from './types.ts';

/** Less comes as fast with the request itself. */
const WORTH_WARMING_BYTES = 8 * 1_048_576;

export function prefetch(draft: Draft): void {
  const { habits, settings } = draft.state;
  if (!settings.prefetch || !habits.isOpen || !isCalm(draft)) return; // 1
  for (const guess of likelyNext(habits)) {
    const entry = draft.entry(guess.expert);
    if (entry === undefined || entry.fate !== null) continue;
    if (isAtHand(entry)) return close(draft);
    if (bring(draft, entry, guess)) return close(draft); // 2
  }
}

function isCalm({ state }: Draft): boolean {
  if (state.pressure.level === 'high' || isRaised(state.loadCost) || state.nowMs < state.restUntilMs)
    return false;
  for (const { phase } of state.requests.values()) if (phase.name === 'waiting') return false;
  for (const { residency } of state.experts.values()) if (residency.state === 'loading') return false;
  return true;
}

/** Nothing can be done for it. */
function isAtHand({ residency, coldBytes }: Entry): boolean {
  if (residency.state === 'parked') return coldBytes < WORTH_WARMING_BYTES;
  return residency.state === 'resident' || residency.state === 'loading';
}

/** True where it was begun. */
function bring(draft: Draft, entry: Entry, { share }: Guess): boolean {
  const { expert, residency, coldBytes, dismissed, notBeforeMs } = entry;
  const { state } = draft;
  const why = `in ${Math.round(share * 100)} of 100 cases it follows ${state.habits.last}`;
  if (residency.state === 'parked') {
    if (coldBytes > spareBytes(state) || state.cells.get(residency.cell)?.stopping !== false) return false;
    draft.steps.push({ type: 'warm', expert: expert.id, cell: residency.cell });
    draft.putEntry(expert.id, { coldBytes: 0 });
    draft.because(`read ${mb(coldBytes)} of ${expert.id} ahead: ${why}`);
    return true;
  }
  // What was unloaded by hand, or failed, comes back when it is asked for.
  if (residency.state !== 'absent' || dismissed || entry.lastError !== null || state.nowMs < notBeforeMs)
    return false;
  if (!admitGuess(draft, entry)) return false; // 3
  const { loads } = draft.state.guesses;
  draft.putEntry(expert.id, { guessed: true });
  draft.set({ guesses: { ...draft.state.guesses, loads: loads + 1 } });
  draft.because(`${expert.id} was not asked for: ${why}`);
  return true;
}

function close(draft: Draft): void {
  draft.set({ habits: { ...draft.state.habits, isOpen: false } });
}
