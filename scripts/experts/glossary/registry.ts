/** The glossaries by name. */
import { computing } from '../computing/glossary.ts';
import { legal } from '../legal/glossary.ts';
import { medical } from '../medical/glossary.ts';
import type { Glossary } from './definition.ts';

export const GLOSSARIES: readonly Glossary[] = [medical, legal, computing];

/** Throws where there is no glossary of this name. */
export function glossaryNamed(name: string | undefined): Glossary {
  const found = GLOSSARIES.find(({ id }) => id === name);
  if (found === undefined) throw new Error(`glossaries: ${GLOSSARIES.map(({ id }) => id).join(', ')}`);
  return found;
}
