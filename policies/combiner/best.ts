/** The best candidate answers alone; a resident one wins over an absent one that is better by a hair. */
import type { Combiner } from '../../agent/policy.ts';

export const best: Combiner = (candidates, { minScore, tieMargin, isResident }) => {
  const [first] = candidates;
  if (first === undefined || first.score < minScore) return null;
  if (isResident(first.expert)) return first;
  const near = candidates.find(
    ({ expert, score }) => score >= minScore && first.score - score <= tieMargin && isResident(expert),
  );
  return near ?? first;
};
