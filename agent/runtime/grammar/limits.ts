/**
 * How much a schema may ask for. Schemas come from clients: each limit bounds the memory and the time that one of them
 * can take in a cell, and none is in the way of what people write.
 */
import { AgentError } from '../../errors.ts';

/** Characters of the text of a schema. */
export const MAX_SCHEMA_CHARS = 256 * 1024;
/** Levels of objects and lists in that text. */
export const MAX_SCHEMA_DEPTH = 64;
/** Values of all `enum`s together. */
export const MAX_ENUM_VALUES = 5000;
/** Ways to be valid that one place may have: branches of `anyOf`, multiplied where they are combined. */
export const MAX_ALTERNATIVES = 64;
/** Rules: about three for each place of the schema. */
export const MAX_RULES = 4000;
/** States of the automaton; a character of a property's name or of an `enum` value takes one. */
export const MAX_STATES = 40_000;
/** States of the automaton of one pattern; `a{1000}` takes a thousand. */
export const MAX_PATTERN_STATES = 2000;
export const MAX_PATTERN_CHARS = 1000;
/** Bytes of the shortest valid text. */
export const MAX_LEAST_BYTES = 8 * 1024;
/** Levels of lists and objects where the schema leaves the value free. */
export const MAX_FREE_DEPTH = 24;
/** Spaces of one indentation. A gap is nothing, a space, or a line break and so many: a model cannot say blanks for ever. */
export const MAX_INDENT = 24;
/** Ways to read what was said so far that are followed at once. */
export const MAX_STACKS = 64;
/** Nodes of the vocabulary's tree that one mask may look at: about ten strings of different kinds at one place. */
export const MAX_NODES = 1_000_000;
/**
 * States of the grammar looked at for one mask or one token: 0.2 s on a desktop. Nobody else is served by the cell
 * meanwhile. Patterns such as `[a-m].{900}$` come to it, whose automaton has 2^900 states if it is made deterministic.
 */
export const MAX_WORK = 4_000_000;

export function tooLarge(what: string): AgentError {
  return new AgentError('bad_input', `The schema is too large to follow: ${what}.`, {
    hint: 'Ask for less at once: fewer properties and enum values, shorter patterns, smaller least sizes.',
  });
}
