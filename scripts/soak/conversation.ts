/** One request of a client, streamed, and what became of it. */

export interface Question {
  readonly url: string;
  readonly expert: string;
  readonly text: string;
  readonly maxTokens: number;
  /** It goes on until it has said all that it may: whoever leaves finds it speaking. */
  readonly endless: boolean;
}

/** When the client hangs up: after so many ms whatever has come, or after so many pieces. */
export interface Leaving {
  readonly afterMs?: number;
  readonly afterPieces?: number;
}

export type Outcome =
  | {
      readonly kind: 'answered';
      readonly text: string;
      /** Where the expert was when the request came. */
      readonly residency: string | null;
      readonly degraded: string | null;
      readonly decision: number | null;
      readonly firstMs: number;
      /** Of the prompt, what the expert had kept from earlier ones. */
      readonly cachedTokens: number;
    }
  | { readonly kind: 'left'; readonly residency: string | null }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly decision: number | null;
      /** null: the agent did not ask to come back. */
      readonly retryAfterMs: number | null;
    };

interface Chunk {
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: { readonly prompt_tokens_details?: { readonly cached_tokens?: number } } | null;
  readonly error?: { readonly code?: string; readonly message?: string };
}

/** A client that hears nothing for so long takes it for lost. */
const LOST_MS = 120_000;
/** Of a token that ends an answer, in every generated model. */
const END_TOKEN = '1';

export async function ask(question: Question, leaving: Leaving = {}): Promise<Outcome> {
  const left = new AbortController();
  const lost = AbortSignal.timeout(LOST_MS);
  const timer = leaving.afterMs === undefined ? null : setTimeout(() => left.abort(), leaving.afterMs);
  const startMs = performance.now();
  let response: Response | null = null;
  try {
    response = await post(question, AbortSignal.any([left.signal, lost]));
    if (!response.ok) return await refusal(response);
    return await listen(response, startMs, leaving.afterPieces ?? Number.POSITIVE_INFINITY, left);
  } catch (error) {
    const residency = response?.headers.get('x-expertd-residency') ?? null;
    if (left.signal.aborted) return { kind: 'left', residency };
    const code = lost.aborted ? 'no_answer' : 'broken';
    return {
      kind: 'failed',
      code,
      message: wordsOf(error),
      decision: decisionOf(response),
      retryAfterMs: null,
    };
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

function post({ url, expert, text, maxTokens, endless }: Question, signal: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    signal,
    body: JSON.stringify({
      model: expert,
      messages: [{ role: 'user', content: text }],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      max_tokens: maxTokens,
      ...(endless ? { logit_bias: { [END_TOKEN]: -100 } } : {}),
    }),
  });
}

async function listen(
  response: Response,
  startMs: number,
  mostPieces: number,
  left: AbortController,
): Promise<Outcome> {
  let text = '';
  let pieces = 0;
  let firstMs = Number.NaN;
  let cachedTokens = 0;
  const residency = response.headers.get('x-expertd-residency');
  const decision = decisionOf(response);
  for await (const chunk of chunksOf(response)) {
    if (chunk.error !== undefined) {
      const { code = 'unknown', message = '' } = chunk.error;
      return { kind: 'failed', code, message, decision, retryAfterMs: null };
    }
    cachedTokens = chunk.usage?.prompt_tokens_details?.cached_tokens ?? cachedTokens;
    const piece = chunk.choices?.[0]?.delta.content ?? '';
    if (piece === '') continue;
    if (pieces++ === 0) firstMs = performance.now() - startMs;
    text += piece;
    if (pieces >= mostPieces) {
      left.abort();
      return { kind: 'left', residency };
    }
  }
  const degraded = response.headers.get('x-expertd-degraded');
  return { kind: 'answered', text, residency, degraded, decision, firstMs, cachedTokens };
}

/** Throws where the stream ends before it says that it is complete. */
async function* chunksOf(response: Response): AsyncGenerator<Chunk> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === 'data: [DONE]') return;
      if (line.startsWith('data: ')) yield JSON.parse(line.slice('data: '.length)) as Chunk;
    }
  }
  throw new Error('the stream ended before its end');
}

async function refusal(response: Response): Promise<Outcome> {
  const body = await response.text();
  const after = response.headers.get('retry-after');
  let error: Chunk['error'] = {};
  try {
    error = (JSON.parse(body) as Chunk).error;
  } catch {
    // No JSON: the text is all there is.
  }
  return {
    kind: 'failed',
    code: error?.code ?? `status ${response.status}`,
    message: error?.message ?? body.slice(0, 200),
    decision: decisionOf(response),
    retryAfterMs: after === null ? null : Number(after) * 1_000,
  };
}

function decisionOf(response: Response | null): number | null {
  const id = response?.headers.get('x-expertd-decision') ?? null;
  return id === null ? null : Number(id);
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
