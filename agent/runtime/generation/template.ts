/** Chat templates: messages -> the text that the model was trained to continue. */
import { Template } from '@huggingface/jinja';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { ChatMessage } from '../../ports.ts';
import { badExpert } from '../graph.ts';
import { runTemplate, TemplateExcess } from './interpreter.ts';

/** A long conversation takes some milliseconds. */
const TIMEOUT_MS = 2_000;
const PROBE: readonly ChatMessage[] = [{ role: 'user', content: 'Hello' }];

export class ChatTemplate {
  readonly #manifest: Manifest;
  readonly #program: unknown;
  readonly #tokens: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;

  /**
   * Throws `bad_expert` for a source that is no template, or that cannot write one question. `tokens` are variables
   * such as `bos_token`.
   */
  constructor(
    manifest: Manifest,
    source: string,
    tokens: Readonly<Record<string, string>>,
    timeoutMs = TIMEOUT_MS,
  ) {
    this.#manifest = manifest;
    this.#tokens = tokens;
    this.#timeoutMs = timeoutMs;
    try {
      this.#program = new Template(source).parsed;
    } catch (cause) {
      throw badExpert(manifest, `its chat template cannot be read: ${reasonOf(cause)}`);
    }
    try {
      this.#run(PROBE);
    } catch (cause) {
      throw badExpert(manifest, `its chat template cannot write a single question: ${reasonOf(cause)}`);
    }
  }

  /**
   * The prompt, up to where the answer begins. Throws `bad_input` where the template refuses the messages: many take
   * no system message, or want user and assistant in turns; `bad_expert` where it had to be stopped.
   */
  render(messages: readonly ChatMessage[]): string {
    try {
      return this.#run(messages);
    } catch (cause) {
      if (cause instanceof TemplateExcess)
        throw badExpert(this.#manifest, `its chat template was stopped: ${cause.message}`);
      throw new AgentError(
        'bad_input',
        `The model's chat template refuses these messages: ${reasonOf(cause)}`,
        {
          hint: 'Send one user message, or user and assistant messages in turns.',
          cause,
        },
      );
    }
  }

  /** What is not there is given as `none`, as the reference does: templates ask `tools is not none`. */
  #run(messages: readonly ChatMessage[]): string {
    const variables = {
      tools: null,
      documents: null,
      ...this.#tokens,
      messages,
      add_generation_prompt: true,
    };
    return runTemplate(this.#program, variables, this.#timeoutMs);
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
