/**
 * The process that prepares an expert: this same program with the hidden command `prepare`. It does one phase of the
 * work, says what came of it, and ends. Whatever happens to it, the expert loads as it is.
 */
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import type { Manifest } from './catalog/manifest.ts';
import type { Decoder } from './catalog/prepared.ts';
import { AgentError, toFailure } from './errors.ts';
import { openLibc } from './linux/libc.ts';
import { readPeakRssBytes } from './linux/process.ts';
import { type Job, MODEL, type Outcome, type Phase, type Step, TOKENIZER } from './preparation/job.ts';

/** The end of the pipe on which the outcome goes back: the first file descriptor after stdin, stdout and stderr. */
const OUTCOME_FD = 3;
/** The kernel takes this process before any cell, and every other program passes it. */
const OOM_SCORE_ADJ = 900;
const NICE = 10;

const PHASES: Readonly<Record<Phase, (job: Job) => Promise<Outcome>>> = {
  tokenizer: compileTokenizer,
  graph: editGraph,
  canary: runCanary,
};
/** The step that is not done where a phase as a whole cannot be. */
const STEP_OF = { tokenizer: 'tokenizer', graph: 'graph', canary: 'canary' } as const;

/** Reads a job from stdin. Rejects with AgentError `usage` where nobody sends one. */
export async function startPreparing(): Promise<void> {
  if (isatty(0)) throw notForPeople();
  (await openLibc()).dieWithParent();
  yieldToOthers();
  const job = JSON.parse(readFileSync(0, 'utf8')) as Job;
  const outcome = await PHASES[job.phase](job).catch((error: unknown) => outcomeOf(job.phase, error));
  try {
    writeSync(OUTCOME_FD, JSON.stringify(outcome));
  } catch {
    throw notForPeople();
  }
}

async function compileTokenizer({ manifest, directory, target, marginBytes }: Job): Promise<Outcome> {
  const settings = manifest.tokenizer;
  if (settings?.kind !== 'huggingface') return without('tokenizer', 'it has none of a kind that is compiled');
  const [{ compile }, { checkSpace, writeWhole }] = await Promise.all([
    import('./runtime/tokenizers/flat/compile.ts'),
    import('./preparation/written.ts'),
  ]);
  const parse = (path: string): unknown => JSON.parse(readFileSync(join(directory, path), 'utf8'));
  const bytes = compile(parse(settings.path), parse(settings.config));
  checkSpace(target, bytes.length, marginBytes);
  const files = [writeWhole(join(target, TOKENIZER), bytes)];
  return {
    kind: 'made',
    steps: [{ name: 'tokenizer', done: true, why: null }],
    files,
    exact: true,
    canary: null,
  };
}

async function editGraph(job: Job): Promise<Outcome> {
  const { prepareGraph } = await import('./preparation/graph.ts');
  return prepareGraph(job);
}

async function runCanary({ manifest, directory, target, exact }: Job): Promise<Outcome> {
  const { compare } = await import('./runtime/canary.ts');
  const { why, ...figures } = await compare({ manifest, directory, target, copy: MODEL, exact });
  const decoder = why === null ? await seeDecoder(manifest, join(target, MODEL)) : null;
  const canary = { ...figures, decoder, peakBytes: readPeakRssBytes('self') };
  return { kind: 'made', steps: [{ name: 'canary', done: why === null, why }], files: [], exact, canary };
}

/** As a cell opens it; null where that is not possible: then the cell says why. */
async function seeDecoder(manifest: Manifest, file: string): Promise<Decoder | null> {
  const [{ openNativeApi }, { NativeModel }] = await Promise.all([
    import('./runtime/native/api.ts'),
    import('./runtime/native/model.ts'),
  ]);
  const api = await openNativeApi();
  const model = api && (await NativeModel.open(api, manifest, file, 1).catch(() => null));
  if (model === null) return null;
  const { decoder } = model;
  await model.release();
  return decoder;
}

function without(name: Step['name'], why: string): Outcome {
  return { kind: 'made', steps: [{ name, done: false, why }], files: [], exact: true, canary: null };
}

/**
 * What is the package's own doing would be the same another time, and is remembered; a full disk is not. Where the
 * original itself cannot be run, nothing was learnt about the copy.
 */
function outcomeOf(phase: Phase, error: unknown): Outcome {
  const why = toFailure(error).message;
  const isPackage = (error instanceof AgentError && !error.retryable) || error instanceof SyntaxError;
  return isPackage && phase !== 'canary' ? without(STEP_OF[phase], why) : { kind: 'failed', why };
}

/** Both are best effort. */
function yieldToOthers(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(OOM_SCORE_ADJ));
    setPriority(NICE);
  } catch {
    // A sandbox without /proc, or one that forbids it.
  }
}

function notForPeople(): AgentError {
  return new AgentError('usage', 'The command "prepare" is for the agent itself.', {
    hint: 'Run "expertd start": experts are prepared before their first load.',
  });
}
