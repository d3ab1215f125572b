/** Words of French text and the forms they are seen in: what the baseline knows, and what is counted. */
import { bareUnit, type Letters } from '../../../agent/runtime/tasks/rewriting-alphabet.ts';
import { findPlaces } from '../../../agent/runtime/tasks/rewriting-places.ts';

export interface Word {
  readonly start: number;
  readonly form: string;
}

const WORD = /\p{L}+/gu;

/** The text as somebody without accents types it; as long as the text, which is in NFC. */
export function withoutAccents(text: string): string {
  return text.replace(/[^\p{ASCII}]/gu, (unit) => {
    const bare = bareUnit(unit);
    return unit === unit.toLowerCase() ? bare : bare.toUpperCase();
  });
}

/** The words of `text`, in lower case, of which a letter may be changed: not code, not addresses. */
export function wordsOf(text: string, letters: Letters): readonly Word[] {
  const open = new Set(findPlaces(withoutAccents(text), letters).open);
  return [...text.matchAll(WORD)]
    .filter(({ index, 0: word }) => Array.from(word, (_, at) => index + at).some((at) => open.has(at)))
    .map(({ index, 0: word }) => ({ start: index, form: word.toLowerCase() }));
}

/** How often each word was seen in each of its forms, by the word without accents. */
export class Forms {
  readonly #counts = new Map<string, Map<string, number>>();

  add(form: string): void {
    const bare = withoutAccents(form);
    const forms = this.#counts.get(bare) ?? new Map<string, number>();
    forms.set(form, (forms.get(form) ?? 0) + 1);
    this.#counts.set(bare, forms);
  }

  /** The form seen most often; the word itself where it was never seen. */
  mostFrequent(bare: string): string {
    const forms = [...(this.#counts.get(bare) ?? [])];
    return forms.reduce((best, form) => (form[1] > best[1] ? form : best), [bare, 0] as [string, number])[0];
  }

  /** Whether some form of it with an accent was seen. */
  canCarry(bare: string): boolean {
    return [...(this.#counts.get(bare)?.keys() ?? [])].some((form) => form !== bare);
  }

  has(form: string): boolean {
    return this.#counts.get(withoutAccents(form))?.has(form) ?? false;
  }
}
