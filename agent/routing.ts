/**
 * From a request to the expert that answers it.
 *
 *  1 a named model bypasses the router; what asks for tensors, or for a load, must name one
 *  2 embeddings go to the router's embedder, else to the first expert of that task
 *  3 the routers are asked in order; the first whose candidates the combiner accepts decides
 *  4 before a router that reads meaning, the embedder runs, if it is resident; if not, words alone decide now
 *  5 nobody is confident: the generalist, if there is one
 *  6 else: abstain
 *  7 an expert that does not speak the language of the request, where that is known, is no candidate
 */

import { beginAnswer } from './assistants.ts';
import { versionFor } from './canary.ts';
import { isNear, readyMs } from './costs.ts';
import type { Draft } from './draft.ts';
import { failures, loadingOf } from './failures.ts';
import { noteHit } from './guesses.ts';
import { afterChoice } from './habits.ts';
import { isRaised, sayLoadCost } from './heat.ts';
import { detectorIn, speaks } from './language.ts';
import { cellOf, isLoadingIn, leasesIn } from './residency.ts';
import type {
  Candidate,
  Choice,
  Entry,
  Expert,
  ExpertId,
  Features,
  Lease,
  Request,
  RequestId,
  Task,
  Want,
} from './types.ts';

const NAMED_CONFIDENCE = 1;
const FETCH_RETRY_MS = 5_000;

/** Takes a request to its next phase: refused, abstained, or waiting for the embedder or for its expert. */
export function advance(draft: Draft, id: RequestId): void {
  const request = draft.state.requests.get(id);
  if (request === undefined) return;
  if (request.model !== null) return named(draft, request, request.model); // 1
  if (request.want === 'tensors' || request.want === 'load')
    return draft.reject(request.id, failures.unnamed(request.want)); // 1
  if (request.want === 'embeddings') return embeddings(draft, request); // 2
  route(draft, request);
}

/** What an expert can be asked for. */
export function wantOf(task: Task): Want {
  if (task === 'feature-extraction') return 'embeddings';
  return task === 'tensor' ? 'tensors' : 'chat';
}

function named(draft: Draft, request: Request, model: ExpertId): void {
  const entry = draft.entry(model);
  const pending = draft.state.pending.get(model);
  if (entry === undefined || entry.fate?.kind === 'remove' || entry.expert.candidateOf !== null) {
    if (pending === undefined) return draft.reject(request.id, failures.unknownModel(model));
    const failure = failures.fetching(model, pending);
    if (!failure.retryable) return draft.reject(request.id, failure);
    return draft.reject(request.id, failure, FETCH_RETRY_MS, loadingOf(draft.state, model));
  }
  if (request.want !== 'load' && wantOf(entry.expert.task) !== request.want) {
    return draft.reject(request.id, failures.wrongTask(entry.expert, request.want));
  }
  if (entry.residency.state === 'quarantined') {
    return draft.reject(request.id, failures.quarantined(model, entry.residency.reason));
  }
  if (request.want === 'load') return awaitLoad(draft, request, entry.expert);
  if (entry.expert.needsEmbedding && wantsEmbedder(draft, request)) return waitForEmbedder(draft, request);
  const candidate: Candidate = {
    expert: model,
    score: 1,
    confidence: NAMED_CONFIDENCE,
    why: 'named by the request',
  };
  choose(draft, request, entry.expert, [candidate], 'named');
}

function awaitLoad(draft: Draft, request: Request, expert: Expert): void {
  draft.because(`${expert.id} is to be in memory`);
  draft.putRequest(request.id, { phase: { name: 'waiting', purpose: 'answer', expert: expert.id } });
}

function embeddings(draft: Draft, request: Request): void {
  const entry = embedderFor(draft);
  if (entry === null) return draft.reject(request.id, failures.noEmbedder());
  const why = 'the embedder of this device';
  const candidate: Candidate = { expert: entry.expert.id, score: 1, confidence: NAMED_CONFIDENCE, why };
  choose(draft, request, entry.expert, [candidate], 'task');
}

