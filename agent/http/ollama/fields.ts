/** Fields of Ollama's requests that do nothing here: see the tables of OpenAI's in ../fields.ts. */
import { any, type FieldTable, NO_TOOLS, ONE_MODALITY, only } from '../fields.ts';

const NO_GAPS = 'experts continue a text and do not fill gaps';
const NO_TEMPLATES = 'the template belongs to the expert; "raw": true goes past it';
const NO_THINKING = 'experts do not think before they answer';
const NO_CONTEXT = 'conversations are sent as messages, to /api/chat; what was read before is not read again';
const NO_SHIFT = 'an answer ends where the context is full';

const RUNTIME = 'how an expert runs is set by the device';
const NO_SUCH_SAMPLING = 'experts have no such control over sampling';

export const GENERATE_FIELDS: FieldTable = {
  suffix: only([''], NO_GAPS),
  template: only([''], NO_TEMPLATES),
  context: only([[]], NO_CONTEXT),
  images: only([[]], ONE_MODALITY),
  think: only([false], NO_THINKING),
  shift: only([false], NO_SHIFT),
};

export const CHAT_FIELDS: FieldTable = {
  tools: only([[]], NO_TOOLS),
  think: only([false], NO_THINKING),
  shift: only([false], NO_SHIFT),
};

export const MESSAGE_FIELDS: FieldTable = {
  images: only([[]], ONE_MODALITY),
  tool_calls: only([[]], NO_TOOLS),
  tool_name: only([''], NO_TOOLS),
  thinking: any('what was thought is no part of a conversation'),
};

export const EMBED_FIELDS: FieldTable = {
  dimensions: only([], 'vectors have the length that the expert gives them'),
  truncate: only([true], 'what is beyond the length that an expert takes is cut'),
  options: any('they steer generation'),
};

export const SHOW_FIELDS: FieldTable = {
  system: only([''], 'nothing is changed'),
  template: only([''], 'nothing is changed'),
  options: any('nothing is changed'),
  verbose: any('there is no more to tell'),
};

/** Of `options`. */
export const OPTION_FIELDS: FieldTable = {
  num_ctx: any('memory for the context is reserved by the configuration: experts.contextTokens'),
  num_batch: any(RUNTIME),
  num_gpu: any(RUNTIME),
  main_gpu: any(RUNTIME),
  num_thread: any(RUNTIME),
  numa: any(RUNTIME),
  low_vram: any(RUNTIME),
  f16_kv: any(RUNTIME),
  use_mmap: any(RUNTIME),
  use_mlock: any(RUNTIME),
  logits_all: any(RUNTIME),
  vocab_only: only([false], 'a vocabulary alone answers nothing'),
  embedding_only: only([false], 'vectors are asked for at /api/embed'),
  num_keep: only([0, 4], 'what is cut of a long prompt is its oldest part'),
  repeat_last_n: only([64], 'repetitions are looked for in a window of its own'),
  penalize_newline: only([true], NO_SUCH_SAMPLING),
  tfs_z: only([1], NO_SUCH_SAMPLING),
  typical_p: only([1], NO_SUCH_SAMPLING),
  mirostat: only([0], NO_SUCH_SAMPLING),
  mirostat_tau: any('without mirostat it has no meaning'),
  mirostat_eta: any('without mirostat it has no meaning'),
};
