/** The refusals that `decide` can give, each with the fix. One place, so that codes and words stay the same. */
import { readyMs } from './costs.ts';
import { loadMsNow } from './heat.ts';
import type { Expert, ExpertId, Failure, Loading, Pending, State, Want } from './types.ts';

const MB = 1_048_576;

export function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

export const failures = {
  queueFull: (limit: number): Failure => ({
    code: 'queue_full',
    message: `${limit} requests are under way, and no more are taken`,
    hint: 'Try again shortly, or raise limits.maxQueue.',
    retryable: true,
  }),
  unknownModel: (model: ExpertId): Failure => ({
    code: 'model_not_found',
    message: `no expert "${model}" is installed`,
    hint: 'GET /v1/models lists the experts; "auto" lets the router choose.',
    retryable: false,
  }),
  fetching: (model: ExpertId, pending: Pending): Failure =>
    pending.error === null
      ? {
          code: 'fetching',
          message: `expert "${model}" is still being fetched`,
          hint: 'Try again later; GET /expertd/v1/experts shows the progress.',
          retryable: true,
        }
      : pending.error,
  wrongTask: (expert: Expert, want: Want): Failure => ({
    code: 'wrong_task',
    message: `expert "${expert.id}" does ${expert.task}, which cannot answer a request for ${want}`,
    hint: wrongTaskHint(expert, want),
    retryable: false,
  }),
  unnamed: (want: Want): Failure => ({
    code: 'wrong_task',
    message: `a request for ${want === 'load' ? 'a load' : want} has no words to route by: it must name its expert`,
    hint: `GET /v1/models lists the experts${want === 'tensors' ? '; name one whose task is tensor' : ''}.`,
    retryable: false,
  }),
  unvoiced: (assistant: ExpertId): Failure => ({
    code: 'model_not_found',
    message: `the language model that speaks for "${assistant}" has left meanwhile`,
    hint: null,
    retryable: true,
  }),
  noEmbedder: (): Failure => ({
    code: 'model_not_found',
    message: 'no expert for embeddings is installed',
    hint: 'Install one whose task is feature-extraction.',
    retryable: false,
  }),
  quarantined: (expert: ExpertId, reason: string): Failure => ({
    code: 'quarantined',
    message: `expert "${expert}" is in quarantine: ${reason}`,
    hint: `Mend its folder, then POST /expertd/v1/experts/${expert}/clear.`,
    retryable: false,
  }),
  tooLarge: (expert: Expert, neededBytes: number, budgetBytes: number): Failure => ({
    code: 'too_large',
    message: `expert "${expert.id}" needs a budget of ${neededBytes} bytes (${mb(neededBytes)}); the budget is ${budgetBytes} bytes (${mb(budgetBytes)})`,
    hint: 'Raise memory.budget, or use a smaller expert.',
    retryable: false,
  }),
  allPinned: (expert: Expert, neededBytes: number, budgetBytes: number): Failure => ({
    code: 'all_pinned',
    message: `expert "${expert.id}" does not fit beside what is pinned: ${mb(neededBytes)} of ${mb(budgetBytes)}`,
    hint: 'Unpin an expert, or raise memory.budget.',
    retryable: false,
  }),
  pressure: (why: string): Failure => ({
    code: 'pressure',
    message: `the device is short of memory (${why}), and no expert is loaded now`,
    hint: 'Try again later.',
    retryable: true,
  }),
  stillLoading: (expert: ExpertId, why: string): Failure => ({
    code: 'loading',
    message: `expert "${expert}" was not ready in time: ${why}`,
    hint: 'Try again after the time in Retry-After, or raise limits.loadWaitMs.',
    retryable: true,
  }),
  loadFailed: (expert: ExpertId, error: Failure): Failure => ({
    code: 'load_failed',
    message: `expert "${expert}" cannot be loaded: ${error.message}`,
    hint: error.hint,
    retryable: error.retryable,
  }),
  cellExited: (expert: ExpertId, cause: string, again: boolean): Failure => ({
    code: 'cell_exited',
    message: `the process of expert "${expert}" ended while it worked (${cause})${again ? ', again' : ''}`,
    hint: 'Try again; expertd explain shows what happened.',
    retryable: true,
  }),
  deadline: (expert: ExpertId, limitMs: number): Failure => ({
    code: 'deadline',
    message: `expert "${expert}" did not answer within ${limitMs} ms`,
    hint: 'Ask for less, or raise limits.fastDeadlineMs or limits.heavyDeadlineMs.',
    retryable: true,
  }),
  removed: (expert: ExpertId): Failure => ({
    code: 'model_not_found',
    message: `expert "${expert}" was removed while the request waited`,
    hint: 'GET /v1/models lists the experts.',
    retryable: false,
  }),
} as const;

/** In what way an assistant's answer is less where its base was refused so. A base that is late has not failed. */
export function degradedBy(code: string): string {
  if (code === 'model_not_found') return 'base-not-installed';
  if (code === 'too_large' || code === 'all_pinned') return 'base-too-large';
  return code === 'loading' || code === 'pressure' ? 'base-loading' : 'base-failed';
}

function wrongTaskHint({ id, task }: Expert, want: Want): string {
  if (want === 'embeddings') return 'Name an expert whose task is feature-extraction, or "auto".';
  if (task === 'tensor') return `Ask it through /v2/models/${id}/infer, or name another expert.`;
  if (want === 'tensors') return 'Ask it through /v1, or name an expert whose task is tensor.';
  return 'Ask it through /v1/embeddings, or name another expert, or "auto".';
}

/** What a client is told while it must wait for an expert. */
export function loadingOf(state: State, expert: ExpertId): Loading {
  const pending = state.pending.get(expert);
  const entry = state.experts.get(expert);
  // Beside one that is here and stays, another version may come: nobody waits for that.
  const isAwaited = entry === undefined || entry.fate?.kind === 'remove';
  if (isAwaited && pending?.state === 'fetching') {
    const progress = pending.totalBytes === null ? null : pending.doneBytes / Math.max(1, pending.totalBytes);
    return { state: 'fetching', progress, etaSeconds: null };
  }
  if (entry === undefined) return { state: 'waiting', progress: null, etaSeconds: null };
  if (entry.residency.state !== 'loading')
    return { state: 'waiting', progress: null, etaSeconds: readyMs(state, entry) / 1000 };
  const loadMs = loadMsNow(state, entry.expert);
  const elapsedMs = state.nowMs - entry.residency.sinceMs;
  return {
    state: 'loading',
    progress: Math.min(0.99, elapsedMs / Math.max(1, loadMs)),
    etaSeconds: Math.max(0, loadMs - elapsedMs) / 1000,
  };
}
