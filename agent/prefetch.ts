/**
 * Loading ahead: what is likely to be needed next comes into what is free, and nothing leaves for a guess.
 *
 *  1 only while the device is cool and calm, nobody waits for a load, and no load is under way
 *  2 one guess a choice, soon after it and while the chosen one is here: what comes free later is not there to be filled
 *  3 an absent one is loaded if its bytes are free by the budget and by what the device has left; a parked one is read
 *    into the page cache
 *  4 a load keeps the others of its cell from answering, so it must be likelier to be asked than all of them
 */
import { admitGuess } from './admission.ts';
import type { Draft } from './draft.ts';
import { mb } from './failures.ts';
import { type Guess, likelyNext, shareOf } from './habits.ts';
import { isRaised } from './heat.ts';
import { spareBytes } from './pressure.ts';
import { isInMemory, leasesOn } from './residency.ts';
import type { Entry, State } from './types.ts';

/** Less comes as fast with the request itself. */
const WORTH_WARMING_BYTES = 8 * 1_048_576;
/** What follows a choice follows it within this time, or by chance. */
const SOON_MS = 60_000;

export function prefetch(draft: Draft): void {
  const { habits, settings } = draft.state;
  if (!settings.prefetch || !habits.isOpen || !isCalm(draft)) return; // 1
  if (!isSoon(draft.state)) return close(draft); // 2
  for (const guess of likelyNext(habits)) {
    const entry = draft.entry(guess.expert);
    if (entry === undefined || entry.fate !== null) continue;
    if (isAtHand(entry)) return close(draft);
    if (bring(draft, entry, guess)) return close(draft);
  }
}

function isCalm({ state }: Draft): boolean {
  if (state.pressure.level === 'high' || isRaised(state.loadCost) || state.nowMs < state.restUntilMs)
    return false;
  for (const { phase } of state.requests.values()) if (phase.name === 'waiting') return false;
  for (const { residency } of state.experts.values()) if (residency.state === 'loading') return false;
  return true;
}

/** True while the expert that was chosen last is here, and works or has just worked. */
function isSoon(state: State): boolean {
  const last = state.experts.get(state.habits.last ?? '');
  if (last?.residency.state !== 'resident') return false;
  return leasesOn(state, last.expert.id) > 0 || state.nowMs - last.lastUsedMs < SOON_MS;
}

/** True where experts that could be asked as well would have to wait for its load. */
function isInTheWay({ habits, experts }: State, { expert }: Entry, { share }: Guess): boolean {
  if (expert.isolation === 'own') return false;
  let others = 0;
  for (const other of experts.values()) {
    const { lane, isolation, id } = other.expert;
    if (isInMemory(other) && lane === expert.lane && isolation === 'shared') others += shareOf(habits, id);
  }
  return others >= share;
}

/** Nothing can be done for it. */
function isAtHand({ residency, coldBytes }: Entry): boolean {
  if (residency.state === 'parked') return coldBytes < WORTH_WARMING_BYTES;
  return residency.state === 'resident' || residency.state === 'loading';
}

/** True where it was begun. */
function bring(draft: Draft, entry: Entry, guess: Guess): boolean {
  const { expert, residency, coldBytes, dismissed, notBeforeMs } = entry;
  const { state } = draft;
  const why = `in ${Math.round(guess.share * 100)} of 100 cases it follows ${state.habits.last}`;
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
  if (isInTheWay(state, entry, guess) || !admitGuess(draft, entry)) return false; // 4, 3
  const { loads } = draft.state.guesses;
  draft.putEntry(expert.id, { guessed: true });
  draft.set({ guesses: { ...draft.state.guesses, loads: loads + 1 } });
  draft.because(`${expert.id} was not asked for: ${why}`);
  return true;
}

function close(draft: Draft): void {
  draft.set({ habits: { ...draft.state.habits, isOpen: false } });
}
