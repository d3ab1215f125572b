/** The catalog of a world: which versions are staged there, and what it tells of a rollout that is over. */
import type { Expert, ExpertId, Step } from '../../agent/types.ts';
import type { Happening } from './happening.ts';

type Rollout = Extract<Step, { type: 'rollout' }>;

export class Shelf {
  /** What it was told, in order. */
  readonly told: Rollout[] = [];
  readonly #staged = new Map<ExpertId, Expert>();

  /** The world's events pass here, so that this shelf knows what is staged. */
  see(event: Happening): void {
    if (event.type === 'staged') this.#staged.set(event.of, event.expert);
    if (event.type !== 'removed') return;
    for (const [of, { id }] of this.#staged)
      if (id === event.expert || of === event.expert) this.#staged.delete(of);
  }

  /** What follows from the end of a rollout; nothing, where another version is staged by now. */
  conclude({ expert, candidate, phase }: Rollout): Happening[] {
    const staged = this.#staged.get(expert);
    if (staged?.id !== candidate || phase === 'probation') return [];
    const left = { type: 'removed', expert: candidate } as const;
    if (phase === 'rolledBack') return [left];
    return [left, { type: 'installed', expert: { ...staged, id: expert, candidateOf: null } }];
  }
}
