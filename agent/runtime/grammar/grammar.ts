/** Grammars for one model: what its answers may have to follow, compiled once and kept for the next request. */
import { AgentError } from '../../errors.ts';
import type { TextFormat } from '../../generation.ts';
import type { Constraint, Grammar } from '../generation/constraint.ts';
import { type Compiled, compileObject, compileSchema } from './compile.ts';
import { Dfa } from './dfa.ts';
import { FollowedText, type Speaker } from './followed-text.ts';
import { MAX_STATES } from './limits.ts';
import { Masks } from './masks.ts';
import { Plan } from './plan.ts';
import type { ParsePattern } from './rules/pattern.ts';
import { parseSchema } from './schema/parse.ts';
import type { Tokens } from './spoken.ts';
import { type Reading, Stacks } from './stacks.ts';
import { Vocabulary } from './vocabulary.ts';

type Format = Exclude<TextFormat, { kind: 'text' }>;

/** Compiled grammars that are kept for later. */
const MAX_KEPT = 8;

/**
 * `vocabularySize` is the number of logits; tokens of `endIds` end a text. Takes about 50 ms for 49,000 tokens, and
 * keeps 1 MB. Rejects with `bad_expert` if no token of the tokenizer says a byte.
 */
export async function openGrammar(
  tokenizer: Tokens,
  vocabularySize: number,
  endIds: ReadonlySet<number>,
): Promise<Grammar> {
  const vocabulary = new Vocabulary(tokenizer, vocabularySize, endIds);
  if (vocabulary.longest === 0) {
    throw new AgentError('bad_expert', 'No token of the tokenizer says a byte of text.', {
      hint: 'Constrained answers need a tokenizer whose tokens are bytes: byte-level BPE, or one with byte fallback.',
    });
  }
  return new ModelGrammar(vocabulary, { tokenizer, endIds, size: vocabularySize });
}

/** A grammar that any number of texts can follow. */
interface Ready {
  readonly dfa: Dfa;
  readonly stacks: Stacks;
  readonly masks: Masks;
  readonly start: Reading;
  /** States of its automaton: most of its memory goes with them. */
  readonly states: number;
}

class ModelGrammar implements Grammar {
  readonly #vocabulary: Vocabulary;
  readonly #speaker: Speaker;
  /** By the text of the schema, least lately used first; the empty text is any object. */
  readonly #kept = new Map<string, Ready>();

  constructor(vocabulary: Vocabulary, speaker: Speaker) {
    this.#vocabulary = vocabulary;
    this.#speaker = speaker;
  }

  async constrain(format: Format): Promise<Constraint> {
    const key = format.kind === 'json-schema' ? format.schema : '';
    const ready = this.#kept.get(key) ?? this.#prepare(await this.#compile(format));
    this.#keep(key, ready);
    return new FollowedText(this.#speaker, ready, ready.start);
  }

  release(): void {
    this.#kept.clear();
  }

  async #compile(format: Format): Promise<Compiled> {
    const { usable } = this.#vocabulary;
    if (format.kind === 'json-object') return compileObject(usable);
    const { schema, hasPatterns } = parseSchema(format.schema);
    return compileSchema(schema, usable, hasPatterns ? await loadPatterns() : noPatterns);
  }

  #prepare({ nfa, root, distances }: Compiled): Ready {
    const dfa = new Dfa(nfa, distances, this.#vocabulary.usable);
    const stacks = new Stacks(dfa, new Plan(dfa, distances, this.#vocabulary));
    const masks = new Masks(this.#vocabulary, dfa, stacks);
    return { dfa, stacks, masks, start: stacks.begin(root), states: nfa.states };
  }

  #keep(key: string, ready: Ready): void {
    this.#kept.delete(key);
    this.#kept.set(key, ready);
    let states = 0;
    for (const { states: its } of this.#kept.values()) states += its;
    for (const [oldest, { states: its }] of this.#kept) {
      if (this.#kept.size <= MAX_KEPT && states <= MAX_STATES) break;
      if (oldest === key) break;
      this.#kept.delete(oldest);
      states -= its;
    }
  }
}

/** The parser takes 4 MB, so it comes when the first pattern does. */
async function loadPatterns(): Promise<ParsePattern> {
  const { RegExpParser } = await import('@eslint-community/regexpp');
  const parser = new RegExpParser({ ecmaVersion: 2024 });
  return (source) => parser.parsePattern(source, 0, source.length, { unicode: true });
}

function noPatterns(): never {
  throw new Error('a schema without patterns asked for the parser of patterns');
}
