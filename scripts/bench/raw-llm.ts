/**
 * The model in a bare process: its graph step by step, the likeliest token each time, and nothing else. What a cell
 * needs beyond that is its overhead. Run by llm.bench.ts: `raw-llm.ts PACKAGE PREPARED|- THREADS`.
 */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { Prepared } from '../../agent/catalog/prepared.ts';
import { openModel } from '../../agent/runtime/generation/decoder.ts';
import { laneSettings } from '../../agent/runtime/main.ts';
import { openSession } from '../../agent/runtime/session.ts';
import { UNPREPARED } from '../../agent/runtime/task.ts';
import { openTokenizer } from '../../agent/runtime/tokenizers/open.ts';

/** Tokens of a prompt in one step, as generating cuts them. */
const PIECE = 128;

export type RawOrder =
  | { readonly kind: 'prefill'; readonly tokens: number }
  /** Steps after a prompt of `after` tokens. */
  | { readonly kind: 'decode'; readonly tokens: number; readonly after: number };

export interface RawOpened {
  readonly tokenizerMs: number;
  readonly tokenizerBytes: number;
}

const [directory, preparedFolder, threads] = process.argv.slice(2);
if (directory === undefined || preparedFolder === undefined || threads === undefined)
  throw new Error('raw-llm.ts PACKAGE PREPARED|- THREADS');
const manifest = JSON.parse(readFileSync(join(directory, 'expert.json'), 'utf8')) as Manifest;
const context = {
  ...UNPREPARED,
  directory,
  manifest,
  prepared: preparedFolder === '-' ? null : readPrepared(preparedFolder),
  threads: Number(threads),
  openSession: (path: string) => openSession({ directory, manifest }, path, Number(threads)),
};

// As the heavy lane: beside others, a lower priority is slower.
setPriority(laneSettings('heavy', 1).nice);
const opened = await measureTokenizer();
const model = await openModel(context);
process.on('message', async (order: RawOrder) => {
  process.send?.(await carryOut(order));
});
process.on('disconnect', () => process.exit());
process.send?.(opened);

async function measureTokenizer(): Promise<RawOpened> {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const startMs = performance.now();
  const tokenizer = await openTokenizer(context);
  tokenizer.encode('The first text.', { addSpecial: false, parseSpecial: true });
  const tokenizerMs = performance.now() - startMs;
  globalThis.gc?.();
  return { tokenizerMs, tokenizerBytes: process.memoryUsage().rss - before };
}

/** Milliseconds that it took. */
async function carryOut(order: RawOrder): Promise<number> {
  const sequence = model.begin();
  try {
    const first = order.kind === 'prefill' ? 0 : await prefill(sequence, order.after);
    const startMs = performance.now();
    if (order.kind === 'prefill') await prefill(sequence, order.tokens);
    else await decode(sequence, order.tokens, first);
    return performance.now() - startMs;
  } finally {
    sequence.release();
  }
}

async function prefill(sequence: ReturnType<typeof model.begin>, tokens: number): Promise<number> {
  // Ordinary tokens of any vocabulary: which ones makes no difference to the time.
  const ids = Array.from({ length: tokens }, (_, at) => 300 + ((at * 37) % 1_000));
  const last = PIECE * (Math.ceil(tokens / PIECE) - 1);
  for (let from = 0; from < last; from += PIECE) await sequence.append(ids.slice(from, from + PIECE));
  return likeliest(await sequence.predict(ids.slice(last)));
}

async function decode(
  sequence: ReturnType<typeof model.begin>,
  tokens: number,
  first: number,
): Promise<void> {
  let next = first;
  for (let step = 0; step < tokens; step++) next = likeliest(await sequence.predict([next]));
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id;
  return best;
}

/** What was prepared, from the names that it has in its folder. */
function readPrepared(folder: string): Prepared {
  const record = JSON.parse(readFileSync(join(folder, 'prepared.json'), 'utf8')) as Pick<
    Prepared,
    'model' | 'tokenizer'
  > & { readonly canary: Pick<Prepared, 'decoder'> | null };
  const { model, tokenizer, canary } = record;
  return { directory: folder, model, tokenizer, decoder: canary?.decoder ?? null };
}
