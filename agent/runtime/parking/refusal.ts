/**
 * Why an expert is not parked, or does not come back. Each of these is final for a session; unloading helps. Those that
 * are retryable are no fault of the expert: its next session may be parked.
 */
import { AgentError } from '../../errors.ts';

/** It works as before and cannot be parked. */
export function notParkable(why: string, cause?: unknown, retryable = false): AgentError {
  if (cause instanceof AgentError) return cause;
  return new AgentError('not_parkable', `Its weights stay in memory: ${why}`, {
    hint: 'It is unloaded where memory is short, and loaded again.',
    retryable,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** As `notParkable`, where the disk is the reason: it may have room the next time. */
export function diskRefuses(why: string, cause?: unknown): AgentError {
  return notParkable(why, cause, true);
}

/** What was asked can be done with parked weights alone. */
export function notParked(): AgentError {
  return new AgentError('not_parked', 'Its weights are not parked', {
    hint: 'It was asked for meanwhile, or unloaded: there is nothing to do.',
  });
}

/** Nothing may be asked of it any more. */
export function weightsChanged(what: string, retryable = false): AgentError {
  return new AgentError('weights_changed', `Its weights are not what they were: ${what}`, {
    hint: 'Files of an expert are replaced, never written to: unload it, and install it again.',
    retryable,
  });
}

/** As `weightsChanged`, where somebody or the disk has changed a file: what is loaded anew is checked anew. */
export function fileChanged(what: string): AgentError {
  return weightsChanged(what, true);
}
