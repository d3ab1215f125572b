/**
 * `token-classification` over characters: a text -> the same text with the letters that it should have. The graph
 * gives each character logits of classes; a class is an accent (see rewriting-alphabet.ts). What is rewritten is the
 * ask's `focus`.
 *
 * A text of any length is read in windows that overlap, so that each character is judged with what stands around it;
 * memory grows by a few bytes a character. Nothing but accents is ever added, nothing is taken away: without accents,
 * answer and text are equal, character by character, once the text is in NFC.
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask } from '../../ports.ts';
import { badExpert, finite, floats, openChecked, readListed, wrongTask } from '../graph.ts';
import type { OpenTask, Task, TaskContext, TaskRun } from '../task.ts';
import { Alphabet, Letters } from './rewriting-alphabet.ts';
import { isMissing, leftOutShare } from './rewriting-evidence.ts';
import { findPlaces } from './rewriting-places.ts';

const INPUT = 'characters';
const OUTPUT = 'logits';

interface Windows {
  /** Characters of one run, at most. */
  readonly size: number;
  /** Characters at either edge of a run that are read and not judged, but at the ends of the text. */
  readonly overlap: number;
}

/** What the model makes of the open letters of a text, in order. */
interface Verdicts {
  /** The likeliest accent of each. */
  readonly classes: Uint8Array;
  /** Log odds of that accent against none. */
  readonly margins: Float32Array;
}

/** Rejects with `bad_expert` where package and graph do not match. */
export const openRewriting: OpenTask = async (context) => {
  const { manifest } = context;
  const windows = windowsOf(manifest);
  const { alphabet, letters } = await readCharacters(context);
  const session = await openChecked(context);
  const task = new RewritingTask({ manifest, windows, alphabet, letters, session });
  try {
    await task.probe();
  } catch (error) {
    await session.release();
    throw error;
  }
  return task;
};

interface Parts {
  readonly manifest: Manifest;
  readonly windows: Windows;
  readonly alphabet: Alphabet;
  readonly letters: Letters;
  readonly session: InferenceSession;
}

class RewritingTask implements Task {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Runs once on the highest number. Rejects with `bad_expert` if graph, alphabet and labels do not fit together. */
  async probe(): Promise<void> {
    const { manifest, alphabet, letters } = this.#parts;
    try {
      const logits = await this.#logits(Uint8Array.of(alphabet.size - 1, 0));
      if (logits.length === 2 * letters.classes) return;
      throw badExpert(manifest, `${letters.classes} labels for ${logits.length / 2} outputs a character`);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw badExpert(manifest, `its first run failed: ${reason}`);
    }
  }

  /** `maxTokens` and `stop` of the ask are for generation: half a text with accents is of no use. */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    const { manifest, alphabet, letters } = this.#parts;
    if (ask.kind !== 'chat') throw wrongTask(manifest, 'a request for embeddings');
    const startMs = performance.now();
    const text = ask.focus.normalize('NFC');
    const ids = alphabet.encode(text);
    const { open, kept } = findPlaces(text, letters);
    const readMs = performance.now();
    run.spent('tokenize', readMs - startMs);
    const verdicts = await this.#judge(text, ids, open, run);
    const rewritten = rewrite(text, open, verdicts, kept, letters);
    run.spent('run', performance.now() - readMs);
    const tokens = text.length;
    return {
      kind: 'text',
      text: rewritten,
      finish: 'stop',
      inputTokens: tokens,
      outputTokens: tokens,
      cachedTokens: 0,
      tokens: [],
    };
  }

  async release(): Promise<void> {
    await this.#parts.session.release();
  }

  async #judge(text: string, ids: Uint8Array, open: readonly number[], run: TaskRun): Promise<Verdicts> {
    const { letters, windows } = this.#parts;
    const verdicts = { classes: new Uint8Array(open.length), margins: new Float32Array(open.length) };
    let next = 0;
    while (next < open.length) {
      if (run.cancelled()) throw new AgentError('cancelled', 'The request was cancelled.');
      const { from, to, judgedTo } = windowFor(open[next] ?? 0, ids.length, windows);
      const logits = await this.#logits(ids.subarray(from, to));
      for (let at = open[next]; at !== undefined && at < judgedTo; at = open[next]) {
        const row = logits.subarray((at - from) * letters.classes, (at - from + 1) * letters.classes);
        const { accent, margin } = likeliest(row, text.charAt(at), letters);
        verdicts.classes[next] = accent;
        verdicts.margins[next] = margin;
        next += 1;
      }
    }
    return verdicts;
  }

  /** float32[characters, classes], row by row. */
  async #logits(ids: Uint8Array): Promise<Float32Array> {
    const feeds = { [INPUT]: new Tensor('int32', Int32Array.from(ids), [1, ids.length]) };
    return finite(floats(await this.#parts.session.run(feeds, [OUTPUT]), OUTPUT), OUTPUT);
  }
}

