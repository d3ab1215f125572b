/** A task that does what the question says, so that a test can bring a real process into any situation. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import type { InferenceSession } from 'onnxruntime-node';
import { encodeFrame } from '../../agent/cells/channel.ts';
import { CHANNEL_FD } from '../../agent/cells/protocol.ts';
import { AgentError } from '../../agent/errors.ts';
import type { Piece } from '../../agent/generation.ts';
import type { Answer, Ask } from '../../agent/ports.ts';
import type { OpenTask, Task, TaskRun } from '../../agent/runtime/task.ts';

/** What `summary` of the manifest makes of the load. */
export type LoadScript = 'plain' | 'refuses' | 'throws' | 'session' | 'blocks';

export const openScripted: OpenTask = async ({ manifest, directory, openSession }) => {
  switch (manifest.summary as LoadScript) {
    case 'plain':
      return new ScriptedTask(null);
    case 'session':
      return new ScriptedTask(await openSession(manifest.model.path));
    case 'refuses':
      throw new AgentError('bad_expert', 'this expert is meant to be bad', { hint: 'Leave it.' });
    case 'throws':
      throw new Error(`cannot read ${directory}/onnx/model.onnx`);
    case 'blocks':
      return block();
  }
};

class ScriptedTask implements Task {
  readonly #session: InferenceSession | null;

  constructor(session: InferenceSession | null) {
    this.#session = session;
  }

  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    run.spent('run', 0.5);
    if (ask.kind === 'embeddings') return embed(ask.texts);
    if (ask.kind === 'tensors') return { kind: 'tensors', outputs: ask.inputs, inputTokens: 0 };
    const [verb = '', ...rest] = ask.question.split(' ');
    return await act(verb, rest.join(' '), run);
  }

  async release(): Promise<void> {
    await this.#session?.release();
  }
}

async function act(verb: string, rest: string, run: TaskRun): Promise<Answer> {
  switch (verb) {
    case 'say':
      return text(rest);
    case 'spell':
      for (const letter of rest) run.onDelta(piece(letter));
      return text(rest);
    case 'endless':
      return await countUntilCancelled(run);
    case 'throw':
      throw new Error(rest);
    case 'refuse':
      throw new AgentError('wrong_task', rest, { hint: 'Ask another.' });
    case 'block':
      run.onDelta(piece('blocking'));
      return block();
    case 'hold':
      // Open until the process ends, which is how a test sees that it did.
      openSync(rest, 'w');
      return text('held');
    case 'eat':
      return text(`ate ${eat(Number(rest))}`);
    case 'exit':
      return process.exit(Number(rest));
    case 'abort':
      return process.abort();
    case 'print':
      process.stderr.write(`${rest}\n`);
      return text('printed');
    case 'noise':
      writeSync(CHANNEL_FD, Buffer.from(rest, 'hex'));
      return await countUntilCancelled(run);
    case 'forge':
      writeSync(CHANNEL_FD, encodeFrame(JSON.parse(rest)));
      return await countUntilCancelled(run);
    case 'status':
      return text(readFileSync(`/proc/self/${rest}`, 'utf8'));
    case 'nan':
      return { kind: 'labels', labels: [{ label: 'x', score: Number.NaN }], inputTokens: 1 };
    default:
      throw new Error(`no such verb: ${verb}`);
  }
}

/** Yields between steps, as generation does. */
async function countUntilCancelled(run: TaskRun): Promise<Answer> {
  for (let step = 0; !run.cancelled(); step++) {
    if (step === 0) run.onDelta(piece('first'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ...text('first'), finish: 'cancelled' };
}

/** Stops the thread for good without using the processor, as a run inside the native library would. */
function block(): never {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error('unreachable');
}

function piece(words: string): Piece {
  return { text: words, tokens: [] };
}

/** Takes so many megabytes and touches them all. */
function eat(megabytes: number): number {
  const eaten: Buffer[] = [];
  for (let left = megabytes; left > 0; left--) eaten.push(Buffer.alloc(1_048_576, 1));
  return eaten.length;
}

function text(words: string): Extract<Answer, { kind: 'text' }> {
  const counts = { inputTokens: 1, outputTokens: 1, cachedTokens: 0 };
  return { kind: 'text', text: words, finish: 'stop', ...counts, tokens: [] };
}

function embed(texts: readonly string[]): Answer {
  const vectors = texts.map((one) =>
    new Float32Array(384).fill(1 / Math.sqrt(384)).fill(0, 0, one.length % 2),
  );
  return { kind: 'embeddings', vectors, inputTokens: texts.length };
}
