/** Policies by name: what the configuration may say, and what a replay looks up. */
import type { Combiner, NamedRouter, Policy, ResidencyPolicy } from '../agent/policy.ts';
import type { PolicyNames } from '../agent/tuning.ts';
import { best } from './combiner/best.ts';
import { gdsf } from './residency/gdsf.ts';
import { lru } from './residency/lru.ts';
import { nearest } from './router/nearest.ts';
import { rules } from './router/rules.ts';

const routers: Readonly<Record<string, NamedRouter>> = {
  rules: { name: 'rules', reads: 'terms', rank: rules },
  nearest: { name: 'nearest', reads: 'embedding', rank: nearest },
};
const residencies: Readonly<Record<string, ResidencyPolicy>> = { lru, gdsf };
const combiners: Readonly<Record<string, Combiner>> = { best };

/** The policy of these names. Throws RangeError for a name that does not exist. */
export function policyOf(names: PolicyNames): Policy {
  return {
    names,
    routers: names.router.map((name) => pick(routers, name, 'router')),
    residency: pick(residencies, names.residency, 'residency'),
    combiner: pick(combiners, names.combiner, 'combiner'),
  };
}

function pick<T>(table: Readonly<Record<string, T>>, name: string, kind: string): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found === undefined) {
    throw new RangeError(`no ${kind} policy "${name}"; there are ${Object.keys(table).join(', ')}`);
  }
  return found;
}
