/** The text of a schema as JSON, of a bearable size. */
import { MAX_SCHEMA_CHARS, MAX_SCHEMA_DEPTH, tooLarge } from '../limits.ts';
import { isArray, isObject, type Json } from './json.ts';
import { refusal, shown } from './refusal.ts';

/** Throws `bad_input` for what is not JSON, and for what is too long or too deep. */
export function parseSchema(text: string): { readonly schema: Json; readonly hasPatterns: boolean } {
  if (text.length > MAX_SCHEMA_CHARS) {
    throw tooLarge(`its text has ${text.length} characters, and ${MAX_SCHEMA_CHARS} are possible`);
  }
  const schema = parsed(text);
  let hasPatterns = false;
  let level: readonly Json[] = [schema];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_SCHEMA_DEPTH) throw tooLarge(`its text has more than ${MAX_SCHEMA_DEPTH} levels`);
    level = level.flatMap((value): readonly Json[] => {
      if (isArray(value)) return value;
      if (!isObject(value)) return [];
      hasPatterns ||= Object.hasOwn(value, 'pattern') || Object.hasOwn(value, 'format');
      return Object.values(value);
    });
  }
  return { schema, hasPatterns };
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw refusal('#', `it is not JSON (${shown(cause instanceof Error ? cause.message : String(cause))})`);
  }
}
