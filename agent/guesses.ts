/** What became of loads that nobody had asked for. */
import type { Draft } from './draft.ts';
import type { Entry, Guesses } from './types.ts';

export const NO_GUESSES: Guesses = { loads: 0, hits: 0, wastedBytes: 0 };

/** A request uses the expert: the guess was right. */
export function noteHit(draft: Draft, entry: Entry): void {
  if (!entry.guessed) return;
  const { guesses } = draft.state;
  draft.set({ guesses: { ...guesses, hits: guesses.hits + 1 } });
  draft.putEntry(entry.expert.id, { guessed: false });
}

/** It leaves memory and nobody had asked for it. */
export function noteWaste(draft: Draft, entry: Entry): void {
  if (!entry.guessed) return;
  const { guesses } = draft.state;
  const wastedBytes = guesses.wastedBytes + entry.expert.memory.residentBytes;
  draft.set({ guesses: { ...guesses, wastedBytes } });
  draft.putEntry(entry.expert.id, { guessed: false });
}
