/** From a schema to rules. */
import { type Distances, measure, UNREACHABLE } from './distances.ts';
import { MAX_ENUM_VALUES, MAX_FREE_DEPTH, MAX_LEAST_BYTES, tooLarge } from './limits.ts';
import { Nfa, type Rule } from './nfa.ts';
import { arrayRule } from './rules/arrays.ts';
import { FORMATS } from './rules/formats.ts';
import { FreeValues } from './rules/free.ts';
import { literalRule } from './rules/literals.ts';
import { matchingRule } from './rules/matching.ts';
import { otherName } from './rules/names.ts';
import { numberRule } from './rules/numbers.ts';
import { type Member, objectRule } from './rules/objects.ts';
import { type ParsePattern, readPattern } from './rules/pattern.ts';
import { type Punctuation, punctuation } from './rules/punctuation.ts';
import { Strings } from './rules/text.ts';
import { overlap, typeOf } from './schema/disjoint.ts';
import { isObject, type Json } from './schema/json.ts';
import { refusal, shown } from './schema/refusal.ts';
import { Resolver } from './schema/resolve.ts';
import type { Terms, Type } from './schema/terms.ts';

const ANY_NUMBER = { integer: false, minimum: null, maximum: null, multipleOf: null };

export interface Compiled {
  readonly nfa: Nfa;
  /** What the whole text is. */
  readonly root: Rule;
  readonly distances: Distances;
}

/** Rules for any JSON object. `usable` (1 of 256) are the bytes that can be said. */
export function compileObject(usable: Uint8Array): Compiled {
  const nfa = new Nfa();
  const number = numberRule(nfa, ANY_NUMBER);
  const words = literalRule(nfa, [true, false, null]);
  const free = new FreeValues(nfa, {
    punctuation: punctuation(nfa),
    string: new Strings(nfa).any,
    number: () => number,
    words: () => words,
  });
  return measured(nfa, free.object(MAX_FREE_DEPTH), usable);
}

/**
 * Rules for what `schema` allows, or for a part of it: properties come in the order of the schema, those that it does
 * not name only where `additionalProperties` says so, and a value whose type is not said has one that its keywords are
 * about. Throws `bad_input` for a schema that cannot be kept.
 */
export function compileSchema(schema: Json, usable: Uint8Array, parsePattern: ParsePattern): Compiled {
  const nfa = new Nfa();
  const root = new SchemaRules(nfa, schema, parsePattern).build();
  return measured(nfa, root, usable);
}

function measured(nfa: Nfa, root: Rule, usable: Uint8Array): Compiled {
  const distances = measure(nfa, usable);
  if ((distances.rules[root.id] ?? UNREACHABLE) >= UNREACHABLE) {
    throw refusal(
      '#',
      `nothing of at most ${MAX_LEAST_BYTES} bytes, in letters that the model has, is valid by it`,
    );
  }
  return { nfa, root, distances };
}

/** A rule that no text satisfies. */
function nothing(nfa: Nfa): Rule {
  return nfa.leaf(() => {});
}

/** Characters of schemas that were put together of others, in all: they could be endless. */
const MAX_MADE_CHARS = 1024 * 1024;

class SchemaRules {
  readonly #nfa: Nfa;
  readonly #root: Json;
  readonly #parsePattern: ParsePattern;
  readonly #resolver: Resolver;
  readonly #strings: Strings;
  readonly #punctuation: Punctuation;
  readonly #free: FreeValues;
  /** By schema; by its text where it was put together, as it is another object each time. */
  readonly #values = new Map<Json, Rule>();
  /** By type and keywords: many properties are of the same kind. */
  readonly #simple = new Map<string, Rule>();
  readonly #open: { readonly rule: Rule; readonly schema: Json; readonly place: string }[] = [];
  #madeChars = 0;
  #enumValues = 0;

