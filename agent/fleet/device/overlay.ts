/** How the fleet's word lies over the configuration of a device. Functions of values. */
import type { Config } from '../../config.ts';
import type { Desired, DesiredExpert, FleetPolicy } from '../documents/desired.ts';
import type { Overlay } from './ports.ts';

type ConfiguredExpert = Config['experts'][number];

/**
 * What a desired document says over the configuration; null: there is none. `policy` came by a command after it, and
 * counts over what the document says of the same fields.
 */
export function overlayOf(document: Desired | null, policy: FleetPolicy | null): Overlay | null {
  if (document === null && policy === null) return null;
  return {
    experts: document?.experts.map(configured) ?? [],
    remove: document?.experts_remove ?? [],
    policy: { ...document?.policy, ...policy },
    budget: document?.budget ?? null,
  };
}

/** `sha256:HEX`, as documents have digests, without its kind. */
export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

function configured({ id, version, digest, sources, pinned, canary }: DesiredExpert): ConfiguredExpert {
  const sha256 = hexOf(digest);
  const expert = { id, version, sources: sources.map((uri) => ({ uri, sha256 })), pinned: pinned ?? false };
  return canary === undefined ? expert : { ...expert, canary };
}

/**
 * The configuration that counts. What a document cannot say of an expert (`fallback`, `contextTokens`), or does not
 * (`canary`), stays as the configuration has it, and so do experts that the fleet does not name. What it names is here, `without` or not.
 */
export function overlaid(config: Config, { experts, remove, policy, budget }: Overlay): Config {
  const said = new Map(experts.map((one) => [one.id, one]));
  const own = config.experts.map((one) => ({ ...one, ...said.get(one.id) }));
  const ownIds = new Set(own.map(({ id }) => id));
  const more = experts.filter(({ id }) => !ownIds.has(id));
  return {
    ...config,
    experts: [...own, ...more].filter(({ id }) => !remove.includes(id)),
    without: [...new Set([...config.without, ...remove])].filter((id) => !said.has(id)),
    policies: { ...config.policies, ...policy },
    memory: budget === null ? config.memory : { ...config.memory, budget },
  };
}
