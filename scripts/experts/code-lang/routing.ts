/**
 * Sends the questions of routing.json through the routers of edge.config.json, over every expert in a folder:
 * `node scripts/experts/code-lang/routing.ts experts` prints which expert each kind of question reaches, and the
 * questions that went elsewhere. Languages play no part here: the agent also leaves out who does not speak one.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import { hashRule, hashWords, perceive, quantize } from '../../../agent/perception.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import type { PolicyNames } from '../../../agent/tuning.ts';
import type { Expert, Features } from '../../../agent/types.ts';
import { splitMessage } from '../../../agent/words.ts';
import { policyOf } from '../../../policies/index.ts';
import { parseManifest } from '../manifest.ts';

export type Embed = (texts: readonly string[]) => Promise<readonly Float32Array[]>;
export interface Routed {
  /** `none` where no expert is sure enough. */
  readonly expert: string;
  readonly router: string;
  readonly score: number;
}

const CONFIG = new URL('../../../edge.config.json', import.meta.url);
const { policies }: { policies: PolicyNames & { minScore: number; tieMargin: number } } = JSON.parse(
  await readFile(CONFIG, 'utf8'),
);
const POLICY = policyOf(policies);
const SETTINGS = { minScore: policies.minScore, tieMargin: policies.tieMargin, isResident: () => false };

/** The experts of a folder as the router knows them, embedders and language models left out. */
export async function readExperts(folder: string, embed: Embed): Promise<readonly Expert[]> {
  const experts: Expert[] = [];
  for (const entry of (await readdir(folder, { withFileTypes: true })).filter((found) =>
    found.isDirectory(),
  )) {
    const directory = join(folder, entry.name);
    const text = await readFile(join(directory, 'expert.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const manifest = parseManifest(text);
    if (!['text-classification', 'retrieval'].includes(manifest.task)) continue;
    experts.push(await asExpert(directory, manifest, embed));
  }
  return experts;
}

async function asExpert(directory: string, manifest: Manifest, embed: Embed): Promise<Expert> {
  const { id, version, task, routing } = manifest;
  const words =
    routing.vocabulary === undefined
      ? []
      : (await readFile(join(directory, routing.vocabulary), 'utf8')).trim().split('\n');
  const vectors = await embed(routing.examples);
  return {
    id,
    version,
    digest: '',
    task,
    lane: 'fast',
    isolation: 'shared',
    memory: { residentBytes: 0, loadBytes: 0, loadMs: 0, measured: false },
    weightBytes: 0,
    cacheBytes: 0,
    marginBytes: 0,
    fallback: null,
    parkable: false,
    needsEmbedding: false,
    assistant: null,
    pinned: false,
    candidateOf: null,
    routing: {
      languages: routing.languages,
      rules: routing.rules.map((rule) => hashRule(rule)),
      vocabulary: hashWords(words),
      prototypes: vectors.map(quantize),
    },
  };
}

/** Where a message goes; by words alone if `embed` is null. */
export async function route(
  message: string,
  experts: readonly Expert[],
  embed: Embed | null,
): Promise<Routed> {
  const { question } = splitMessage(message);
  const [vector] = embed === null ? [] : await embed([question]);
  const features: Features = {
    ...perceive(question),
    embedding: vector === undefined ? null : quantize(vector),
  };
  for (const router of POLICY.routers) {
    const candidates = router.rank({ features, experts, minScore: SETTINGS.minScore });
    const picked = POLICY.combiner(candidates, SETTINGS);
    if (picked !== null) return { expert: picked.expert, router: router.name, score: picked.score };
  }
  return { expert: 'none', router: 'none', score: 0 };
}

async function openEmbedder(folder: string): Promise<{ embed: Embed; release(): Promise<void> }> {
  const { openEmbedding } = await import('../../../agent/runtime/tasks/embedding.ts');
  const { openSession } = await import('../../../agent/runtime/session.ts');
  const directory = join(folder, 'embedder');
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const task = await openEmbedding({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  const embed: Embed = async (texts) => {
    const answer = await task.run({ kind: 'embeddings', texts }, run);
    if (answer.kind !== 'embeddings') throw new Error(`the embedder answered with ${answer.kind}`);
    return answer.vectors;
  };
  return { embed, release: () => task.release() };
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: routing.ts EXPERTS_FOLDER');
  const { embed, release } = await openEmbedder(folder);
  const experts = await readExperts(folder, embed);
  const questions: Record<string, readonly string[]> = JSON.parse(
    await readFile(new URL('routing.json', import.meta.url), 'utf8'),
  );
  for (const [wanted, messages] of Object.entries(questions)) {
    const reached: Record<string, number> = {};
    const elsewhere: unknown[] = [];
    for (const message of messages) {
      const { expert, router, score } = await route(message, experts, embed);
      reached[expert] = (reached[expert] ?? 0) + 1;
      if (expert !== wanted) elsewhere.push([message, expert, router, Number(score.toFixed(2))]);
    }
    process.stdout.write(`${JSON.stringify({ wanted, questions: messages.length, reached, elsewhere })}\n`);
  }
  await release();
}
