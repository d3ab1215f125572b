/** Loads an expert by hand and waits until it is in memory, as clients of Triton's `load` expect. */
import { AgentError } from '../../errors.ts';
import type { ExpertView, Refusal, Service } from '../../service.ts';
import type { ExpertId, Failure } from '../../types.ts';

/** As long as a request waits for a load unless it is set otherwise. */
const WAIT_MS = 30_000;
const RETRY_MS = 1_000;

/**
 * Resolves once the expert is resident. Rejects with a Refusal where it cannot be: `too_large`, `load_failed`,
 * `quarantined`, what keeps a package from being installed, or `loading` after 30 s. Aborting `signal` stops the wait,
 * not the load.
 */
export async function untilLoaded(service: Service, id: ExpertId, signal: AbortSignal): Promise<void> {
  const before = viewOf(service, id);
  const hopeless = refusalBefore(service, before);
  if (hopeless !== null) throw hopeless;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // It may be decided before it is awaited.
  promise.catch(() => {});
  const look = (): void => {
    const view = viewOf(service, id);
    if (view?.state === 'resident' || view?.state === 'parked') resolve();
    const failure = failureSince(before, view);
    if (failure !== null) reject(refusalOf(failure));
  };
  const unsubscribe = service.subscribe(look);
  const timer = setTimeout(() => reject(stillLoading(id)), WAIT_MS);
  const hangUp = (): void => reject(new AgentError('hung_up', 'the client closed its connection'));
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    await service.command('load', id);
    look();
    await promise;
  } finally {
    clearTimeout(timer);
    unsubscribe();
    signal.removeEventListener('abort', hangUp);
  }
}

function viewOf(service: Service, id: ExpertId): ExpertView | undefined {
  return service.experts().find((expert) => expert.id === id);
}

/** What the command would not bring about: nobody waits for it, so nobody would be told. */
function refusalBefore(service: Service, view: ExpertView | undefined): Refusal | null {
  if (view === undefined) return null;
  const { id, state, error, memory } = view;
  if (state === 'quarantined' && error !== null) return refusalOf({ ...error, code: 'quarantined' });
  if (state === 'failed' && error !== null) return refusalOf(error);
  if (state === 'fetching') {
    const message = `expert "${id}" is still being fetched`;
    return refusalOf({ code: 'fetching', message, hint: 'Try again later.', retryable: true });
  }
  const { budgetBytes } = service.state();
  if (memory === null || memory.loadBytes <= budgetBytes) return null;
  const message = `expert "${id}" needs ${memory.loadBytes} bytes; the budget is ${budgetBytes} bytes`;
  const hint = 'Raise memory.budget, or use a smaller expert.';
  return refusalOf({ code: 'too_large', message, hint, retryable: false });
}

/** The failure of a load that was tried since; one of an earlier load is the same object as before. */
function failureSince(before: ExpertView | undefined, now: ExpertView | undefined): Failure | null {
  if (now === undefined) {
    return { code: 'model_not_found', message: 'the expert was removed', hint: null, retryable: false };
  }
  if (now.error === null || now.error === before?.error) return null;
  const { message, hint, retryable } = now.error;
  if (now.state === 'quarantined') return { ...now.error, code: 'quarantined' };
  return { code: 'load_failed', message: `expert "${now.id}" cannot be loaded: ${message}`, hint, retryable };
}

function stillLoading(id: ExpertId): Refusal {
  const message = `expert "${id}" was not loaded within ${WAIT_MS / 1_000} s`;
  const hint = 'It is loaded as soon as there is room; GET /expertd/v1/state shows what is taken.';
  return refusalOf({ code: 'loading', message, hint, retryable: true });
}

function refusalOf(failure: Failure): Refusal {
  const retryAfterMs = failure.retryable ? RETRY_MS : null;
  return { failure, decision: null, retryAfterMs, loading: null };
}
