/** Starts a program as a user would, asks it one question over HTTP, and stops it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartedAgent } from '../started-agent.ts';

export interface SmokeResult {
  readonly readyMs: number;
  readonly answerMs: number;
  readonly answer: string;
}

const ANSWER_MS = 60_000;

/** Throws if the program does not start, answer with something, or end well. */
export async function smokeTest(file: string, question: string): Promise<SmokeResult> {
  const cache = mkdtempSync(join(tmpdir(), 'expertd-smoke-'));
  try {
    // A cache folder of its own: this is also a first start.
    const agent = await StartedAgent.start(file, [], { ...process.env, CACHE_DIRECTORY: cache });
    try {
      const sinceMs = performance.now();
      const answer = await ask(agent.url, question);
      return { readyMs: agent.readyMs, answerMs: performance.now() - sinceMs, answer };
    } finally {
      await agent.stop();
    }
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

async function ask(url: string, question: string): Promise<string> {
  const response = await fetch(new URL('/v1/chat/completions', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: question }] }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`it answered ${response.status}: ${text.slice(0, 500)}`);
  const body = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] };
  const content = body.choices?.[0]?.message?.content;
  if (typeof content !== 'string' || content === '') throw new Error(`no answer in ${text.slice(0, 500)}`);
  if (response.headers.get('x-expertd-abstained') === 'true') throw new Error(`it abstained: ${content}`);
  return content;
}
