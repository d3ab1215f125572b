/**
 * Every failure a client can see: one table from failure codes to statuses, and one shape of body, which is OpenAI's
 * `{"error": {message, type, param, code}}` with what is ours beside it.
 */
import { AgentError, toFailure } from '../errors.ts';
import type { Refusal } from '../service.ts';
import type { Failure, Loading } from '../types.ts';

/** Code -> HTTP status. A code that is not listed is a bug and answers 500. */
export const STATUSES: Readonly<Record<string, number>> = {
  // What the core and the catalog refuse.
  bad_config: 500,
  queue_full: 429,
  loading: 503,
  fetching: 503,
  fetch_failed: 503,
  disk_full: 503,
  pressure: 503,
  no_room: 503,
  all_pinned: 409,
  too_large: 413,
  quarantined: 503,
  model_not_found: 404,
  wrong_task: 400,
  context_overflow: 400,
  bad_input: 400,
  load_failed: 500,
  bad_expert: 500,
  run_failed: 500,
  bad_logits: 500,
  cell_exited: 500,
  deadline: 504,
  shutting_down: 503,
  // Nobody reads them; the number is nginx's for a client that closed its request.
  hung_up: 499,
  cancelled: 499,
  internal: 500,
  // What the HTTP server refuses before the core hears of it.
  bad_json: 400,
  bad_request: 400,
  unsupported_field: 400,
  unknown_field: 400,
  unauthorized: 401,
  forbidden_host: 403,
  forbidden_origin: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_supported: 501,
  not_representable: 406,
  body_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  not_ready: 503,
  too_many_streams: 503,
};

/** Codes of fastify's own errors in our words; `limit` is the configured size of a body. */
const FASTIFY: Readonly<Record<string, (limit: number) => Pick<Failure, 'code' | 'message' | 'hint'>>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: () => ({
    code: 'bad_json',
    message: 'the body is not JSON',
    hint: 'Send one JSON object; "__proto__" and "constructor" are not taken as keys.',
  }),
  FST_ERR_CTP_BODY_TOO_LARGE: (limit) => bodyTooLarge(limit).toFailure(),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => unsupportedMediaType().toFailure(),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => ({
    code: 'bad_request',
    message: 'the body is not as long as its content-length says',
    hint: null,
  }),
  FST_ERR_BAD_URL: () => ({
    code: 'bad_request',
    message: 'the path is not a valid URL',
    hint: 'Write a percent sign as %25.',
  }),
  FST_ERR_MAX_PARAM_LENGTH: () => ({
    code: 'uri_too_long',
    message: 'a part of the path is too long',
    hint: null,
  }),
};

export function bodyTooLarge(limitBytes: number): AgentError {
  return new AgentError('body_too_large', `the body is larger than ${limitBytes} bytes`, {
    hint: 'Send less, or raise http.maxBodyBytes.',
  });
}

export function unsupportedMediaType(): AgentError {
  return new AgentError('unsupported_media_type', 'the body has a content type that is not understood', {
    hint: 'Send JSON with the header "content-type: application/json".',
  });
}

/** A bad request whose fault lies in one field. */
export class FieldError extends AgentError {
  /** Path of the field as a client writes it: `messages[0].content`; empty for the body as a whole. */
  readonly param: string;

  constructor(code: string, param: string, message: string, hint?: string) {
    super(code, message, hint === undefined ? {} : { hint });
    this.param = param;
  }
}

/** A refusal of the core whose cause is one field of the request. */
export interface FieldRefusal extends Refusal {
  readonly param: string;
}

/** What is known of an error beyond its failure. */
export interface Problem {
  readonly failure: Failure;
  readonly status: number;
  readonly param: string | null;
  readonly decision: number | null;
  readonly retryAfterMs: number | null;
  readonly loading: Loading | null;
  /** It is ours, not the client's: to be logged. */
  readonly unexpected: boolean;
}

