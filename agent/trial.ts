/** Tries an expert in a process of its own, as a cell hosts it: does it load, what does it say, and what does it take? */

import type { Manifest } from './catalog/manifest.ts';
import type { CellLog } from './cells/cell.ts';
import { Cells } from './cells/cells.ts';
import { AgentError } from './errors.ts';
import type { LoadReport } from './events.ts';
import { cellCommand } from './files.ts';
import { AS_MADE } from './generation.ts';
import type { Answer, Ask } from './ports.ts';

export interface TriedExpert {
  /** null where the system does not say. */
  readonly memory: NonNullable<Manifest['memory']> | null;
  /** What it said; null where its task cannot be asked without another expert, or only with tensors. */
  readonly golden: Manifest['golden'][number] | null;
  readonly loadMs: number;
}

const CELL = 'trial';
/** A load from a slow card, and an answer by a slow core. */
const TRIAL_MS = 600_000;
const END_MS = 2_000;
/** An answer is known by its first words: integer kernels of other CPUs may part from it later. */
const ANSWER_TOKENS = 16;
const QUESTION = 'What is the capital of France?';
/** Figures that are kept of an embedding, and how far those of another CPU may be away. */
const KEPT_NUMBERS = 8;
const TOLERANCE = 0.02;

const SILENT: CellLog = { info: () => {}, warn: () => {} };

/** Rejects with the AgentError of the load or of the run; the process has ended when this settles. */
export async function tryExpert(directory: string, manifest: Manifest): Promise<TriedExpert> {
  const cells = new Cells({
    command: cellCommand(),
    locate: () => ({ directory, manifest, prepared: null, cacheBytes: CACHE_BYTES }),
    log: SILENT,
    onCached: () => {},
    onExit: () => {},
  });
  const timer = setTimeout(() => cells.stop(CELL, true), TRIAL_MS);
  try {
    const lane = manifest.task === 'text-generation' ? 'heavy' : 'fast';
    const report = await cells.load(CELL, lane, manifest.id);
    return { memory: memoryOf(report), golden: await ask(cells, manifest), loadMs: report.loadMs };
  } finally {
    clearTimeout(timer);
    await cells.shutdown(END_MS);
  }
}

/** Room for the keys and values of the trial's question: few tokens, of any model. */
const CACHE_BYTES = 64 * 1024 ** 2;

async function ask(cells: Cells, { id, task, golden }: Manifest): Promise<TriedExpert['golden']> {
  const input = golden[0]?.input ?? QUESTION;
  const question = askOf(task, input);
  if (question === null) return null;
  const { answer } = await cells.run({ cell: CELL, lease: 1, expert: id, ask: question }, () => {});
  return { input, output: outputOf(answer) };
}

/** null where a question in words is none for the task, or where it needs an embedding. */
function askOf(task: Manifest['task'], text: string): Ask | null {
  if (task === 'tensor' || task === 'retrieval') return null;
  if (task === 'feature-extraction') return { kind: 'embeddings', texts: [text] };
  return {
    kind: 'chat',
    messages: [{ role: 'user', content: text }],
    question: text,
    focus: text,
    embedding: null,
    raw: null,
    generation: { ...AS_MADE, temperature: 0, maxTokens: ANSWER_TOKENS },
  };
}

function outputOf(answer: Answer): unknown {
  switch (answer.kind) {
    case 'text':
      if (answer.text.trim() !== '') return { text: answer.text };
      throw new AgentError('bad_answer', 'it loaded, and had nothing to say to a simple question', {
        hint: 'Its tokenizer or its chat template may be those of another model.',
      });
    case 'labels':
      return {
        label: answer.labels[0]?.label,
        score: round(answer.labels[0]?.score ?? 0),
        tolerance: TOLERANCE,
      };
    case 'embeddings':
      return {
        first: [...(answer.vectors[0] ?? [])].slice(0, KEPT_NUMBERS).map(round),
        tolerance: TOLERANCE,
      };
    default:
      return null;
  }
}

function memoryOf({ beforeBytes, afterBytes, peakBytes }: LoadReport): TriedExpert['memory'] {
  if (beforeBytes === null || afterBytes === null) return null;
  const residentBytes = Math.max(0, afterBytes - beforeBytes);
  return { residentBytes, loadBytes: Math.max(residentBytes, peakBytes ?? 0) };
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
