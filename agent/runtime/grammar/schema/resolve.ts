/** A schema as the ways to satisfy it: references followed, `anyOf` and `oneOf` as a list, `allOf` merged. */
import { MAX_ALTERNATIVES, MAX_SCHEMA_DEPTH, tooLarge } from '../limits.ts';
import { areDisjoint } from './disjoint.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { merge } from './merge.ts';
import { refusal, shown } from './refusal.ts';
import { NO_TERMS, readTerms, type Terms } from './terms.ts';

/** Properties and values looked at while schemas are merged: bounds the time, whatever the schema repeats. */
const MAX_WORK = 100_000;

export class Resolver {
  readonly #root: Json;
  #work = 0;

  constructor(root: Json) {
    this.#root = root;
  }

  /**
   * Whoever satisfies one of them satisfies the schema. None: nothing does. Throws `bad_input` for what is not
   * supported, with its place.
   */
  alternatives(schema: Json, place: string): readonly Terms[] {
    return this.#ways(schema, place, []);
  }

  /** `path` are the schemas that are being resolved. */
  #ways(schema: Json, place: string, path: readonly Json[]): readonly Terms[] {
    if (schema === true) return [NO_TERMS];
    if (schema === false) return [];
    if (!isObject(schema)) throw refusal(place, 'it is no schema');
    if (path.includes(schema)) throw refusal(place, 'it refers to itself without going into the value');
    if (path.length > MAX_SCHEMA_DEPTH)
      throw tooLarge('its references and combinations are nested too deeply');
    this.#spend(1);
    const inner = [...path, schema];
    let ways: readonly Terms[] = [NO_TERMS];
    for (const terms of readTerms(schema, place)) ways = this.#both(ways, [terms], place);
    if (schema['$ref'] !== undefined)
      ways = this.#both(ways, this.#referred(schema['$ref'], place, inner), place);
    for (const part of this.#list(schema, 'allOf', place)) {
      ways = this.#both(ways, this.#ways(part, `${place}/allOf`, inner), place);
    }
    if (schema['anyOf'] !== undefined)
      ways = this.#both(ways, this.#branches(schema, 'anyOf', place, inner).flat(), place);
    if (schema['oneOf'] !== undefined) ways = this.#both(ways, this.#exclusive(schema, place, inner), place);
    return ways;
  }

  #branches(
    schema: JsonObject,
    keyword: 'anyOf' | 'oneOf',
    place: string,
    path: readonly Json[],
  ): (readonly Terms[])[] {
    return this.#list(schema, keyword, place).map((branch) =>
      this.#ways(branch, `${place}/${keyword}`, path),
    );
  }

  /** The branches of `oneOf`, if no value can be valid by two of them. */
  #exclusive(schema: JsonObject, place: string, path: readonly Json[]): readonly Terms[] {
    const branches = this.#branches(schema, 'oneOf', place, path);
    const valuesOf = (property: Json): readonly Json[] | null => this.#values(property, place);
    for (const [index, branch] of branches.entries()) {
      for (const other of branches.slice(index + 1)) {
        this.#spend(branch.length * other.length);
        if (branch.every((a) => other.every((b) => areDisjoint(a, b, valuesOf)))) continue;
        throw refusal(
          place,
          'a value may be valid by two branches of "oneOf"',
          'Use "anyOf", or give the branches different types, or a required property with a different "const" each.',
        );
      }
    }
    return branches.flat();
  }

  /** The only values that satisfy a schema, if it names them. */
  #values(schema: Json, place: string): readonly Json[] | null {
    const lists = this.#ways(schema, place, []).map(({ values }) => values);
    return lists.some((values) => values === null) ? null : lists.flatMap((values) => values ?? []);
  }

  #referred(reference: Json, place: string, path: readonly Json[]): readonly Terms[] {
    if (typeof reference !== 'string') throw refusal(place, 'the value of "$ref" is not text');
    if (reference !== '#' && !reference.startsWith('#/')) {
      throw refusal(
        place,
        `"$ref" to "${shown(reference)}" is not supported`,
        'Refer to a place in the schema: "#/$defs/NAME".',
      );
    }
    return this.#ways(this.#target(reference, place), reference, path);
  }

  #target(reference: string, place: string): Json {
    let target: Json | undefined = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const name = unescaped(part);
      if (isArray(target)) target = target[Number(name)];
      else target = isObject(target) && Object.hasOwn(target, name) ? target[name] : undefined;
    }
    if (target === undefined) throw refusal(place, `"$ref" to "${shown(reference)}" leads nowhere`);
    return target;
  }

  #list(schema: JsonObject, keyword: 'allOf' | 'anyOf' | 'oneOf', place: string): readonly Json[] {
    const list = schema[keyword];
    if (list === undefined) return [];
    if (!isArray(list) || list.length === 0)
      throw refusal(place, `the value of "${keyword}" is not a list of schemas`);
    return list;
  }

  /** Every way of the one together with every way of the other. */
  #both(some: readonly Terms[], others: readonly Terms[], place: string): readonly Terms[] {
    const both: Terms[] = [];
    for (const a of some) {
      for (const b of others) {
        this.#spend(1 + sizeOf(a) + sizeOf(b));
        const merged = a === NO_TERMS ? b : merge(a, b, place);
        if (merged !== null) both.push(merged);
        if (both.length > MAX_ALTERNATIVES)
          throw tooLarge(`a value may be valid in more than ${MAX_ALTERNATIVES} ways`);
      }
    }
    return both;
  }

  #spend(work: number): void {
    this.#work += work;
    if (this.#work > MAX_WORK) throw tooLarge('its references and combinations take too long to resolve');
  }
}

/** What merging looks at. */
function sizeOf({ properties, required, values }: Terms): number {
  return properties.size + required.size + (values?.length ?? 0);
}

/** A part of a JSON pointer in a URI. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return part;
  }
}
