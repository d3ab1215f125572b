/** Routes by phrases that an expert's author wrote down. Sure of itself or silent. */
import type { Router } from '../../agent/policy.ts';
import type { Candidate, Expert, Features, Rule } from '../../agent/types.ts';
import { holds } from './terms.ts';

const CONFIDENCE = 0.95;

export const rules: Router = ({ features, experts }) => {
  const candidates: Candidate[] = [];
  for (const expert of experts) {
    const matched = countMatches(expert, features);
    if (matched === 0) continue;
    const why = matched === 1 ? 'one of its rules matches' : `${matched} of its rules match`;
    candidates.push({
      expert: expert.id,
      score: 1 - (1 - CONFIDENCE) / matched,
      confidence: CONFIDENCE,
      why,
    });
  }
  return candidates.sort((a, b) => b.score - a.score);
};

function countMatches(expert: Expert, features: Features): number {
  let count = 0;
  for (const rule of expert.routing.rules) if (matches(rule, features)) count++;
  return count;
}

/** Any of `any` (if there are), all of `all`, none of `not`; about code or not, if it minds. */
function matches({ any, all, not, code }: Rule, features: Features): boolean {
  const has = (hash: number): boolean => holds(features.terms, hash);
  if (code !== null && code !== features.code) return false;
  return (any.length === 0 || any.some(has)) && all.every(has) && !not.some(has);
}
