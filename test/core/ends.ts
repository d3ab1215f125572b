/** What is told of steps whose end touches no memory: as they go well, or as `failure` says. */
import type { Failure, LeaseId, Step } from '../../agent/types.ts';
import { CRASH, type Happening } from './happening.ts';
import { axis } from './made.ts';

type Of<T extends Step['type']> = Extract<Step, { type: T }>;

export function featuresOf({ request, lease }: Of<'embed'>, error: Failure | null): Happening {
  const embedding = error === null ? axis(lease) : null;
  return { type: 'features', request, lease, language: null, embedding, error };
}

export function wordsAlone({ request }: Of<'route'>): Happening {
  return { type: 'features', request, lease: null, language: null, embedding: null, error: CRASH };
}

export function lessonOf({ lease, subject }: Of<'learn'>, error: Failure | null): Happening {
  const prototypes = error === null ? [axis(lease)] : null;
  return { type: 'learned', lease, expert: subject, prototypes, error };
}

export function testOf({ lease, expert }: Of<'test'>, error: Failure | null): Happening {
  return { type: 'tested', lease, expert, error, given: error === null ? 1 : 0, unjudged: 0 };
}

/** Nothing more is asked of who holds this lease. */
export function freed(lease: LeaseId): Happening {
  const outcome = { ok: true, error: null, stages: {}, keptBytes: null, sources: 0 };
  return { type: 'released', lease, outcome };
}
