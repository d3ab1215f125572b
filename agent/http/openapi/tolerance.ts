/** A schema of what the server reads, widened to what clients may send: fields that are taken out before it is checked. */
import type { TSchema } from 'typebox';
import type { FieldTable } from '../fields.ts';

/** Fields that do nothing, and where such fields are inside of others (in lists: of each element). */
export interface Tolerance {
  readonly fields: FieldTable;
  readonly inside?: Readonly<Record<string, Tolerance>>;
}

export type Json = { [key: string]: unknown };

/** A plain copy of the schema: no field is refused that `screen` takes, and null is as good as nothing. */
export function widened(schema: TSchema, tolerance: Tolerance): Json {
  return widen(JSON.parse(JSON.stringify(schema)) as Json, tolerance);
}

function widen(schema: Json, { fields, inside = {} }: Tolerance): Json {
  if (isJson(schema['items'])) return { ...schema, items: widen(schema['items'], { fields, inside }) };
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  const known = isJson(schema['properties']) ? schema['properties'] : {};
  const read = Object.entries(known).map(([key, property]) => {
    const inner = inside[key];
    const whole = inner === undefined || !isJson(property) ? property : widen(property, inner);
    return [key, required.includes(key) ? whole : { anyOf: [whole, { type: 'null' }] }] as const;
  });
  const ignored = Object.entries(fields).map(([key, { accepts, why }]) => {
    const description = `Has no effect: ${why}.`;
    return [key, accepts === 'any' ? { description } : { enum: [...accepts, null], description }] as const;
  });
  return { ...schema, properties: Object.fromEntries([...read, ...ignored]) };
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
