/** What a `NAME.bench.ts` exports as `bench`. */
import type { Report } from './report.ts';

export type Bench = (args: readonly string[], report: Report) => Promise<void>;
