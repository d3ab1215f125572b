/** One question of a chat: asked, waited for while its expert comes, and its answer told piece by piece. */
import { type AgentClient, errorMessage, type LoadingNote, RefusedError } from './client.ts';
import { readEvents } from './events.ts';
import { CliError, EXIT } from './io.ts';

/** What somebody who waits is told. */
export interface Hearer {
  /** Before the first piece. */
  answering(who: Answerer): void;
  piece(text: string): void;
  /** The expert is not there yet; the question is put again in a while. */
  waiting(what: string): void;
}

export interface Answerer {
  /** null: no expert is confident. */
  readonly expert: string | null;
  readonly confidence: number | null;
  /** In what way the answer is less than it could be. */
  readonly degraded: string | null;
  /** What `expertd explain` opens. */
  readonly decision: string | null;
}

export interface Answered extends Answerer {
  readonly text: string;
  /** What the answer was made from, a line each. */
  readonly sources: readonly string[];
  /** False where it broke off because `signal` aborted. */
  readonly isWhole: boolean;
}

export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export interface AskOptions {
  readonly agent: AgentClient;
  readonly hearer: Hearer;
  readonly signal: AbortSignal;
  readonly sleep: Sleep;
}

const WAIT_MS = { least: 500, usual: 2_000, most: 15_000 } as const;
/** An expert that is said to be coming and does not come on for this long is given up. */
const GIVE_UP_MS = 300_000;

/** null where it was given up before anybody answered. Rejects with a CliError. */
export async function askOnce(body: object, options: AskOptions): Promise<Answered | null> {
  const { signal } = options;
  try {
    const response = await untilTaken(body, options);
    return await hear(response, options);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

/** The reply to the question, which is put again while its expert is loaded or fetched. */
async function untilTaken(body: object, { agent, hearer, signal, sleep }: AskOptions): Promise<Response> {
  let told = '';
  let waitedMs = 0;
  for (;;) {
    try {
      return await agent.stream('/v1/chat/completions', body, signal);
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status !== 503 || error.loading === null) throw error;
      const what = describe(error.loading);
      waitedMs = what === told ? waitedMs : 0;
      told = what;
      if (waitedMs >= GIVE_UP_MS) throw error;
      hearer.waiting(what);
      const waitMs = Math.min(Math.max(error.retryAfterMs ?? WAIT_MS.usual, WAIT_MS.least), WAIT_MS.most);
      waitedMs += waitMs;
      await sleep(waitMs, signal);
    }
  }
}

function describe({ state, progress }: LoadingNote): string {
  const doing =
    state === 'fetching' ? 'is being fetched' : state === 'loading' ? 'is being loaded' : 'waits for room';
  return `the expert ${doing}${progress === null ? '' : ` (${Math.round(progress * 100)} %)`}`;
}

async function hear(response: Response, { hearer, signal }: AskOptions): Promise<Answered> {
  let who = answererIn(response.headers);
  let sources: readonly string[] = [];
  let text = '';
  let isWhole = false;
  try {
    for await (const { event, data } of readEvents(response)) {
      if (data === '[DONE]') {
        isWhole = true;
        break;
      }
      const chunk = parseChunk(event, data);
      who = { ...who, expert: who.expert ?? expertOf(chunk) };
      const piece = textOf(chunk);
      if (piece !== '' && text === '') hearer.answering(who);
      if (piece !== '') hearer.piece(piece);
      text += piece;
      sources = sourcesOf(chunk) ?? sources;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!isWhole && !signal.aborted)
    throw new CliError(EXIT.failed, 'the answer broke off', 'The log of the agent says more.');
  return { ...who, text, sources, isWhole };
}

function answererIn(headers: Headers): Answerer {
  const confidence = Number(headers.get('x-expertd-confidence') ?? Number.NaN);
  return {
    expert: headers.get('x-expertd-expert'),
    confidence: Number.isFinite(confidence) ? confidence : null,
    degraded: headers.get('x-expertd-degraded'),
    decision: headers.get('x-expertd-decision'),
  };
}

type Json = Readonly<Record<string, unknown>>;

/** Throws what the agent says of a failure in the middle of an answer. */
function parseChunk(event: string, data: string): Json {
  const failure = errorMessage(data);
  if (event === 'error' || failure !== null)
    throw new CliError(EXIT.failed, failure ?? 'the answer broke off');
  try {
    return object(JSON.parse(data));
  } catch {
    throw new CliError(EXIT.failed, 'what answers is not an expertd agent: it streams no JSON');
  }
}

function textOf({ choices }: Json): string {
  const [choice] = Array.isArray(choices) ? (choices as unknown[]) : [];
  const { content } = object(object(choice)['delta']);
  return typeof content === 'string' ? content : '';
}

/** The model that a chunk names; `auto` is nobody. */
function expertOf({ model }: Json): string | null {
  return typeof model === 'string' && model !== 'auto' ? model : null;
}

/** Title and origin of each source, each once; null where the chunk tells none. */
function sourcesOf({ expertd }: Json): readonly string[] | null {
  const { sources } = object(expertd);
  if (!Array.isArray(sources)) return null;
  const lines = sources.map((one: unknown) => {
    if (typeof one === 'string') return one;
    const { title, source } = object(one);
    return [title, source].filter((part) => typeof part === 'string' && part !== '').join(', ');
  });
  return [...new Set(lines.filter((line) => line !== ''))];
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