  constructor(nfa: Nfa, root: Json, parsePattern: ParsePattern) {
    this.#nfa = nfa;
    this.#root = root;
    this.#parsePattern = parsePattern;
    this.#resolver = new Resolver(root);
    this.#strings = new Strings(nfa);
    this.#punctuation = punctuation(nfa);
    this.#free = new FreeValues(nfa, {
      punctuation: this.#punctuation,
      string: this.#strings.any,
      number: () => this.#once('number', () => numberRule(nfa, ANY_NUMBER)),
      words: () => this.#once('words', () => literalRule(nfa, [true, false, null])),
    });
  }

  build(): Rule {
    const root = this.#value(this.#root, '#');
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      const end = this.#nfa.end(this.#nfa.state());
      for (const one of this.#ways(next.schema, next.place)) this.#nfa.call(next.rule.start, one, end);
    }
    return root;
  }

  /** The rule of a schema; what it calls is built later, since it may be on the way. */
  #value(schema: Json, place: string): Rule {
    const key = this.#keyOf(schema);
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const rule = Object.assign(this.#nfa.rule(), { start: this.#nfa.state() });
    this.#values.set(key, rule);
    this.#open.push({ rule, schema, place });
    return rule;
  }

  #keyOf(schema: Json): Json {
    if (!isObject(schema) || schema['allOf'] === undefined) return schema;
    const text = JSON.stringify(schema);
    this.#madeChars += text.length;
    if (this.#madeChars > MAX_MADE_CHARS) throw tooLarge('its combinations take too long to resolve');
    return text;
  }

  #ways(schema: Json, place: string): readonly Rule[] {
    const ways = this.#resolver.alternatives(schema, place);
    const values = ways.flatMap((terms) => this.#fitting(terms, place));
    const literals = values.length === 0 ? [] : [literalRule(this.#nfa, values)];
    return [...literals, ...ways.flatMap((terms) => this.#openRules(terms, place))];
  }

  /** What is not one of a list of values. */
  #openRules(terms: Terms, place: string): readonly Rule[] {
    if (terms.values !== null) return [];
    if (terms.types === null && terms.about.size === 0) return [this.#free.value(MAX_FREE_DEPTH)];
    return [...(terms.types ?? terms.about)].map((type) => this.#typed(type, terms, place));
  }

  /** The values of `enum` or `const` that are of the right type. */
  #fitting({ types, about, values }: Terms, place: string): readonly Json[] {
    const fitting = (values ?? []).filter((value) => {
      const type = typeOf(value);
      if ([...about].some((one) => overlap(one, type))) {
        throw refusal(place, '"enum" or "const" together with keywords about its values is not supported');
      }
      // An integer is a number, but not the other way round.
      return types === null || types.has(type) || (type === 'integer' && types.has('number'));
    });
    this.#enumValues += fitting.length;
    if (this.#enumValues > MAX_ENUM_VALUES) throw tooLarge(`it has more than ${MAX_ENUM_VALUES} enum values`);
    return fitting;
  }

  #typed(type: Type, terms: Terms, place: string): Rule {
    switch (type) {
      case 'null':
        return this.#once('null', () => literalRule(this.#nfa, [null]));
      case 'boolean':
        return this.#once('boolean', () => literalRule(this.#nfa, [true, false]));
      case 'string':
        return this.#string(terms, place);
      case 'array':
        return this.#array(terms, place);
      case 'object':
        return this.#object(terms, place);
      default:
        return this.#number(type === 'integer', terms, place);
    }
  }

  #number(integer: boolean, { minimum, maximum, multipleOf }: Terms, place: string): Rule {
    if (multipleOf !== null && (!Number.isSafeInteger(multipleOf) || multipleOf <= 0)) {
      throw refusal(place, `"multipleOf" ${multipleOf} is not supported: only of 1, 2, 3 and so on`);
    }
    const numbers = { integer, minimum, maximum, multipleOf };
    return this.#once(`number ${JSON.stringify(numbers)}`, () => numberRule(this.#nfa, numbers));
  }

  #string({ leastChars, mostChars, pattern, format }: Terms, place: string): Rule {
    if (pattern !== null && format !== null) throw refusal(place, '"pattern" with "format" is not supported');
    if (format !== null && !Object.hasOwn(FORMATS, format)) {
      const known = Object.keys(FORMATS).join(', ');
      throw refusal(place, `the format "${shown(format)}" is not supported`, `Formats that are: ${known}.`);
    }
    const source = format === null ? pattern : (FORMATS[format] ?? null);
    return this.#once(`string ${leastChars} ${mostChars} ${source}`, () => {
      if (leastChars > mostChars) return nothing(this.#nfa);
      if (source === null) return this.#strings.bounded(leastChars, mostChars);
      const automaton = readPattern(source, place, this.#parsePattern);
      return matchingRule(this.#nfa, automaton, leastChars, mostChars);
    });
  }

  #array({ prefix, items, leastItems, mostItems }: Terms, place: string): Rule {
    if (leastItems > mostItems) return nothing(this.#nfa);
    const isOpen = prefix === null || items !== null || leastItems > prefix.length;
    return arrayRule(this.#nfa, this.#punctuation, {
      prefix: (prefix ?? []).map((item, index) => this.#value(item, `${place}/prefixItems/${index}`)),
      others: isOpen ? this.#value(items ?? true, `${place}/items`) : null,
      least: leastItems,
      most: mostItems,
    });
  }

  #object(terms: Terms, place: string): Rule {
    const { properties, required, additional, leastProperties, mostProperties } = terms;
    const names = new Set([...properties.keys(), ...required]);
    const isOpen = additional === null ? names.size === 0 : additional !== false;
    if (leastProperties > required.size) {
      throw refusal(place, '"minProperties" is not supported beyond the number of "required" properties');
    }
    if (isOpen ? mostProperties < Infinity : mostProperties < names.size) {
      throw refusal(place, '"maxProperties" is not supported below what the other keywords allow');
    }
    const members = [...names].map((name): Member => {
      const value = this.#value(
        properties.get(name) ?? additional ?? true,
        `${place}/properties/${shown(name)}`,
      );
      return { name, value, required: required.has(name) };
    });
    const value = isOpen ? this.#value(additional ?? true, `${place}/additionalProperties`) : null;
    const others = value === null ? null : { name: otherName(this.#nfa, names), value };
    return objectRule(this.#nfa, this.#punctuation, members, others);
  }

  #once(key: string, make: () => Rule): Rule {
    const rule = this.#simple.get(key) ?? make();
    this.#simple.set(key, rule);
    return rule;
  }
}
