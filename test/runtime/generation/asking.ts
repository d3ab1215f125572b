/** What the tests of generation share: folders that go away, a package opened as a cell opens it, questions. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import { AS_MADE, type Generation, type Piece } from '../../../agent/generation.ts';
import type { Answer, Ask, ChatMessage } from '../../../agent/ports.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import { type Task, type TaskContext, type TaskRun, UNPREPARED } from '../../../agent/runtime/task.ts';
import { openGeneration } from '../../../agent/runtime/tasks/generation.ts';
import { type TinyLmOptions, writeTinyLm } from '../../experts-made/tiny-lm.ts';

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
  return { ...files, ...UNPREPARED, openSession: (path) => openSession(files, path, 1) };
}

/** Opens the package; released after the test. */
export async function openTask(
  t: Pick<TestContext, 'after'>,
  files: Package,
  context: Partial<TaskContext> = {},
): Promise<Task> {
  const task = await openGeneration({ ...contextOf(files), ...context });
  t.after(() => task.release());
  return task;
}

export function chat(
  content: string | readonly ChatMessage[],
  generation: Partial<Generation> = {},
  rest: Partial<Chat> = {},
): Chat {
  const messages = typeof content === 'string' ? [{ role: 'user', content } as const] : content;
  const last = messages.at(-1)?.content ?? '';
  return {
    kind: 'chat',
    messages,
    question: last,
    focus: last,
    embedding: null,
    raw: null,
    generation: { ...AS_MADE, ...generation },
    ...rest,
  };
}

/** A text to go on with, past the template. */
export function raw(text: string, generation: Partial<Generation> = {}): Chat {
  return chat([], generation, { raw: text });
}

export interface Heard {
  readonly answer: TextAnswer;
  readonly pieces: readonly Piece[];
  /** The texts of the pieces. */
  readonly deltas: readonly string[];
  readonly stages: Readonly<Record<string, number>>;
}

/** Asks and listens. `watch` sees every piece and may say that the client has gone. */
export async function ask(task: Task, question: Ask, watch: Partial<TaskRun> = {}): Promise<Heard> {
  const pieces: Piece[] = [];
  const stages: Record<string, number> = {};
  const answer = await task.run(question, {
    cancelled: watch.cancelled ?? (() => false),
    onDelta: (piece) => {
      pieces.push(piece);
      watch.onDelta?.(piece);
    },
    spent: (stage, ms) => {
      stages[stage] = (stages[stage] ?? 0) + ms;
    },
  });
  if (answer.kind !== 'text') throw new TypeError(`an answer of kind ${answer.kind}`);
  return { answer, pieces, deltas: pieces.map(({ text }) => text), stages };
}