function embedderFor(draft: Draft): Entry | null {
  const preferred = draft.state.settings.embedder;
  let first: Entry | null = null;
  for (const entry of draft.state.experts.values()) {
    if (!usable(entry) || entry.expert.task !== 'feature-extraction') continue;
    if (entry.expert.id === preferred) return entry;
    first ??= entry;
  }
  return first;
}

function route(draft: Draft, request: Request): void {
  const { settings, experts } = draft.state;
  const chat = [...experts.values()].filter((entry) => usable(entry) && wantOf(entry.expert.task) === 'chat');
  const specialists = chat
    .filter((entry) => entry.expert.id !== settings.generalist)
    .map((entry) => entry.expert);
  const { language } = request.features;
  const features = understood(draft, request.features);
  let ranked: readonly Candidate[] = [];
  for (const router of draft.policy.routers) {
    if (router.reads === 'embedding' && wantsEmbedder(draft, request)) return waitForEmbedder(draft, request); // 4
    const all = router.rank({
      features,
      experts: specialists,
      minScore: settings.minScore,
    });
    const candidates = all.filter(({ expert }) => speakerOf(draft, expert, language)); // 7
    if (all.length > 0) ranked = all.map((one) => noteLanguage(draft, one, language));
    const picked = combine(draft, candidates, draft.state.loadCost.factor);
    if (picked === null) continue;
    const entry = draft.entry(picked.expert);
    if (entry === undefined) continue;
    if (entry.expert.needsEmbedding && wantsEmbedder(draft, request)) return waitForEmbedder(draft, request);
    const front = candidates.filter((candidate) => candidate !== picked);
    tellWhatStayed(draft, candidates, picked);
    return choose(draft, request, entry.expert, [picked, ...front], router.name); // 3
  }
  const generalist = settings.generalist === null ? undefined : draft.entry(settings.generalist);
  if (generalist !== undefined && usable(generalist) && wantOf(generalist.expert.task) === 'chat') {
    if (generalist.expert.needsEmbedding && wantsEmbedder(draft, request))
      return waitForEmbedder(draft, request);
    const why = 'no specialist is confident';
    const candidate: Candidate = { expert: generalist.expert.id, score: 0, confidence: 0, why };
    return choose(draft, request, generalist.expert, [candidate, ...ranked], 'generalist'); // 5
  }
  draft.choice = choiceOf(draft, request, null, ranked, 'none');
  draft.because(`abstained: ${best(ranked)}${language === null ? '' : `; the request is in ${language}`}`);
  draft.steps.push({ type: 'abstain', request: request.id });
  draft.dropRequest(request.id); // 6
}

/** The dearer a load is, the more a resident expert may be behind an absent one and still be chosen. */
function combine(draft: Draft, candidates: readonly Candidate[], loadCost: number): Candidate | null {
  const { minScore, tieMargin } = draft.state.settings;
  return draft.policy.combiner(candidates, {
    minScore,
    tieMargin: tieMargin * loadCost,
    isResident: (id) => {
      const entry = draft.entry(id);
      return entry !== undefined && isNear(draft.state, entry);
    },
  });
}

/** Says so where a cool device would have chosen another. */
function tellWhatStayed(draft: Draft, candidates: readonly Candidate[], picked: Candidate): void {
  const { loadCost } = draft.state;
  if (loadCost.factor === 1) return;
  const cool = combine(draft, candidates, 1);
  if (cool === null || cool.expert === picked.expert) return;
  const ahead = (cool.score - picked.score).toFixed(2);
  draft.because(
    `${picked.expert} is resident and stays, though ${cool.expert} is ${ahead} ahead: ${sayLoadCost(loadCost)}`,
  );
}

function speakerOf(draft: Draft, expert: ExpertId, language: string | null): boolean {
  const entry = draft.entry(expert);
  return entry !== undefined && speaks(entry.expert, language);
}

