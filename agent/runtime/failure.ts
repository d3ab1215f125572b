/**
 * Errors of a cell as values. What ONNX Runtime says is passed on shortened: its messages hold paths of this machine,
 * and of the one that built it. What it cannot hold is a user's words, and that is checked too.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { AgentError } from '../errors.ts';
import type { Ask } from '../ports.ts';
import type { ExpertId, Failure } from '../types.ts';

const MAX_MESSAGE = 400;
/** As many characters of a request in a row are a quotation. */
const QUOTE_CHARS = 12;

/** Why an expert could not be loaded or released: its own AgentError, or `bad_expert` with what the runtime said. */
export function loadFailure(error: unknown, expert: ExpertId): Failure {
  if (error instanceof AgentError) return bounded(error.toFailure());
  return bounded({
    code: 'bad_expert',
    message: `The expert "${expert}" cannot be loaded: ${plainMessage(error)}`,
    hint: 'Its files may be damaged, or made for another runtime: install it again.',
    retryable: false,
  });
}

/** Why a run failed: its own AgentError, or `run_failed` with what the runtime said. Never quotes the request. */
export function runFailure(error: unknown, expert: ExpertId, ask: Ask): Failure {
  if (error instanceof AgentError) {
    const failure = bounded(error.toFailure());
    if (!quotes(failure.message, ask)) return failure;
  }
  // As a whole: a quotation may begin before what the runtime said, with the space in between.
  const message = `The expert "${expert}" failed: ${plainMessage(error)}`;
  const hidden = `The expert "${expert}" failed: its message quotes the request and is left out`;
  return bounded({
    code: error instanceof AgentError ? error.code : 'run_failed',
    message: quotes(message, ask) ? hidden : message,
    hint: null,
    retryable: error instanceof AgentError && error.retryable,
  });
}

/** A message on one line, without source positions and without folders of this machine. */
export function plainMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (
    message
      .replace(/^Load model from .* failed:/, '')
      // A position in the runtime's source, and the signature of the function there.
      .replace(/\/onnxruntime_src\/\S+\s(?:[^\n]*\)\s)?/g, '')
      .replace(/\/[^\s"'`<>:,;()]+/g, withoutFolder)
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, MAX_MESSAGE)
  );
}

/** Names of graph nodes look like paths too; only what begins with a folder of this machine is one. */
function withoutFolder(path: string): string {
  const [, first = '', ...rest] = path.split('/');
  return rest.length > 0 && existsSync(`/${first}`) ? basename(path) : path;
}

/** Whether a message repeats a piece of what was asked. */
function quotes(message: string, ask: Ask): boolean {
  const texts = textsOf(ask);
  for (let at = 0; at + QUOTE_CHARS <= message.length; at++) {
    const piece = message.slice(at, at + QUOTE_CHARS);
    if (texts.some((text) => text.includes(piece))) return true;
  }
  return texts.some((text) => text.length > 3 && text.length < QUOTE_CHARS && message.includes(text));
}

function textsOf(ask: Ask): readonly string[] {
  switch (ask.kind) {
    case 'chat':
      return [...ask.messages.map(({ content }) => content), ...(ask.raw === null ? [] : [ask.raw])];
    case 'embeddings':
      return ask.texts;
    case 'tensors':
      return ask.inputs.flatMap(({ type, data }) => (type === 'string' ? (data as readonly string[]) : []));
  }
}

function bounded(failure: Failure): Failure {
  const { code, message, hint, retryable } = failure;
  return {
    code,
    message: message.slice(0, 2 * MAX_MESSAGE),
    hint: hint === null ? null : hint.slice(0, MAX_MESSAGE),
    retryable,
  };
}
