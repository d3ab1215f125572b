/**
 * Reads what a cell sends. A cell runs native code on files from elsewhere, so nothing of it is taken on trust: a
 * message is copied field by field into a new value, and anything that is missing, of another type or beyond a bound
 * throws AgentError `malformed`, which ends the cell.
 */
import { AgentError } from '../errors.ts';
import type { LoadReport } from '../events.ts';
import type { Piece, SaidToken, TokenChance } from '../generation.ts';
import type { Answer, Cached, Label, NamedTensor, Passage, RunReport, Unloaded } from '../ports.ts';
import { elementCount, fitsType, isElementType } from '../tensors.ts';
import type { Failure } from '../types.ts';
import type { FromCell } from './protocol.ts';

const MAX_TEXT = 4 * 1024 * 1024;
const MAX_NAME = 1_000;
const MAX_ITEMS = 100_000;
const MAX_STAGES = 32;
const MAX_DIMENSIONS = 65_536;
/** What the impossible is given. */
const LEAST_LOGPROB = -9_999;

type Fields = Readonly<Record<string, unknown>>;

/** Throws AgentError `malformed`, which names the field and never quotes its value: it may hold a user's words. */
export function readMessage(value: unknown): FromCell {
  const message = object(value, 'message');
  const { type } = message;
  if (type === 'ready') return { type, protocol: count(message, 'protocol') };
  if (type === 'cached') {
    const expert = string(message, 'expert', MAX_NAME);
    return { type, expert, cached: cached(object(message['cached'], 'cached')) };
  }
  const call = count(message, 'call');
  switch (type) {
    case 'loaded':
      return { type, call, report: loadReport(object(message['report'], 'report')) };
    case 'unloaded':
      return { type, call, unloaded: unloaded(object(message['unloaded'], 'unloaded')) };
    case 'delta':
      return { type, call, piece: piece(object(message['piece'], 'piece')) };
    case 'answered':
      return { type, call, report: runReport(object(message['report'], 'report')) };
    case 'failed':
      return { type, call, failure: failure(object(message['failure'], 'failure')) };
    default:
      throw malformed('type');
  }
}

function unloaded(from: Fields): Unloaded {
  const cellBytes = countOrNull(from, 'cellBytes');
  if (from['weights'] === null) return { cellBytes, weights: null };
  const weights = object(from['weights'], 'weights');
  const [bytes, keptBytes] = [count(weights, 'bytes'), count(weights, 'keptBytes')];
  if (keptBytes > bytes) throw malformed('keptBytes');
  return { cellBytes, weights: { bytes, keptBytes } };
}

function loadReport(fields: Fields): LoadReport {
  return {
    beforeBytes: countOrNull(fields, 'beforeBytes'),
    afterBytes: countOrNull(fields, 'afterBytes'),
    peakBytes: countOrNull(fields, 'peakBytes'),
    loadMs: amount(fields, 'loadMs'),
  };
}

function cached(fields: Fields): Cached {
  const bytes = count(fields, 'bytes');
  const coldBytes = count(fields, 'coldBytes');
  if (coldBytes > bytes) throw malformed('coldBytes');
  return { bytes, coldBytes };
}

function runReport(fields: Fields): RunReport {
  const stages = object(fields['stages'], 'stages');
  const names = Object.keys(stages);
  if (names.length > MAX_STAGES || names.some((name) => !/^[a-z]{1,32}$/.test(name)))
    throw malformed('stages');
  return {
    answer: answer(object(fields['answer'], 'answer')),
    stages: Object.fromEntries(names.map((name) => [name, amount(stages, name)])),
    keptBytes: count(fields, 'keptBytes'),
  };
}

