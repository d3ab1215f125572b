/** When a command about an expert is done: not when it was taken, but when it is so. Pure. */
import type { ExpertView } from '../../service.ts';
import type { Failure } from '../../types.ts';
import type { ExpertCommand } from './ports.ts';

/** What was seen since the command was given. */
export interface Sight {
  /** When it was given. */
  readonly first: ExpertView;
  /** At the last look. */
  readonly before: ExpertView;
  readonly wasLoading: boolean;
}

export type Standing =
  | { readonly is: 'done' | 'wait' }
  /** It was given while the expert could not take it, and now it can. */
  | { readonly is: 'again' }
  | { readonly is: 'failed'; readonly failure: Failure };

const DONE: Standing = { is: 'done' };
const WAIT: Standing = { is: 'wait' };
const AGAIN: Standing = { is: 'again' };

export function sightOf(view: ExpertView): Sight {
  return { first: view, before: view, wasLoading: view.state === 'loading' };
}

export function lookedAt(sight: Sight, view: ExpertView): Sight {
  return { ...sight, before: view, wasLoading: sight.wasLoading || view.state === 'loading' };
}

/** `sight` is what was seen before `view`. `budgetBytes`: what can never be inside it is not waited for. */
export function standing(
  command: ExpertCommand,
  sight: Sight,
  view: ExpertView,
  budgetBytes: number,
): Standing {
  switch (command) {
    case 'load':
      return loading(sight, view, budgetBytes);
    case 'park':
      return parking(view);
    case 'unload':
      return unloading(sight, view);
    case 'pin':
      return view.pinned ? DONE : failed(view, 'not_installed', `${view.id} is not installed yet`);
    case 'unpin':
      return view.pinned ? failed(view, 'still_pinned', `${view.id} is still pinned`) : DONE;
    case 'clear':
      return view.state === 'quarantined' ? failed(view, 'quarantined', `${view.id} is in quarantine`) : DONE;
  }
}

/** An error that was there when the command came is of an older load. */
function loading({ first, before, wasLoading }: Sight, view: ExpertView, budgetBytes: number): Standing {
  const { id, state, error, memory } = view;
  switch (state) {
    case 'resident':
      return DONE;
    case 'quarantined':
    case 'failed':
      return failed(view, state, `${id} cannot be used`);
    case 'absent':
    case 'parked':
      if (before.state === 'fetching') return AGAIN;
      if (wasLoading || (error !== null && error !== first.error))
        return failed(view, 'load_failed', `${id} did not stay in memory`);
      if (memory !== null && memory.loadBytes > budgetBytes)
        return failed(
          { ...view, error: null },
          'too_large',
          `${id} needs ${memory.loadBytes} bytes, and the budget is ${budgetBytes}`,
        );
      return WAIT;
    case 'fetching':
    case 'loading':
    case 'parking':
    case 'unloading':
      return WAIT;
  }
}

/** Whoever holds a lease is waited for; what is idle and stays cannot be parked. */
function parking(view: ExpertView): Standing {
  const { id, state, leases, memory } = view;
  if (state === 'parked') return DONE;
  if (state === 'parking' || state === 'loading' || state === 'unloading') return WAIT;
  if (state === 'resident')
    return leases > 0
      ? WAIT
      : failed({ ...view, error: null }, 'not_parkable', memory?.notParkable ?? `${id} cannot be parked`);
  const why = memory?.notParkable ?? `${id} is not in memory`;
  return failed({ ...view, error: null }, 'not_resident', why);
}

/** Where it was on its way to be parked, that comes first. */
function unloading({ before }: Sight, { state }: ExpertView): Standing {
  switch (state) {
    case 'absent':
    case 'quarantined':
    case 'fetching':
    case 'failed':
      return DONE;
    case 'parked':
      return before.state === 'parked' ? WAIT : AGAIN;
    case 'resident':
    case 'loading':
    case 'parking':
    case 'unloading':
      return WAIT;
  }
}

/** The expert's own error tells most. */
function failed({ error }: ExpertView, code: string, message: string): Standing {
  return { is: 'failed', failure: error ?? { code, message, hint: null, retryable: false } };
}
