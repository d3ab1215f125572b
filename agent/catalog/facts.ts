/** From a package on the disk to the facts that `decide` works with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashRule, hashWords } from '../perception.ts';
import type { Memory } from '../ports.ts';
import type { Expert, ExpertId, MemoryProfile } from '../types.ts';
import type { Manifest } from './manifest.ts';
import { badExpert, type Package, sha256 } from './package.ts';
import { candidateIdOf } from './rollouts.ts';

/** A maker measured on another machine: what he says is taken with this margin until the first load here. */
const FOREIGN_MARGIN = 1.3;
/** Bound for a package that says nothing: weights, their packed copy, and what a session needs beside them. */
const BLIND_FACTOR = 2.2;
const BLIND_EXTRA_BYTES = 24 * 1024 ** 2;
/** Bytes a second at which an unknown load is expected: reading from a slow card, and packing. */
const BLIND_BYTES_PER_MS = 80_000;
const BLIND_LOAD_MS = 150;

/** Enough for a question with sources and an answer; more is for the configuration to say. */
const DEFAULT_CONTEXT_TOKENS = 2_048;
/** Taken where a manifest does not say: what a model of half a billion parameters needs. */
const BLIND_CACHE_BYTES_PER_TOKEN = 24_576;

export interface FactsOptions {
  readonly memory: Memory;
  /** Digest of the router's embedder, null while there is none. */
  readonly embedderDigest: string | null;
  readonly pinned: boolean;
  /** Tokens of prompt and answer that a language model is to have room for; null takes the default. */
  readonly contextTokens: number | null;
  /** Who answers in its place where memory is short. */
  readonly fallback: ExpertId | null;
  /** It is to prove itself beside the version of this expert that counts. Default: it counts. */
  readonly candidateOf?: ExpertId | null;
}

/** Throws AgentError `bad_expert` where the router's words are not those of the manifest. */
export function expertOf(
  found: Package,
  { memory, embedderDigest, pinned, contextTokens, fallback, candidateOf = null }: FactsOptions,
): Expert {
  const { manifest, digest } = found;
  const { routing } = manifest;
  const learned = embedderDigest === null ? null : memory.prototypes(digest, embedderDigest);
  return {
    id: candidateOf === null ? manifest.id : candidateIdOf(candidateOf, manifest),
    version: manifest.version,
    digest,
    task: manifest.task,
    lane: manifest.task === 'text-generation' ? 'heavy' : 'fast',
    isolation: manifest.isolation ?? 'shared',
    memory: memory.profile(digest) ?? boundOf(manifest),
    weightBytes: manifest.files
      .filter(({ path }) => path.startsWith(modelStem(manifest)))
      .reduce((sum, { bytes }) => sum + bytes, 0),
    cacheBytes: cacheOf(manifest, contextTokens).bytes,
    marginBytes: 0,
    fallback,
    parkable: manifest.task === 'text-generation',
    needsEmbedding: manifest.task === 'retrieval',
    assistant: manifest.assistant === undefined ? null : { base: manifest.assistant.base ?? null },
    pinned,
    candidateOf,
    routing: {
      languages: routing.languages,
      rules: routing.rules.map(hashRule),
      vocabulary: vocabularyOf(found),
      prototypes: routing.examples.length === 0 ? [] : learned,
    },
  };
}

/** Room for keys and values: one context, in which all conversations of the expert have their place. */
export function cacheOf(
  { task, model, tokenizer }: Manifest,
  contextTokens: number | null,
): { readonly tokens: number; readonly bytes: number } {
  if (task !== 'text-generation') return { tokens: 0, bytes: 0 };
  const most = tokenizer?.kind === 'huggingface' ? tokenizer.maxTokens : DEFAULT_CONTEXT_TOKENS;
  const tokens = Math.min(contextTokens ?? DEFAULT_CONTEXT_TOKENS, most);
  return { tokens, bytes: tokens * (model.cacheBytesPerToken ?? BLIND_CACHE_BYTES_PER_TOKEN) };
}

/**
 * Most tokens that it takes here, of a language model with its answer: what it was made for, or what the room for keys
 * and values holds. null where it does not count tokens.
 */
export function contextOf({ task, model, tokenizer }: Manifest, cacheBytes: number): number | null {
  if (tokenizer?.kind !== 'huggingface') return null;
  if (task !== 'text-generation') return tokenizer.maxTokens;
  const bytesPerToken = model.cacheBytesPerToken ?? BLIND_CACHE_BYTES_PER_TOKEN;
  return Math.min(tokenizer.maxTokens, Math.floor(cacheBytes / bytesPerToken));
}

/** The graph and its external data share this beginning: `onnx/model`. */
function modelStem({ model }: Manifest): string {
  return model.path.replace(/\.onnx$/, '');
}

/** What a package is taken to need before it was ever loaded here. */
function boundOf({ memory, files }: Manifest): MemoryProfile {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const loadMs = BLIND_LOAD_MS + bytes / BLIND_BYTES_PER_MS;
  if (memory === undefined) {
    const bound = Math.ceil(bytes * BLIND_FACTOR + BLIND_EXTRA_BYTES);
    return { residentBytes: bound, loadBytes: bound, loadMs, measured: false };
  }
  const residentBytes = Math.ceil(memory.residentBytes * FOREIGN_MARGIN);
  const loadBytes = Math.max(residentBytes, Math.ceil(memory.loadBytes * FOREIGN_MARGIN));
  return { residentBytes, loadBytes, loadMs, measured: false };
}

/** Read long before the first load, which hashes every file: so this one is hashed here. */
function vocabularyOf({ manifest, directory }: Package): Uint32Array {
  const path = manifest.routing.vocabulary;
  if (path === undefined) return new Uint32Array();
  const bytes = readFileSync(join(directory, path));
  if (manifest.files.find((file) => file.path === path)?.sha256 !== sha256(bytes)) {
    throw badExpert(
      `expert "${manifest.id}": the content of ${path} is not what its manifest says`,
      `Copy the folder of "${manifest.id}" again from where it came.`,
    );
  }
  return hashWords(bytes.toString('utf8').split('\n'));
}
