/** What the tests of generation share: folders that go away, a package opened as a cell opens it, questions. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { Answer, Ask, ChatMessage } from '../../agent/ports.ts';
import { openSession } from '../../agent/runtime/session.ts';
import type { Task, TaskContext, TaskRun } from '../../agent/runtime/task.ts';
import { openGeneration } from '../../agent/runtime/tasks/generation.ts';
import { type TinyLmOptions, writeTinyLm } from '../experts-made/tiny-lm.ts';

export type Chat = Extract<Ask, { kind: 'chat' }>;
export type TextAnswer = Extract<Answer, { kind: 'text' }>;

/** A new folder, gone after the test. */
export function folder(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'expertd-generation-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Package {
  readonly directory: string;
  readonly manifest: Manifest;
}

export function tinyPackage(t: Pick<TestContext, 'after'>, options: Partial<TinyLmOptions> = {}): Package {
  const directory = join(folder(t), 'package');
  return { directory, manifest: writeTinyLm(directory, { id: 'tiny', ...options }) };
}

/** Changes a JSON file of a package. Its digest in the manifest becomes wrong, which tasks do not look at. */
export function editJson(
  { directory }: Package,
  path: string,
  edit: (value: Record<string, unknown>) => void,
): void {
  const value = JSON.parse(readFileSync(join(directory, path), 'utf8'));
  edit(value);
  writeFileSync(join(directory, path), JSON.stringify(value));
}

export function contextOf(files: Package): TaskContext {
  return { ...files, openSession: (path) => openSession(files, path, 1) };
}

/** Opens the package; released after the test. */
export async function openTask(t: Pick<TestContext, 'after'>, files: Package): Promise<Task> {
  const task = await openGeneration(contextOf(files));
  t.after(() => task.release());
  return task;
}

export function chat(content: string | readonly ChatMessage[], options: Partial<Chat> = {}): Chat {
  const messages = typeof content === 'string' ? [{ role: 'user', content } as const] : content;
  const last = messages.at(-1)?.content ?? '';
  return {
    kind: 'chat',
    messages,
    question: last,
    focus: last,
    embedding: null,
    maxTokens: null,
    temperature: null,
    seed: null,
    stop: [],
    ...options,
  };
}

export interface Heard {
  readonly answer: TextAnswer;
  readonly deltas: readonly string[];
  readonly stages: Readonly<Record<string, number>>;
}

/** Asks and listens. `watch` sees every piece and may say that the client has gone. */
export async function ask(task: Task, question: Ask, watch: Partial<TaskRun> = {}): Promise<Heard> {
  const deltas: string[] = [];
  const stages: Record<string, number> = {};
  const answer = await task.run(question, {
    cancelled: watch.cancelled ?? (() => false),
    onDelta: (text) => {
      deltas.push(text);
      watch.onDelta?.(text);
    },
    spent: (stage, ms) => {
      stages[stage] = (stages[stage] ?? 0) + ms;
    },
  });
  if (answer.kind !== 'text') throw new TypeError(`an answer of kind ${answer.kind}`);
  return { answer, deltas, stages };
}
