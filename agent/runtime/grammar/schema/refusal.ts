/** How a schema is refused: with the keyword and its place. */
import { AgentError } from '../../../errors.ts';

/** Long names and values would make a message nobody reads. */
const MOST_CHARS = 100;

/** `place` is a pointer such as `#/properties/name`. */
export function refusal(place: string, what: string, hint: string | null = null): AgentError {
  const where = place === '#' ? '' : ` at ${shown(place)}`;
  return new AgentError('bad_input', `The schema cannot be kept${where}: ${what}.`, {
    hint: hint ?? 'Change the schema, or ask without response_format and check the answer yourself.',
  });
}

export function shown(text: string): string {
  return text.length <= MOST_CHARS ? text : `${text.slice(0, MOST_CHARS)}…`;
}