function answer(fields: Fields): Answer {
  const inputTokens = count(fields, 'inputTokens');
  const { kind } = fields;
  switch (kind) {
    case 'labels':
      return { kind, labels: list(fields, 'labels', label), inputTokens };
    case 'passages':
      return { kind, passages: list(fields, 'passages', passage), inputTokens };
    case 'embeddings':
      return { kind, vectors: list(fields, 'vectors', vector), inputTokens };
    case 'tensors':
      return { kind, outputs: list(fields, 'outputs', tensor), inputTokens };
    case 'text': {
      const { finish } = fields;
      if (finish !== 'stop' && finish !== 'length' && finish !== 'cancelled') throw malformed('finish');
      const { text, tokens } = piece(fields);
      const outputTokens = count(fields, 'outputTokens');
      return {
        kind,
        text,
        finish,
        inputTokens,
        outputTokens,
        cachedTokens: count(fields, 'cachedTokens'),
        tokens,
      };
    }
    default:
      throw malformed('kind');
  }
}

function piece(fields: Fields): Piece {
  return { text: string(fields, 'text', MAX_TEXT), tokens: list(fields, 'tokens', saidToken) };
}

function saidToken(value: unknown): SaidToken {
  const fields = object(value, 'tokens');
  return { ...tokenChance(fields), top: list(fields, 'top', tokenChance) };
}

function tokenChance(value: unknown): TokenChance {
  const fields = object(value, 'tokens');
  const { bytes, logprob } = fields;
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_NAME) throw malformed('bytes');
  if (typeof logprob !== 'number' || !(logprob >= LEAST_LOGPROB && logprob <= 0)) throw malformed('logprob');
  return { id: count(fields, 'id'), text: string(fields, 'text', MAX_NAME), bytes, logprob };
}

function label(value: unknown): Label {
  const fields = object(value, 'label');
  return { label: string(fields, 'label', MAX_NAME), score: share(fields, 'score') };
}

function passage(value: unknown): Passage {
  const fields = object(value, 'passage');
  return {
    title: string(fields, 'title', MAX_NAME),
    text: string(fields, 'text', MAX_TEXT),
    source: string(fields, 'source', MAX_NAME),
    score: share(fields, 'score'),
  };
}

/** A NaN in a vector would poison every comparison with it, silently. */
function vector(value: unknown): Float32Array {
  const fits = value instanceof Float32Array && value.length > 0 && value.length <= MAX_DIMENSIONS;
  if (!fits || !value.every(Number.isFinite)) throw malformed('vectors');
  return value;
}

/** What numbers say is between the graph and its caller: NaN is as good as any here. */
function tensor(value: unknown): NamedTensor {
  const fields = object(value, 'outputs');
  const { type, data } = fields;
  if (!isElementType(type)) throw malformed('outputs.type');
  const shape = list(fields, 'shape', (size) => size as number);
  // `elementCount` takes nothing but whole numbers.
  const count = elementCount(shape);
  if (count === null) throw malformed('shape');
  if (!fitsType(type, data) || data.length !== count) throw malformed('data');
  return { name: string(fields, 'name', MAX_NAME), type, shape, data };
}

function failure(fields: Fields): Failure {
  const { hint, retryable } = fields;
  if (typeof retryable !== 'boolean') throw malformed('retryable');
  return {
    code: string(fields, 'code', MAX_NAME),
    message: string(fields, 'message', MAX_NAME),
    hint: hint === null ? null : string(fields, 'hint', MAX_NAME),
    retryable,
  };
}

function object(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(name);
  return value as Fields;
}

function list<T>(fields: Fields, name: string, read: (value: unknown) => T): readonly T[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length > MAX_ITEMS) throw malformed(name);
  // Unlike `map`, this visits holes too.
  return Array.from(value, read);
}

function string(fields: Fields, name: string, maxLength: number): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > maxLength) throw malformed(name);
  return value;
}

function count(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(name);
  return value;
}

function countOrNull(fields: Fields, name: string): number | null {
  return fields[name] === null ? null : count(fields, name);
}

/** A finite number, not below zero. */
function amount(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw malformed(name);
  return value;
}

function share(fields: Fields, name: string): number {
  const value = amount(fields, name);
  // Sums of rounded float32 probabilities may end a little above one.
  if (value > 1.001) throw malformed(name);
  return Math.min(value, 1);
}

function malformed(field: string): AgentError {
  return new AgentError('malformed', `a message whose "${field}" is missing or not of the right kind`);
}
