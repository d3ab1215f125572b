/** Why an expert is not parked, or does not come back. Each of these is final for a session; unloading helps. */
import { AgentError } from '../../errors.ts';

/** It works as before and cannot be parked. */
export function notParkable(why: string, cause?: unknown): AgentError {
  if (cause instanceof AgentError) return cause;
  return new AgentError('not_parkable', `Its weights stay in memory: ${why}`, {
    hint: 'It is unloaded where memory is short, and loaded again.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Nothing may be asked of it any more. */
export function weightsChanged(what: string): AgentError {
  return new AgentError('weights_changed', `Its weights are not what they were: ${what}`, {
    hint: 'Files of an expert are replaced, never written to: unload it, and install it again.',
  });
}
