/** What each expert says before anything was ever parked: the answers that all later ones are compared with. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './conversation.ts';
import type { Member } from './fleet.ts';
import type { SoakedAgent } from './soaked-agent.ts';

export interface Golden {
  readonly text: string;
  /** Of an expert that has kept nothing, as after every load and every park: there is one right answer. */
  readonly fresh: string;
  /**
   * Answers behind what was kept of earlier prompts. Models that quantise activations as they come (a scale for all
   * rows of a read) may say something else then, by which prompt was read first; these are all that were seen.
   */
  readonly reused: ReadonlySet<string>;
}

export interface Goldens {
  readonly byExpert: ReadonlyMap<string, readonly Golden[]>;
  /** Prompts whose answer depends on what is kept. */
  readonly unsteady: number;
}

const TEXTS = [
  'The sea is wide and the night is long.',
  'Name three colours that a bird may have.',
  'What is the capital of France?',
  'Once there was a small house by the river,',
  'alpha beta gamma, and alpha once more',
] as const;
export const MAX_TOKENS = 10;
const UNLOAD_MS = 20_000;
const LOOK_MS = 10;

/** The agent must not park. Throws where an expert does not answer. */
export async function takeGoldens(agent: SoakedAgent, members: readonly Member[]): Promise<Goldens> {
  const byExpert = new Map<string, readonly Golden[]>();
  for (const { id, kind } of members) {
    // Generated experts say the same whatever they keep, by how they are made: one history is enough.
    const isSteady = kind !== 'copied';
    byExpert.set(id, await goldensOf(agent, id, isSteady));
  }
  const all = [...byExpert.values()].flat();
  const unsteady = all.filter(({ fresh, reused }) => reused.size > 1 || !reused.has(fresh)).length;
  return { byExpert, unsteady };
}

/** Whether this is what the expert should say; `cachedTokens` of the prompt were kept from earlier ones. */
export function isRight({ fresh, reused }: Golden, answer: string, cachedTokens: number): boolean {
  return answer === fresh || (cachedTokens > 0 && reused.has(answer));
}

/**
 * What is kept after a load begins with the prompt that was read first; every other is read behind their common
 * beginning, and at once again, behind itself, before what it left is given up for others.
 */
async function goldensOf(agent: SoakedAgent, id: string, isSteady: boolean): Promise<Golden[]> {
  const fresh = new Map<string, string>();
  const reused = new Map(TEXTS.map((text) => [text as string, new Set<string>()]));
  for (const opening of isSteady ? TEXTS.slice(0, 1) : TEXTS) {
    await unload(agent, id);
    fresh.set(opening, await answerOf(agent, id, opening));
    const later = isSteady ? TEXTS : [opening, ...TEXTS.flatMap((text) => [text, text])];
    for (const text of later) reused.get(text)?.add(await answerOf(agent, id, text));
  }
  return TEXTS.map((text) => {
    const variants = reused.get(text) ?? new Set<string>();
    return { text, fresh: fresh.get(text) ?? [...variants][0] ?? '', reused: variants };
  });
}

async function answerOf({ url }: SoakedAgent, expert: string, text: string): Promise<string> {
  const outcome = await ask({ url, expert, text, maxTokens: MAX_TOKENS, endless: false });
  if (outcome.kind === 'answered') return outcome.text;
  throw new Error(`${expert}, before anything was parked: ${JSON.stringify(outcome)}`);
}

async function unload(agent: SoakedAgent, expert: string): Promise<void> {
  await agent.command('unload', expert);
  for (const endMs = performance.now() + UNLOAD_MS; ; await sleep(LOOK_MS)) {
    if ((await agent.experts()).find(({ id }) => id === expert)?.state === 'absent') return;
    if (performance.now() > endMs) throw new Error(`${expert} was not unloaded in time`);
  }
}
