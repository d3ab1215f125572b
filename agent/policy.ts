/** What a policy is: pure functions by name, see `policies/`. No code. */
import type { PolicyNames } from './tuning.ts';
import type { Candidate, Expert, ExpertId, Features } from './types.ts';

export interface NamedRouter {
  readonly name: string;
  /** What it reads; a router by meaning is asked after the embedder was. */
  readonly reads: 'terms' | 'embedding';
  readonly rank: Router;
}

/** Ranks the experts that could answer, best first. Empty: it has no opinion, and the next router is asked. */
export type Router = (request: RouterInput) => readonly Candidate[];

export interface RouterInput {
  readonly features: Features;
  readonly experts: readonly Expert[];
  readonly minScore: number;
}

/** Who is evicted first. */
export interface ResidencyPolicy {
  /** What keeping an expert is worth, in the policy's own unit; the lowest goes first. */
  value(victim: Victim): number;
  /** Values are relative to `State.evictionAge`, which rises to the value of each victim. */
  readonly ages: boolean;
}

export interface Victim {
  readonly bytes: number;
  readonly loadMs: number;
  readonly lastUsedMs: number;
  readonly uses: number;
  readonly ageAtUse: number;
}

/** Chooses among ranked candidates; null abstains. */
export type Combiner = (candidates: readonly Candidate[], context: CombinerContext) => Candidate | null;

export interface CombinerContext {
  readonly minScore: number;
  readonly tieMargin: number;
  isResident(expert: ExpertId): boolean;
}

export interface Policy {
  readonly names: PolicyNames;
  readonly routers: readonly NamedRouter[];
  readonly residency: ResidencyPolicy;
  readonly combiner: Combiner;
}
