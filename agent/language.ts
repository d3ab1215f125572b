/**
 * What the router makes of the language of a request. A request whose language is not known is anybody's; one whose
 * language is known belongs to experts that speak it. Languages are BCP 47; only the first part (`pt` of `pt-BR`) counts.
 */
import { cellOf } from './residency.ts';
import type { CellId, Expert, ExpertId, State } from './types.ts';

export function speaks(expert: Expert, language: string | null): boolean {
  if (language === null) return true;
  const wanted = primary(language);
  return expert.routing.languages.some((spoken) => spoken === '*' || primary(spoken) === wanted);
}

/** The expert that names languages, if it shares the cell in which a request is embedded: then it costs no other turn. */
export function detectorIn(state: State, cell: CellId): ExpertId | null {
  const { languageDetector } = state.settings;
  const entry = languageDetector === null ? undefined : state.experts.get(languageDetector);
  if (entry === undefined || entry.residency.state !== 'resident' || entry.fate !== null) return null;
  return cellOf(entry) === cell ? entry.expert.id : null;
}

/** True for the experts through which the router sees: they are kept in memory while there is room. */
export function isSense(state: State, id: ExpertId): boolean {
  return id === state.settings.embedder || id === state.settings.languageDetector;
}

function primary(tag: string): string {
  return tag.toLowerCase().split('-')[0] ?? tag;
}
