/**
 * The whole starter set under small budgets: `npm run bench -- starter [--budgets 145,200,300,500] [--rounds 12]`.
 *
 * Every expert is asked its golden inputs by name, over HTTP, in a shuffled order that is the same in every run; the
 * answers are compared with the golden outputs. Counts what was wrong, refused and evicted, the latency at the client,
 * and for each expert its p50, p99 and the bytes that the agent has measured for it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBundle, ROOT } from '../bundle.mjs';
import { launchArguments } from '../launch.mjs';
import { StartedAgent } from '../started-agent.ts';
import type { Bench } from './bench.ts';
import type { Report } from './report.ts';
import { median, quantile } from './stats.ts';

interface Golden {
  readonly expert: string;
  readonly task: string;
  readonly input: string;
  readonly output: unknown;
}

interface Asked {
  readonly expert: string;
  readonly ms: number;
  readonly verdict: 'right' | 'wrong' | 'refused';
}

interface ExpertRow {
  readonly id: string;
  readonly memory: { readonly residentBytes: number; readonly measured: boolean } | null;
}

const MB = 1e6;

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      budgets: { type: 'string', default: '145,200,300,500' },
      rounds: { type: 'string', default: '12' },
    },
  });
  const bundle = await ensureBundle();
  const golden = readGolden(join(ROOT, 'experts'));
  const budgets = values.budgets.split(',').map(Number);
  for (const [index, budgetMb] of budgets.entries()) {
    const env = { ...process.env, EXPERTD_MEMORY_BUDGET: `${budgetMb}MB` };
    const agent = await StartedAgent.start(process.execPath, launchArguments(ROOT, bundle, []), env);
    try {
      const asked = await askAll(agent.url, golden, Number(values.rounds));
      await tell(`budget_${budgetMb}MB`, agent.url, asked, report);
      if (index === budgets.length - 1) await tellExperts(agent.url, asked, report);
    } finally {
      await agent.stop();
    }
  }
};

function readGolden(folder: string): Golden[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const manifest = JSON.parse(readFileSync(join(folder, name, 'expert.json'), 'utf8')) as {
        id: string;
        task: string;
        golden: { input: string; output: unknown }[];
      };
      return manifest.golden.map((one) => ({ expert: manifest.id, task: manifest.task, ...one }));
    });
}

async function askAll(url: string, golden: readonly Golden[], rounds: number): Promise<Asked[]> {
  const asked: Asked[] = [];
  const next = shuffler(1);
  for (let round = 0; round < rounds; round++) {
    for (const one of next(golden)) {
      const sinceMs = performance.now();
      const verdict = await ask(url, one);
      asked.push({ expert: one.expert, ms: performance.now() - sinceMs, verdict });
    }
  }
  return asked;
}

async function ask(url: string, golden: Golden): Promise<Asked['verdict']> {
  const embeds = golden.task === 'feature-extraction';
  const body = embeds ? { model: golden.expert, input: golden.input } : chatOf(golden);
  const response = await fetch(`${url}/v1/${embeds ? 'embeddings' : 'chat/completions'}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== 200) return 'refused';
  if (isRight(golden, JSON.parse(text))) return 'right';
  process.stderr.write(`${golden.expert} is wrong about ${JSON.stringify(golden.input.slice(0, 80))}\n`);
  return 'wrong';
}

/** A fenced block is what an expert of texts answers about; a glossary is asked the question itself. */
function chatOf({ expert, task, input }: Golden) {
  const content = task === 'retrieval' ? input : `\`\`\`\n${input}\n\`\`\``;
  return { model: expert, messages: [{ role: 'user', content }], response_format: { type: 'json_object' } };
}

function isRight({ task, output }: Golden, reply: unknown): boolean {
  if (task === 'feature-extraction') {
    const { data } = reply as { data: { embedding: number[] }[] };
    const { first, tolerance } = output as { first: number[]; tolerance: number };
    return first.every((value, at) => Math.abs(value - (data[0]?.embedding[at] ?? Number.NaN)) <= tolerance);
  }
  const { choices } = reply as { choices: { message: { content: string } }[] };
  const answer = JSON.parse(choices[0]?.message.content ?? '{}') as Record<string, unknown>;
  if (task === 'retrieval') {
    const [best] = (answer['passages'] ?? []) as { title: string }[];
    return best?.title === (output as { title: string }).title;
  }
  if (task === 'text-classification') return answer['label'] === (output as { label: string }).label;
  return answer['text'] === output;
}

async function tell(name: string, url: string, asked: readonly Asked[], report: Report): Promise<void> {
  const state = (await (await fetch(`${url}/expertd/v1/state`)).json()) as {
    measuredBytes: number | null;
    counts?: { loads: number; evictions: number };
  };
  const count = (verdict: Asked['verdict']) => asked.filter((one) => one.verdict === verdict).length;
  const ms = asked.map((one) => one.ms);
  report({ metric: `${name}_wrong`, value: count('wrong'), unit: 'answers', goal: { atMost: 0 } });
  report({ metric: `${name}_refused`, value: count('refused'), unit: 'answers', goal: { atMost: 0 } });
  report({ metric: `${name}_answered`, value: asked.length, unit: 'answers' });
  report({ metric: `${name}_loads`, value: state.counts?.loads ?? Number.NaN, unit: 'loads' });
  report({ metric: `${name}_evictions`, value: state.counts?.evictions ?? Number.NaN, unit: 'evictions' });
  report({ metric: `${name}_p50`, value: median(ms), unit: 'ms' });
  report({ metric: `${name}_p99`, value: quantile(ms, 0.99), unit: 'ms' });
  report({ metric: `${name}_measured`, value: (state.measuredBytes ?? Number.NaN) / MB, unit: 'MB' });
}

async function tellExperts(url: string, asked: readonly Asked[], report: Report): Promise<void> {
  const { experts } = (await (await fetch(`${url}/expertd/v1/experts`)).json()) as { experts: ExpertRow[] };
  for (const { id, memory } of experts) {
    const ms = asked.filter((one) => one.expert === id).map((one) => one.ms);
    if (ms.length === 0) continue;
    report({ metric: `${id}_p50`, value: median(ms), unit: 'ms' });
    report({ metric: `${id}_p99`, value: quantile(ms, 0.99), unit: 'ms' });
    if (memory?.measured === true)
      report({ metric: `${id}_memory`, value: memory.residentBytes / MB, unit: 'MB' });
  }
}

/** Shuffles (Fisher and Yates) by a generator of its own (mulberry32), so that every run asks in the same order. */
function shuffler(seed: number): <T>(values: readonly T[]) => T[] {
  let state = seed;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return (values) => {
    const result = [...values];
    for (let last = result.length - 1; last > 0; last--) {
      const at = Math.floor(random() * (last + 1));
      const [a, b] = [result[last], result[at]];
      if (a !== undefined && b !== undefined) [result[last], result[at]] = [b, a];
    }
    return result;
  };
}