/**
 * To an embedder that does not speak it, anything in a language is like anything else in that language: then words
 * alone decide.
 */
function understood(draft: Draft, features: Features): Features {
  const embedder = draft.entry(draft.state.settings.embedder ?? '');
  if (embedder === undefined || speaks(embedder.expert, features.language)) return features;
  return { ...features, embedding: null };
}

/** A candidate that was passed over because of its languages says so. */
function noteLanguage(draft: Draft, candidate: Candidate, language: string | null): Candidate {
  if (speakerOf(draft, candidate.expert, language)) return candidate;
  return { ...candidate, confidence: 0, why: `${candidate.why}; it does not speak ${language}` };
}

function best(ranked: readonly Candidate[]): string {
  const [first] = ranked;
  return first === undefined
    ? 'no expert claims it'
    : `the best is ${first.expert} with ${first.score.toFixed(2)}`;
}

function usable(entry: Entry): boolean {
  const { expert, residency, fate } = entry;
  return residency.state !== 'quarantined' && fate?.kind !== 'remove' && expert.candidateOf === null;
}

/** True where the embedder could still add something: it is resident, and it was not asked for this request yet. */
function wantsEmbedder(draft: Draft, request: Request): boolean {
  const { embedder } = draft.state.settings;
  if (request.embeddingTried || embedder === null) return false;
  const entry = draft.entry(embedder);
  return entry !== undefined && entry.residency.state === 'resident' && entry.fate === null;
}

function waitForEmbedder(draft: Draft, request: Request): void {
  const { embedder } = draft.state.settings;
  if (embedder === null) return;
  draft.putRequest(request.id, { phase: { name: 'waiting', purpose: 'embed', expert: embedder } });
}

function choose(
  draft: Draft,
  request: Request,
  expert: Expert,
  ranked: readonly Candidate[],
  router: string,
): void {
  const [winner] = ranked;
  draft.choice = choiceOf(draft, request, expert, ranked, router);
  if (winner !== undefined) {
    const isRouted = router !== 'named' && router !== 'task';
    const by = isRouted
      ? `chosen by ${router}, score ${winner.score.toFixed(2)} (${winner.why})`
      : winner.why;
    draft.because(`${expert.id}: ${by}`);
  }
  if (draft.choice.predictedLoadMs > 0 && isRaised(draft.state.loadCost)) {
    draft.because(sayLoadCost(draft.state.loadCost));
  }
  draft.putRequest(request.id, beginAnswer(draft, versionFor(draft, request, expert)));
  draft.set({ habits: afterChoice(draft.state.habits, expert.id) });
}

function choiceOf(
  draft: Draft,
  request: Request,
  expert: Expert | null,
  candidates: readonly Candidate[],
  router: string,
): Choice {
  const entry = expert === null ? undefined : draft.entry(expert.id);
  return {
    request: request.id,
    expert: expert?.id ?? null,
    confidence: expert === null ? null : (candidates[0]?.confidence ?? null),
    candidates: candidates.slice(0, 8),
    router,
    language: request.features.language,
    predictedLoadMs: entry === undefined ? 0 : readyMs(draft.state, entry),
    residency: expert === null ? null : whereIs(draft, expert.id),
  };
}

function whereIs(draft: Draft, expert: ExpertId): 'resident' | 'parked' | 'absent' {
  const state = draft.entry(expert)?.residency.state;
  return state === 'resident' || state === 'parked' ? state : 'absent';
}

/** Gives waiting requests their leases, oldest first, wherever the expert is resident and its cell has a place. */
export function grantWaiting(draft: Draft): void {
  // No place comes free on the way, so one look at each expert's cell is enough.
  const full = new Set<ExpertId>();
  for (const request of [...draft.state.requests.values()]) {
    if (request.phase.name !== 'waiting') continue;
    const { purpose, expert } = request.phase;
    if (purpose === 'embed') grantEmbed(draft, request, full);
    else if (request.want === 'load') tellReady(draft, request, expert);
    else grantAnswer(draft, request, purpose, expert, full);
  }
}

