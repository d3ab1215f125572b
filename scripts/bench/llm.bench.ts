/**
 * A language model: `npm run bench -- llm [--model FOLDER] [--threads 2] [--rounds 7] [--llama-bench PATH --gguf FILE]...`
 *
 * FOLDER is a plain hub repository with a graph in ONNX. Measured in turns, quiet and beside one busy process:
 * - the agent, over HTTP: prefill and decode as its cell measured them, the first token at the client
 * - the same graph in a bare process, step by step: what expertd adds to it is its overhead
 * - llama.cpp's `llama-bench` with each GGUF, where it is given: the baseline of the speeds
 * Then the memory of agent and cells, and what the tokenizer takes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cellEnvironment } from '../../agent/cells/environment.ts';
import { ensureBundle, ROOT } from '../bundle.mjs';
import type { Bench } from './bench.ts';
import { ggufName, llamaBench, type Speeds } from './llama-bench.ts';
import { LlmAgent, type Streamed } from './llm-agent.ts';
import { besideNeighbour } from './neighbour.ts';
import type { RawOpened, RawOrder } from './raw-llm.ts';
import type { Report } from './report.ts';
import { interleave, median } from './stats.ts';

const SHARED_MODEL = join(ROOT, '..', 'shared', 'models', 'smollm2-135m-instruct');
const ID = 'bench-llm';
const DECODE = 64;
const PROMPTS = [128, 512] as const;
const SETTLE_MS = 3_000;
/** Of the tree with the model in memory: 1.3 times llama-server's 173 MB for a file of 98 MB, by size of the file. */
const GOAL_TREE_MB = 381;

interface Setting {
  readonly agent: LlmAgent;
  readonly raw: RawModel;
  readonly rounds: number;
  readonly llama: readonly {
    readonly name: string;
    readonly path: string;
    readonly gguf: string;
    readonly threads: number;
  }[];
}

/** One round of everything. */
interface Round {
  readonly agent: { readonly prompts: ReadonlyMap<number, Streamed>; readonly decode: Streamed };
  readonly raw: Speeds;
  readonly llama: readonly Speeds[];
}

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string', default: SHARED_MODEL },
      threads: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '7' },
      'llama-bench': { type: 'string' },
      gguf: { type: 'string', multiple: true, default: [] },
    },
  });
  const folder = resolve(values.model);
  if (!existsSync(join(folder, 'config.json')))
    throw new Error(`--model: ${folder} is no folder of a hub repository (config.json is missing)`);
  const path = values['llama-bench'];
  const threads = Number(values.threads);
  const llama =
    path === undefined ? [] : values.gguf.map((gguf) => ({ name: ggufName(gguf), path, gguf, threads }));
  const agent = await LlmAgent.start(await ensureBundle(), { models: { [ID]: folder } });
  try {
    await agent.stream(ID, 'Say hello.', 8);
    const raw = await RawModel.start(agent, threads);
    try {
      const setting = { agent, raw, rounds: Number(values.rounds), llama };
      const quiet = await measure(setting);
      tellSpeeds('quiet', quiet, setting, report);
      tellOverhead(quiet, report);
      // Beside a neighbour llama.cpp is at its best with a thread less: its threads spin.
      const alone = llama.map((one) => ({ ...one, name: `${one.name}_1_thread`, threads: 1 }));
      const busySetting = { ...setting, llama: [...llama, ...alone] };
      const busy = await besideNeighbour(() => measure(busySetting));
      tellSpeeds('neighbour', busy, busySetting, report);
      tellKept(quiet, busy, report);
      report({ metric: 'tokenizer_load', value: raw.opened.tokenizerMs, unit: 'ms' });
      report({ metric: 'tokenizer_memory', value: raw.opened.tokenizerBytes / 1e6, unit: 'MB' });
    } finally {
      raw.stop();
    }
    await tellMemory(agent, report);
  } finally {
    await agent.stop();
  }
};

async function measure(setting: Setting): Promise<readonly Round[]> {
  const { agent, raw, rounds, llama } = setting;
  const [ours, bare, ...theirs] = await interleave<unknown>(rounds, [
    (round) => askAgent(agent, round),
    () => raw.speeds(),
    ...llama.map(
      ({ path, gguf, threads }) =>
        () =>
          llamaBench(path, gguf, { threads, prompts: PROMPTS, decode: DECODE }),
    ),
  ]);
  return (ours ?? []).map((one, at) => ({
    agent: one as Round['agent'],
    raw: bare?.[at] as Speeds,
    llama: theirs.map((speeds) => speeds[at] as Speeds),
  }));
}

async function askAgent(agent: LlmAgent, round: number): Promise<Round['agent']> {
  const prompts = new Map<number, Streamed>();
  for (const tokens of PROMPTS) prompts.set(tokens, await agent.stream(ID, await promptOf(agent, tokens), 1));
  // Asked to count, a small model goes on for long.
  return { prompts, decode: await agent.stream(ID, `Round ${round}. Count from 1 to 1000.`, DECODE) };
}

/** So many words. */
function textOf(words: number): string {
  const said = Array.from({ length: words }, (_, at) => ['tree', 'river', 'stone', 'light'][at % 4]);
  return said.join(' ');
}

/** A prompt of so many tokens, or one less, given what the template and the beginning take. */
async function promptOf(agent: LlmAgent, tokens: number): Promise<string> {
  const { inputTokens } = await agent.stream(ID, textOf(16), 1);
  return textOf(16 + tokens - 1 - inputTokens);
}