/** The window whose first judged letter is `first`; letters before `judgedTo` have enough text behind them. */
function windowFor(first: number, length: number, { size, overlap }: Windows) {
  const from = Math.max(0, first - overlap);
  const to = Math.min(length, from + size);
  return { from, to, judgedTo: to === length ? length : to - overlap };
}

/** The likeliest accent that the letter can carry, and its log odds against none. */
function likeliest(
  logits: Float32Array,
  letter: string,
  letters: Letters,
): { accent: number; margin: number } {
  let [accent, highest] = [0, Number.NEGATIVE_INFINITY];
  for (let at = 1; at < logits.length; at += 1) {
    const logit = logits[at] ?? Number.NEGATIVE_INFINITY;
    if (logit <= highest || letters.made(letter, at) === undefined) continue;
    [accent, highest] = [at, logit];
  }
  return { accent, margin: highest - (logits[0] ?? 0) };
}

function rewrite(
  text: string,
  open: readonly number[],
  { classes, margins }: Verdicts,
  kept: number,
  letters: Letters,
): string {
  const share = leftOutShare(margins, kept);
  const pieces: string[] = [];
  let done = 0;
  for (const [index, at] of open.entries()) {
    if (!isMissing(margins[index] ?? 0, share)) continue;
    const letter = text.charAt(at);
    pieces.push(text.slice(done, at), letters.made(letter, classes[index] ?? 0) ?? letter);
    done = at + 1;
  }
  return pieces.join('') + text.slice(done);
}

function windowsOf(manifest: Manifest): Windows {
  const { tokenizer } = manifest;
  if (tokenizer?.kind !== 'characters')
    throw badExpert(manifest, 'this task needs a tokenizer of kind "characters"');
  const { maxTokens, overlap } = tokenizer;
  if (maxTokens <= 2 * overlap)
    throw badExpert(manifest, `windows of ${maxTokens} with an overlap of ${overlap} judge nothing`);
  for (const [side, name] of [
    ['inputs', INPUT],
    ['outputs', OUTPUT],
  ] as const) {
    if (!Object.hasOwn(manifest.model[side], name))
      throw badExpert(manifest, `this task needs "${name}" among the ${side}`);
  }
  return { size: maxTokens, overlap };
}

async function readCharacters(context: TaskContext): Promise<{ alphabet: Alphabet; letters: Letters }> {
  const { manifest } = context;
  if (manifest.tokenizer?.kind !== 'characters' || manifest.labels === undefined)
    throw badExpert(manifest, 'this task needs a tokenizer of kind "characters" and "labels"');
  try {
    return {
      alphabet: new Alphabet(await readListed(context, manifest.tokenizer.path)),
      letters: new Letters(await readListed(context, manifest.labels)),
    };
  } catch (cause) {
    if (cause instanceof AgentError && cause.code === 'bad_alphabet')
      throw badExpert(manifest, cause.message);
    throw cause;
  }
}
