/** How the router sees a question: its meaning by the embedder, its language by the detector, in one turn of a cell. */
import { chatAbout } from './asks.ts';
import type { Runtime } from './ports.ts';
import type { CellId, ExpertId, LeaseId } from './types.ts';

/**
 * Below this a language is a guess. At it 0.2 % of 3,000 short English requests (CLINC150) and 0.3 % of 303 medical
 * questions are taken for another language, and most short questions in French, Spanish and German are seen.
 */
const SURE = 0.75;

export interface Look {
  readonly cell: CellId;
  readonly lease: LeaseId;
  readonly embedder: ExpertId;
  /** null: nobody names languages in this cell. */
  readonly detector: ExpertId | null;
  readonly question: string;
}

export interface Seen {
  readonly vector: Float32Array;
  readonly language: string | null;
}

/** Rejects as the embedder's run does; a detector that fails has seen nothing. */
export async function look(
  run: Runtime['run'],
  { cell, lease, embedder, detector, question }: Look,
): Promise<Seen> {
  const embedding = run(
    { cell, lease, expert: embedder, ask: { kind: 'embeddings', texts: [question] } },
    ignore,
  );
  // Both are asked at once and answered one after the other: the lease on the embedder covers the detector's run too,
  // since a cell does nothing out of order. Its number must differ, so it is the lease's, negated.
  const naming = detector === null ? null : nameLanguage(run, cell, -lease, detector, question);
  const [{ answer }, language] = await Promise.all([embedding, naming]);
  const [vector] = answer.kind === 'embeddings' ? answer.vectors : [];
  if (vector === undefined) throw new TypeError(`the embedder answered with ${answer.kind} and no vector`);
  return { vector, language };
}

async function nameLanguage(
  run: Runtime['run'],
  cell: CellId,
  lease: LeaseId,
  expert: ExpertId,
  question: string,
): Promise<string | null> {
  try {
    const { answer } = await run({ cell, lease, expert, ask: chatAbout(question) }, ignore);
    const [best] = answer.kind === 'labels' ? answer.labels : [];
    return best !== undefined && best.score >= SURE ? best.label : null;
  } catch {
    return null;
  }
}

function ignore(): void {}
