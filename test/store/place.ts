/** A state directory that is gone after the test, and stores in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Store, type StoreOptions } from '../../agent/store/store.ts';
import type { Failure } from '../../agent/types.ts';
import { ManualClock } from './clock.ts';
import { committedBytes } from './made.ts';

export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'expertd-store-'));
  readonly database = join(this.directory, 'decisions.db');
  readonly clock = new ManualClock();
  readonly reports: Failure[] = [];

  /** Removed at the end of the test `context`, where there is one. */
  constructor(context: TestContext | null) {
    context?.after(() => this.remove());
  }

  store(options: Partial<StoreOptions> = {}): Store {
    return new Store({
      directory: this.directory,
      version: '1.2.3',
      clock: this.clock,
      committedBytes,
      maxRows: 100_000,
      maxBytes: 64_000_000,
      syncMs: 250,
      report: (failure) => this.reports.push(failure),
      ...options,
    });
  }

  codes(): readonly string[] {
    return this.reports.map(({ code }) => code);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
