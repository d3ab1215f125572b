/** The two kinds of cache. */
import type { PageSource } from '../../linux/pages.ts';
import type { CacheSlot } from '../generation/layout.ts';
import type { CacheKind } from '../generation/sharing.ts';
import type { NativeBinding } from './binding.ts';
import type { NativeCache } from './cache.ts';
import { GrowingCache, growingBytes } from './growing-cache.ts';
import { SharedCache, sharedBytes } from './shared-cache.ts';

/** `binding` is its sequence's, with nothing bound. */
export function openCache(
  kind: CacheKind,
  slots: readonly CacheSlot[],
  binding: NativeBinding,
  source: PageSource,
): NativeCache {
  return kind === 'shared'
    ? new SharedCache(slots, binding, source)
    : new GrowingCache(slots, binding, source);
}

/** Bytes that a cache takes with so many tokens. */
export function cacheBytes(
  kind: CacheKind,
  slots: readonly CacheSlot[],
  tokens: number,
  { pageBytes }: PageSource,
): number {
  return kind === 'shared' ? sharedBytes(slots, tokens, pageBytes) : growingBytes(slots, tokens);
}