function grantEmbed(draft: Draft, request: Request, full: Set<ExpertId>): void {
  if (request.embeddingTried) return;
  if (!wantsEmbedder(draft, request)) {
    draft.putRequest(request.id, { embeddingTried: true });
    draft.because(`the embedder left while ${request.id} waited for it: words alone decide`);
    draft.steps.push({ type: 'route', request: request.id });
    return;
  }
  if (request.phase.name !== 'waiting') return;
  const { expert } = request.phase;
  const lease = full.has(expert) ? null : lend(draft, expert, 'embed', request.id, null);
  if (lease === null) {
    full.add(expert);
    return;
  }
  const detector = detectorIn(draft.state, lease.cell);
  draft.steps.push({
    type: 'embed',
    request: request.id,
    lease: lease.id,
    expert,
    cell: lease.cell,
    detector,
  });
  if (detector !== null) noteUse(draft, detector);
  draft.putRequest(request.id, { phase: { name: 'leased', lease: lease.id } });
  noteUse(draft, expert);
}

/** Being in memory was all that was asked. */
function tellReady(draft: Draft, request: Request, expert: ExpertId): void {
  const entry = draft.entry(expert);
  if (entry?.residency.state !== 'resident' || entry.fate !== null) return;
  draft.steps.push({ type: 'ready', request: request.id, expert });
  noteUse(draft, expert);
  draft.putEntry(expert, { keepAliveMs: request.keepAliveMs });
  draft.dropRequest(request.id);
}

function grantAnswer(
  draft: Draft,
  request: Request,
  purpose: 'retrieve' | 'answer',
  expert: ExpertId,
  full: Set<ExpertId>,
): void {
  const entry = draft.entry(expert);
  const lease = full.has(expert) ? null : lend(draft, expert, purpose, request.id, null);
  if (lease === null || entry === undefined) {
    full.add(expert);
    return;
  }
  const wasResident = entry.residency.state === 'resident' && entry.residency.sinceMs <= request.sinceMs;
  draft.steps.push({
    type: 'grant',
    request: request.id,
    lease: lease.id,
    expert,
    cell: lease.cell,
    wasResident,
    purpose,
    assistant: request.assistant,
    degraded: request.degraded,
    revocable: request.insteadOf !== null,
  });
  draft.putRequest(request.id, { phase: { name: 'leased', lease: lease.id } });
  noteUse(draft, expert);
  draft.putEntry(expert, { keepAliveMs: request.keepAliveMs });
}

/** What the residency policy will know: an embedding is a use as an answer is. */
function noteUse(draft: Draft, expert: ExpertId): void {
  const entry = draft.entry(expert);
  if (entry !== undefined) noteHit(draft, entry);
  const uses = (entry?.uses ?? 0) + 1;
  draft.putEntry(expert, { lastUsedMs: draft.state.nowMs, uses, ageAtUse: draft.state.evictionAge });
}

/** A lease on a resident expert that is to stay, if its cell takes one now. */
export function lend(
  draft: Draft,
  expert: ExpertId,
  purpose: Lease['purpose'],
  request: RequestId | null,
  subject: ExpertId | null,
): { id: number; cell: string } | null {
  const { state } = draft;
  const entry = draft.entry(expert);
  if (entry === undefined || entry.residency.state !== 'resident' || entry.fate !== null) return null;
  const cell = state.cells.get(cellOf(entry) ?? '');
  if (cell === undefined || cell.draining || cell.stopping) return null;
  if (leasesIn(state, cell.id) >= state.settings.cellConcurrency[cell.lane]) return null;
  if (isLoadingIn(state, cell.id)) return null;
  const deadlineMs = state.nowMs + state.settings.runDeadlineMs[cell.lane];
  return {
    id: draft.addLease({ purpose, expert, cell: cell.id, request, subject, deadlineMs }),
    cell: cell.id,
  };
}
