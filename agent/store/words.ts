/** Steps as phrases, for people who read a decision. */
import type { Step } from '../types.ts';

const ROLLOUT_WORDS = {
  probation: 'on probation',
  committed: 'committed',
  rolledBack: 'rolled back',
} as const;

export function describeStep(step: Step): string {
  switch (step.type) {
    case 'embed':
      return `embed the question of ${step.request} with ${step.expert} in ${step.cell} (lease ${step.lease})`;
    case 'learn':
      return `learn the examples of ${step.subject} with ${step.expert} in ${step.cell} (lease ${step.lease})`;
    case 'grant':
      return `${step.purpose === 'retrieve' ? 'find sources for' : 'run'} ${step.request} on ${step.expert} in ${step.cell} (lease ${step.lease})${step.assistant === null ? '' : `, for ${step.assistant}`}`;
    case 'test':
      return `ask ${step.expert} in ${step.cell} for its golden answers (lease ${step.lease})`;
    case 'rollout':
      return `keep that ${step.candidate} is ${ROLLOUT_WORDS[step.phase]} after ${step.progress.answered} answers`;
    case 'ready':
      return `tell ${step.request} that ${step.expert} is in memory`;
    case 'fallback':
      return `answer ${step.request} with what was found alone (${step.degraded}): ${step.failure.message}`;
    case 'reject':
      return `refuse ${step.request}: ${step.failure.code}: ${step.failure.message}`;
    case 'abstain':
      return `abstain from ${step.request}`;
    case 'route':
      return `choose for ${step.request} by words`;
    case 'cancel':
      return `cancel lease ${step.lease} in ${step.cell}`;
    case 'load':
      return `load ${step.expert} in ${step.fresh ? 'the new cell ' : ''}${step.cell}`;
    case 'unload':
      return `unload ${step.expert} from ${step.cell}`;
    case 'park':
      return `park ${step.expert} in ${step.cell}`;
    case 'trim':
      return `let ${step.expert} in ${step.cell} give back what it keeps`;
    case 'chill':
      return `let the page cache forget ${step.expert} in ${step.cell}`;
    case 'warm':
      return `read ${step.expert} in ${step.cell} into the page cache`;
    case 'stop':
      return `${step.kill ? 'kill' : 'stop'} ${step.cell}`;
  }
}
