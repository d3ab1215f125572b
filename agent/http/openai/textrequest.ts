/** From the body of `/v1/completions` to a typed request: a text to go on with, past the chat template. */
import { Type } from 'typebox';
import { splitMessage } from '../../words.ts';
import { FieldError } from '../errors.ts';
import { COMPLETION_FIELDS, isObject, needModel, screen } from '../fields.ts';
import { keepAliveMs } from '../keepalive.ts';
import { bodyCheck } from '../validate.ts';
import { type GenerationCall, STREAM_PROPERTIES, screenInside, streamOf } from './chatrequest.ts';
import { GENERATION_PROPERTIES, generationOf, MAX_ALTERNATIVES } from './generation.ts';

const Prompt = Type.String({ minLength: 1 });

export const TextSchema = Type.Object(
  {
    model: Type.String(),
    prompt: Type.Union([Prompt, Type.Array(Prompt, { minItems: 1, maxItems: 1 })], {
      description: 'A language model goes on with it as it is; to every other expert it is the question.',
    }),
    echo: Type.Optional(Type.Boolean()),
    ...STREAM_PROPERTIES,
    ...GENERATION_PROPERTIES,
    logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_ALTERNATIVES })),
  },
  { additionalProperties: false },
);

export interface TextCall extends GenerationCall {
  /** What comes before the answer: the prompt, or nothing. */
  readonly echo: string;
}

const checkText = bodyCheck(TextSchema);
const KNOWN = Object.keys(TextSchema.properties);

/** Throws a FieldError that names the field at fault. */
export function parseText(body: unknown): TextCall {
  const checked = checkText(screenText(body));
  const prompt = typeof checked.prompt === 'string' ? checked.prompt : (checked.prompt[0] ?? '');
  const { echo = false, logprobs = null } = checked;
  if (echo && logprobs !== null) {
    const message = '"echo" and "logprobs" are not supported together: a prompt gets no log probabilities';
    throw new FieldError('unsupported_field', 'echo', message, 'Leave one of them out.');
  }
  const generation = generationOf(checked, undefined, logprobs);
  return {
    model: checked.model,
    ask: { kind: 'chat', messages: [], ...splitMessage(prompt), embedding: null, raw: prompt, generation },
    keepAliveMs: keepAliveMs(checked.keep_alive),
    echo: echo ? prompt : '',
    ...streamOf(checked),
  };
}

function screenText(body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = screen(body, KNOWN, COMPLETION_FIELDS);
  needModel(kept);
  const { prompt } = kept;
  const [first, second]: readonly unknown[] = Array.isArray(prompt) ? prompt : [prompt];
  if (typeof first === 'number' || Array.isArray(first)) {
    const hint = 'Send text: each expert has a tokenizer of its own.';
    throw new FieldError('unsupported_field', 'prompt', '"prompt" as tokens is not supported', hint);
  }
  if (second !== undefined) {
    const hint = 'Send one request for each.';
    throw new FieldError('unsupported_field', 'prompt', '"prompt" with several texts is not supported', hint);
  }
  return screenInside(kept);
}