/** Turns whatever was thrown into a problem. `limitBytes` is the largest body. */
export function problemOf(error: unknown, limitBytes: number): Problem {
  const refusal = isRefusal(error) ? error : null;
  const failure = refusal?.failure ?? failureOf(error, limitBytes);
  return {
    failure,
    status: STATUSES[failure.code] ?? 500,
    param: paramOf(error, failure),
    decision: refusal?.decision ?? null,
    retryAfterMs: refusal?.retryAfterMs ?? null,
    loading: refusal?.loading ?? null,
    unexpected: failure.code === 'internal' || STATUSES[failure.code] === undefined,
  };
}

/** The body of a failed reply in the dialect of the API that was called: that of `/v2`, of `/api`, or OpenAI's. */
export function errorBodyAt(url: string, problem: Problem): object {
  if (/^\/api(?![^/?])/.test(url)) return ollamaBodyOf(problem);
  return /^\/v2(?![^/?])/.test(url) ? { error: sentence(problem.failure) } : bodyOf(problem);
}

/** Siblings of `error` in the body: `loading`, the numbers of a 413, ... */
export type Extras = Readonly<Record<string, unknown>>;

export function bodyOf(problem: Problem, extras: Extras = {}): object {
  const { failure, status, param, decision, loading } = problem;
  return {
    error: { message: sentence(failure), type: typeOf(status), param, code: codeOf(failure) },
    ...(decision === null ? {} : { decision }),
    ...(loading === null ? {} : { loading: loadingBody(loading) }),
    ...extras,
  };
}

/** Programs look for OpenAI's own word, to send less and try again. */
function codeOf({ code }: Failure): string {
  return code === 'context_overflow' ? 'context_length_exceeded' : code;
}

function loadingBody({ state, progress, etaSeconds }: Loading): object {
  return { state, progress, eta_seconds: etaSeconds };
}

/** In Ollama's words `error` is a sentence; what is ours stands beside it. */
export function ollamaBodyOf(problem: Problem): object {
  const { failure, decision, loading } = problem;
  const { message, hint, code } = failure;
  return {
    error: hint === null ? message : `${message.replace(/\.$/, '')}. ${hint}`,
    code,
    ...(decision === null ? {} : { decision }),
    ...(loading === null ? {} : { loading: loadingBody(loading) }),
  };
}

/** Headers of a failed reply. `x-should-retry` is what OpenAI's clients ask before they look at the status. */
export function headersOf(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = { 'x-should-retry': String(problem.failure.retryable) };
  const waits = problem.status === 503 || problem.status === 429;
  if (problem.retryAfterMs !== null || (waits && problem.failure.retryable)) {
    headers['retry-after'] = String(Math.max(1, Math.ceil((problem.retryAfterMs ?? 1_000) / 1_000)));
  }
  if (problem.decision !== null) headers['x-expertd-decision'] = String(problem.decision);
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  return headers;
}

/** Message and hint as the one text that clients show. The name of a field at its beginning stays as it is. */
export function sentence(failure: Failure): string {
  const isName = /^\w*_/.test(failure.message);
  const first = failure.message.charAt(0);
  const message = (isName ? first : first.toUpperCase()) + failure.message.slice(1);
  const closed = /[.!?]$/.test(message) ? message : `${message}.`;
  return failure.hint === null ? closed : `${closed} ${failure.hint}`;
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

function paramOf(error: unknown, failure: Failure): string | null {
  if (error instanceof FieldError) return error.param === '' ? null : error.param;
  if (isRefusal(error) && 'param' in error) return String(error.param);
  return failure.code === 'model_not_found' ? 'model' : null;
}

function isRefusal(error: unknown): error is Refusal {
  return typeof error === 'object' && error !== null && 'failure' in error && 'retryAfterMs' in error;
}

function failureOf(error: unknown, limitBytes: number): Failure {
  if (error instanceof AgentError) return error.toFailure();
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = FASTIFY[code];
  if (known !== undefined) return { ...known(limitBytes), retryable: false };
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status >= 400 && status < 500) return { ...toFailure(error), code: 'bad_request' };
  // The text of an unforeseen error is for the log: it may hold what was asked.
  const message = 'expertd met an error of its own';
  return { code: 'internal', message, hint: 'Its log says more.', retryable: false };
}
