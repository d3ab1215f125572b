/** What a language model is told so that it speaks for an assistant. */
import type { ChatAsk } from './asks.ts';
import type { Generation } from './generation.ts';
import type { Passage } from './ports.ts';

/** More sources than these confuse a small model, and fill its context. */
const MOST_SOURCES = 3;
/** A source that is worth less than this share of the best one is about something else. */
const NEARLY_AS_GOOD = 0.5;
const MOST_CHARS = 700;
const MOST_TOKENS = 256;

/** The passages that are worth telling, best first. */
export function sourcesOf(passages: readonly Passage[]): readonly Passage[] {
  const [best] = passages;
  if (best === undefined) return [];
  return passages.filter(({ score }) => score >= best.score * NEARLY_AS_GOOD).slice(0, MOST_SOURCES);
}

/**
 * The request as the base gets it. The assistant's words come first and are always the same, so that their keys and
 * values are still there at the next request; the sources stand right before the question, which small models need.
 */
export function askForAssistant(ask: ChatAsk, systemPrompt: string, sources: readonly Passage[]): ChatAsk {
  const { messages, question, raw } = ask;
  const own = messages.filter(({ role }) => role === 'system').map(({ content }) => content);
  const rest = messages.filter(({ role }) => role !== 'system');
  const last = raw === null ? rest.findLastIndex(({ role }) => role === 'user') : -1;
  const asked = rest[last]?.content ?? raw ?? question;
  const history = raw === null ? rest.slice(0, Math.max(0, last)) : [];
  return {
    ...ask,
    generation: grounded(ask.generation),
    raw: null,
    messages: [
      { role: 'system', content: [systemPrompt, ...own].join('\n\n') },
      ...history,
      { role: 'user', content: `${listOf(sources)}\n\n${asked}` },
    ],
  };
}

/**
 * Where the client leaves it open: the likeliest words, and one paragraph. A small model tells what its sources say in
 * the first one, and what it makes up, or the same again, in those that follow.
 */
function grounded(generation: Generation): Generation {
  const { temperature, maxTokens, stop, format } = generation;
  const isOpen = stop.length === 0 && format.kind === 'text';
  return {
    ...generation,
    temperature: temperature ?? 0,
    maxTokens: maxTokens ?? MOST_TOKENS,
    stop: isOpen ? ['\n\n'] : stop,
  };
}

function listOf(sources: readonly Passage[]): string {
  const lines = sources.map(({ title, text }, at) => {
    const whole = title === '' ? text : `${title}: ${text}`;
    const shown = whole.length > MOST_CHARS ? `${whole.slice(0, MOST_CHARS)}...` : whole;
    return `[${at + 1}] ${shown}`;
  });
  return `Sources:\n${lines.join('\n')}`;
}