/** Tokens a second of the prefill of one answer. */
function prefillOf({ inputTokens, stages }: Streamed): number {
  return inputTokens / ((stages['prefill'] ?? Number.NaN) / 1_000);
}

function tellSpeeds(when: string, rounds: readonly Round[], { llama }: Setting, report: Report): void {
  for (const tokens of PROMPTS) {
    const one = (round: Round): Streamed | undefined => round.agent.prompts.get(tokens);
    const prefill = median(rounds.map((round) => prefillOf(one(round) ?? round.agent.decode)));
    const firstMs = median(rounds.map((round) => one(round)?.firstTokenMs ?? Number.NaN));
    report({ metric: `${when}_prefill_${tokens}`, value: prefill, unit: 'tok/s' });
    report({ metric: `${when}_first_token_${tokens}`, value: firstMs, unit: 'ms' });
    const peers = llama.map((_, at) =>
      median(rounds.map(({ llama: all }) => all[at]?.prefill.get(tokens) ?? Number.NaN)),
    );
    for (const [at, { name }] of llama.entries())
      report({ metric: `${when}_${name}_prefill_${tokens}`, value: peers[at] ?? Number.NaN, unit: 'tok/s' });
    const best = Math.max(...peers);
    if (when === 'quiet' && peers.length > 0)
      report({
        metric: `prefill_${tokens}_over_best_gguf`,
        value: prefill / best,
        unit: 'times',
        goal: { atLeast: 1.5 },
      });
  }
  const decode = median(rounds.map((round) => round.agent.decode.decode));
  report({ metric: `${when}_decode`, value: decode, unit: 'tok/s' });
  for (const [at, { name }] of llama.entries()) {
    const baseline = median(rounds.map(({ llama: all }) => all[at]?.decode ?? Number.NaN));
    const goal = name.includes('q8_0') && when === 'quiet' ? { goal: { atLeast: 1 } } : {};
    report({ metric: `${when}_${name}_decode`, value: baseline, unit: 'tok/s' });
    report({ metric: `${when}_decode_over_${name}`, value: decode / baseline, unit: 'times', ...goal });
  }
}

/** What a token costs at the client beyond the run of the graph in its cell, and beside the graph in a bare process. */
function tellOverhead(rounds: readonly Round[], report: Report): void {
  const percent = rounds.map(({ agent: { decode } }) => {
    const steps = decode.outputTokens - 1;
    const graph = steps / ((decode.stages['decode'] ?? Number.NaN) / 1_000);
    return (graph / decode.decode - 1) * 100;
  });
  report({ metric: 'step_overhead', value: median(percent), unit: '%', goal: { atMost: 5 } });
  const ours = median(rounds.map(({ agent }) => agent.decode.decode));
  const bare = median(rounds.map(({ raw }) => raw.decode));
  report({ metric: 'decode_over_bare_graph', value: ours, unit: 'tok/s', baseline: bare });
  for (const tokens of PROMPTS) {
    const prefill = median(
      rounds.map((round) => prefillOf(round.agent.prompts.get(tokens) ?? round.agent.decode)),
    );
    const baseline = median(rounds.map(({ raw }) => raw.prefill.get(tokens) ?? Number.NaN));
    report({ metric: `prefill_${tokens}_over_bare_graph`, value: prefill, unit: 'tok/s', baseline });
  }
}

function tellKept(quiet: readonly Round[], busy: readonly Round[], report: Report): void {
  const speed = (rounds: readonly Round[]): number => median(rounds.map(({ agent }) => agent.decode.decode));
  const kept = (speed(busy) / speed(quiet)) * 100;
  report({ metric: 'decode_kept_beside_neighbour', value: kept, unit: '%', goal: { atLeast: 60 } });
}

async function tellMemory(agent: LlmAgent, report: Report): Promise<void> {
  // A prompt and an answer that together fit a bucket of 512 tokens.
  await agent.stream(ID, textOf(360), DECODE);
  await sleep(SETTLE_MS);
  report({
    metric: 'tree_pss',
    value: (await agent.pssBytes()) / 2 ** 20,
    unit: 'MiB',
    goal: { atMost: GOAL_TREE_MB },
  });
}

/** The graph in a process of its own, with the environment of a cell. */
class RawModel {
  readonly opened: RawOpened;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, opened: RawOpened) {
    this.#child = child;
    this.opened = opened;
  }

  static async start(agent: LlmAgent, threads: number): Promise<RawModel> {
    const script = join(ROOT, 'scripts', 'bench', 'raw-llm.ts');
    const child = fork(script, [agent.packageFolder(ID), agent.preparedFolder ?? '-', String(threads)], {
      execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc'],
      env: cellEnvironment(process.env),
    });
    const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (typeof first !== 'object') throw new Error(`the raw model ended with ${first}`);
    return new RawModel(child, first as RawOpened);
  }

  async speeds(): Promise<Speeds> {
    const prefill = new Map<number, number>();
    for (const tokens of PROMPTS)
      prefill.set(tokens, tokens / ((await this.#take({ kind: 'prefill', tokens })) / 1_000));
    const ms = await this.#take({ kind: 'decode', tokens: DECODE, after: 48 });
    return { prefill, decode: DECODE / (ms / 1_000) };
  }

  async #take(order: RawOrder): Promise<number> {
    const answer = once(this.#child, 'message');
    this.#child.send(order);
    const [ms] = (await answer) as [number];
    return ms;
  }

  stop(): void {
    this.#child.disconnect();
  }
}
