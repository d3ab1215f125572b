/** What is wrong with an agent, for whoever looks after it: pure. */
import { wantOf } from './routing.ts';
import type { ExpertView, LogHealth } from './service.ts';
import type { ExpertId, Failure, State, Want } from './types.ts';

export function problemsOf(state: State, experts: readonly ExpertView[], log: LogHealth): Failure[] {
  const problems = experts.flatMap(({ error }) => (error === null ? [] : [error]));
  return [...problems, ...vacantRoles(state), ...logProblems(log)];
}

/** Roles that the configuration gives to experts that are not here, or cannot fill them. */
export function vacantRoles(state: State): Failure[] {
  const { embedder, generalist } = state.settings;
  return [
    ...vacancy(state, 'embedder', embedder, 'embeddings', 'requests are routed by words alone'),
    ...vacancy(state, 'generalist', generalist, 'chat', 'nobody takes what no specialist claims'),
    ...[...state.experts.values()].flatMap(({ expert: { fallback } }) =>
      vacancy(state, 'fallback', fallback, 'chat', 'nobody answers in its place where memory is short'),
    ),
  ];
}

function vacancy(state: State, role: string, expert: ExpertId | null, want: Want, effect: string): Failure[] {
  // One that is being fetched is told of as such.
  if (expert === null || state.pending.has(expert)) return [];
  const task = state.experts.get(expert)?.expert.task;
  if (task !== undefined && wantOf(task) === want) return [];
  const why = task === undefined ? 'is not installed' : `does ${task}`;
  return [
    {
      code: `no_${role}`,
      message: `the configuration names "${expert}" as ${role}, which ${why}: ${effect}`,
      hint: `Put its folder into expertsDir, give it sources, or set "${role}" to another expert or null.`,
      retryable: false,
    },
  ];
}

function logProblems({ state, reason }: LogHealth): Failure[] {
  if (state === 'ok') return [];
  const message = reason ?? 'decisions are not recorded';
  return [{ code: 'log_degraded', message, hint: null, retryable: true }];
}
