/** What is said of a tokenizer that cannot be compiled, or of a compiled one that cannot be read. */
import { AgentError } from '../../../errors.ts';

/** A tokenizer that may be sound, with `what` in it that is not known here: the library may know it. */
export function unsupported(what: string): AgentError {
  return new AgentError('unsupported_tokenizer', `The tokenizer cannot be compiled: it has ${what}.`, {
    hint: 'It is read by the library @huggingface/tokenizers instead, which takes more memory.',
  });
}

/** A file that is no tokenizer. */
export function badTokenizer(what: string): AgentError {
  return new AgentError('bad_expert', `The tokenizer cannot be used: ${what}.`, {
    hint: 'It must be a tokenizer.json of the Hugging Face tokenizers library.',
  });
}

export function damaged(what: string): AgentError {
  return new AgentError('bad_expert', `The compiled tokenizer cannot be read: ${what}.`, {
    hint: 'Remove the prepared files of the expert: they are made again.',
  });
}
