/** Chat templates: messages -> the text that the model was trained to continue. */
import { Template } from '@huggingface/jinja';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { ChatMessage } from '../../ports.ts';
import { badExpert } from '../graph.ts';

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  /** Throws `bad_expert` for a source that is no template. `tokens` are variables such as `bos_token`. */
  constructor(manifest: Manifest, source: string, tokens: Readonly<Record<string, string>>) {
    this.#tokens = tokens;
    try {
      this.#template = new Template(source);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw badExpert(manifest, `its chat template cannot be read: ${reason}`);
    }
  }

  /**
   * The prompt, up to where the answer begins. Throws `bad_input` where the template refuses the messages: many take
   * no system message, or want user and assistant in turns.
   */
  render(messages: readonly ChatMessage[]): string {
    try {
      return this.#template.render({ ...this.#tokens, messages, add_generation_prompt: true });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AgentError('bad_input', `The model's chat template refuses these messages: ${reason}`, {
        hint: 'Send one user message, or user and assistant messages in turns.',
        cause,
      });
    }
  }
}
