/** Tries an expert in a process of its own, as a cell hosts it: does it load, what does it say, and what does it take? */

import type { Manifest } from './catalog/manifest.ts';
import type { CellLog } from './cells/cell.ts';
import { Cells } from './cells/cells.ts';
import { AgentError } from './errors.ts';
import type { LoadReport } from './events.ts';
import { cellCommand } from './files.ts';
import { askForGolden, type Golden, goldenOutput } from './golden.ts';
import type { Answer } from './ports.ts';

export interface TriedExpert {
  /** null where the system does not say. */
  readonly memory: NonNullable<Manifest['memory']> | null;
  /** What it said; null where nobody said with which tensors it is to be asked. */
  readonly golden: Golden | null;
  readonly loadMs: number;
}

const CELL = 'trial';
/** A load from a slow card, and an answer by a slow core. */
const TRIAL_MS = 600_000;
const END_MS = 2_000;
/** Small language models are surer of how to go on here than where they have to know something. */
const QUESTIONS = ['Name the days of the week.', 'Repeat after me: The sea is wide and the night is long.'];

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
    return { memory: memoryOf(report), golden: await hear(cells, manifest), loadMs: report.loadMs };
  } finally {
    clearTimeout(timer);
    await cells.shutdown(END_MS);
  }
}

/** Room for the keys and values of the trial's question: few tokens, of any model. */
const CACHE_BYTES = 64 * 1024 ** 2;

/** The first answer that is certain enough to be held against the expert; `output` is null where none is. */
async function hear(cells: Cells, { id, task, golden }: Manifest): Promise<Golden | null> {
  const [own] = golden;
  let heard: Golden | null = null;
  for (const input of own === undefined ? QUESTIONS : [own.input]) {
    const ask = askForGolden(task, input);
    if (ask.kind === 'unjudged') return null;
    const { answer } = await cells.run({ cell: CELL, lease: 1, expert: id, ask }, () => {});
    refuseSilence(answer);
    heard = { input, output: goldenOutput(answer) };
    if (heard.output !== null) break;
  }
  return heard;
}

function refuseSilence(answer: Answer): void {
  if (answer.kind !== 'text' || answer.text.trim() !== '') return;
  throw new AgentError('bad_answer', 'it loaded, and had nothing to say to a simple question', {
    hint: 'Its tokenizer or its chat template may be those of another model.',
  });
}

function memoryOf({ beforeBytes, afterBytes, peakBytes }: LoadReport): TriedExpert['memory'] {
  if (beforeBytes === null || afterBytes === null) return null;
  const residentBytes = Math.max(0, afterBytes - beforeBytes);
  return { residentBytes, loadBytes: Math.max(residentBytes, peakBytes ?? 0) };
}
