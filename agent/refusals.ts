/** The refusals that come from the state of the agent itself, and not from a decision. */
import type { Refusal } from './service.ts';
import type { Failure } from './types.ts';

export const SHUTTING_DOWN: Failure = {
  code: 'shutting_down',
  message: 'the agent is shutting down',
  hint: 'Try again once it has started.',
  retryable: true,
};
export const STARTING: Failure = {
  code: 'not_ready',
  message: 'the agent is still reading its experts',
  hint: 'Try again shortly; /readyz tells when it is ready.',
  retryable: true,
};
export const HUNG_UP: Failure = {
  code: 'hung_up',
  message: 'the client hung up',
  hint: null,
  retryable: false,
};

/** A refusal that no decision made. */
export function refusalOf(failure: Failure): Refusal {
  return { failure, decision: null, retryAfterMs: null, loading: null };
}
