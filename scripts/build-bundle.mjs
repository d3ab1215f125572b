/** Builds the bundle if the sources changed: a process of its own, so that run.mjs is not left with esbuild's. */
import { ensureBundle } from './bundle.mjs';

await ensureBundle();
