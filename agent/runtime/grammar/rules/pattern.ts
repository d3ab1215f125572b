/** A regular expression of a schema as an automaton over characters. */
import type { AST } from '@eslint-community/regexpp';
import { MAX_PATTERN_CHARS, MAX_PATTERN_STATES, tooLarge } from '../limits.ts';
import { refusal, shown } from '../schema/refusal.ts';
import { complement, DIGITS, LINE_ENDS, type Range, SPACES, union, WORDS } from './characters.ts';

/** Parses a pattern as ECMAScript does with the flag `u`; throws a SyntaxError for what is none. */
export type ParsePattern = (source: string) => AST.Pattern;

const ANY: readonly Range[] = complement([]);

/** State 0 is the first one. */
export class CharacterAutomaton {
  /** By state: ranges of characters and where they lead. */
  readonly edges: (readonly [low: number, high: number, to: number])[][] = [];
  /** By state: where nothing leads. */
  readonly skips: number[][] = [];
  /** The only state in which a text is whole. */
  end = 0;

  state(): number {
    if (this.edges.length >= MAX_PATTERN_STATES) {
      throw tooLarge(`a pattern has more than ${MAX_PATTERN_STATES} states`);
    }
    this.skips.push([]);
    return this.edges.push([]) - 1;
  }

  /** A state after any character of a set. */
  after(from: number, ranges: readonly Range[]): number {
    const to = this.state();
    for (const [low, high] of ranges) this.edges[from]?.push([low, high, to]);
    return to;
  }

  skip(from: number, to: number): void {
    this.skips[from]?.push(to);
  }

  /** Any number of characters of a set, from `from` on. */
  repeat(from: number, ranges: readonly Range[]): number {
    const to = this.state();
    this.skip(from, to);
    for (const [low, high] of ranges) this.edges[to]?.push([low, high, to]);
    return to;
  }
}

/**
 * The texts in which `source` finds something, as ajv does. Throws `bad_input` for what is no pattern, and for parts
 * that look around (`(?=`, `\b`), back (`\1`) or at Unicode properties, naming them.
 */
export function readPattern(source: string, place: string, parse: ParsePattern): CharacterAutomaton {
  if (source.length > MAX_PATTERN_CHARS) {
    throw tooLarge(`a pattern has ${source.length} characters, and ${MAX_PATTERN_CHARS} are possible`);
  }
  const pattern = parsed(source, place, parse);
  const automaton = new CharacterAutomaton();
  const reading = new PatternReading(automaton, place);
  const start = automaton.state();
  automaton.end = automaton.state();
  for (const { elements } of pattern.alternatives) {
    const isFirst = isEdge(elements[0], 'start');
    const isLast = isEdge(elements.at(-1), 'end') && !(isFirst && elements.length === 1);
    const inner = elements.slice(isFirst ? 1 : 0, isLast ? -1 : undefined);
    const begun = isFirst ? start : automaton.repeat(start, ANY);
    const said = reading.sequence(begun, inner);
    automaton.skip(isLast ? said : automaton.repeat(said, ANY), automaton.end);
  }
  return automaton;
}

function parsed(source: string, place: string, parse: ParsePattern): AST.Pattern {
  try {
    return parse(source);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw refusal(place, `"pattern" is no regular expression: ${shown(reason)}`);
  }
}

function isEdge(element: AST.Element | undefined, kind: 'start' | 'end'): boolean {
  return element?.type === 'Assertion' && element.kind === kind;
}

class PatternReading {
  readonly #automaton: CharacterAutomaton;
  readonly #place: string;

  constructor(automaton: CharacterAutomaton, place: string) {
    this.#automaton = automaton;
    this.#place = place;
  }

  sequence(from: number, elements: readonly AST.Element[]): number {
    return elements.reduce((at, element) => this.#element(at, element), from);
  }

  #element(from: number, element: AST.Element): number {
    switch (element.type) {
      case 'Character':
        return this.#automaton.after(from, [[element.value, element.value]]);
      case 'CharacterSet':
        return this.#automaton.after(from, this.#set(element));
      case 'CharacterClass':
        return this.#automaton.after(from, this.#class(element));
      case 'CapturingGroup':
        return this.#group(from, element.alternatives);
      case 'Group':
        if (element.modifiers !== null) throw this.#refused(element);
        return this.#group(from, element.alternatives);
      case 'Quantifier':
        return this.#quantified(from, element);
      default:
        throw this.#refused(element);
    }
  }

  #group(from: number, alternatives: readonly AST.Alternative[]): number {
    const end = this.#automaton.state();
    for (const { elements } of alternatives) this.#automaton.skip(this.sequence(from, elements), end);
    return end;
  }

  #quantified(from: number, { min, max, element }: AST.Quantifier): number {
    const automaton = this.#automaton;
    let at = from;
    for (let turn = 0; turn < min; turn += 1) at = this.#turn(at, element);
    if (max === Infinity) {
      const again = automaton.state();
      automaton.skip(at, again);
      automaton.skip(this.#turn(again, element), again);
      return again;
    }
    const end = automaton.state();
    for (let turn = min; turn < max; turn += 1) {
      automaton.skip(at, end);
      at = this.#turn(at, element);
    }
    automaton.skip(at, end);
    return end;
  }

  /** In a state of its own, so that `a{1000000000}` and `(){1000000000}` come to the limit of states. */
  #turn(from: number, element: AST.QuantifiableElement): number {
    const begun = this.#automaton.state();
    this.#automaton.skip(from, begun);
    return this.#element(begun, element);
  }

  #set(set: AST.CharacterSet): readonly Range[] {
    if (set.kind === 'any') return complement(LINE_ENDS);
    if (set.kind === 'property') throw this.#refused(set);
    const ranges = { digit: DIGITS, word: WORDS, space: SPACES }[set.kind];
    return set.negate ? complement(ranges) : ranges;
  }

  #class({ elements, negate }: AST.CharacterClass): readonly Range[] {
    const ranges = elements.flatMap((element): readonly Range[] => {
      if (element.type === 'Character') return [[element.value, element.value]];
      if (element.type === 'CharacterClassRange') return [[element.min.value, element.max.value]];
      if (element.type === 'CharacterSet') return this.#set(element);
      throw this.#refused(element);
    });
    return negate ? complement(ranges) : union(ranges);
  }

  #refused({ raw }: AST.Node): Error {
    return refusal(this.#place, `"pattern" with "${shown(raw)}" is not supported`);
  }
}
