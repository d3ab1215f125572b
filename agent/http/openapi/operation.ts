/** What can be said of a route. */
import type { TObject } from 'typebox';
import type { ReplyName } from './replies.ts';
import type { Tolerance } from './tolerance.ts';

export const TAGS = {
  probes: 'For supervisors and scrapers',
  openai: 'OpenAI’s API; the model "auto" routes',
  ollama: 'Ollama’s API; the model "auto" routes, and ":latest" may follow every name',
  inference: 'Open Inference Protocol v2, for experts whose task is tensor',
  expertd: 'What the agent knows and does',
  page: 'For people',
} as const;

export interface Operation {
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  /** What stands for each parameter of the path. */
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: TObject;
  /** Headers that it reads, beside the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: TObject; readonly tolerance?: Tolerance; readonly optional?: true };
  /** What an answer holds: a schema's name, or a media type whose content is text or bytes; none: it never answers. */
  readonly answer: readonly (ReplyName | `${string}/${string}`)[];
  /** Statuses of its refusals, beside those that every route can give. */
  readonly refusals: readonly number[];
  /** What it tells is in the status too: a 503 holds the same as a 200. */
  readonly tells?: true;
  /** It is a request to an expert: replies say who answered. */
  readonly asks?: true;
}

/** Statuses of the refusals of what is asked of an expert. */
export const ASKING = [400, 404, 409, 413, 415, 429, 500, 503, 504] as const;
