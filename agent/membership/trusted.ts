/** What this device trusts, while it runs: `expertd fleet enrol --import` may write the file at any time. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '../errors.ts';
import { loadTrust, saveTrust, TRUST_FILE } from '../fleet/trust/place.ts';
import { NO_TRUST, type Trust } from '../fleet/trust/trust.ts';
import type { Logger } from '../logging.ts';

export class Trusted {
  readonly #stateDir: string;
  readonly #log: Logger;
  #value: Trust = NO_TRUST;
  #written: string | null = null;

  constructor(stateDir: string, log: Logger) {
    this.#stateDir = stateDir;
    this.#log = log;
    this.current();
  }

  /** Nobody is trusted where the file is damaged; the device goes on to serve, and the log says why it takes no orders. */
  current(): Trust {
    const written = writtenOf(this.#stateDir);
    if (written !== this.#written) {
      this.#written = written;
      this.#value = this.#load();
    }
    return this.#value;
  }

  /** On the disk when this returns. Throws what the system says. */
  keep(trust: Trust): void {
    saveTrust(this.#stateDir, trust);
    this.#value = trust;
    this.#written = writtenOf(this.#stateDir);
  }

  #load(): Trust {
    try {
      return loadTrust(this.#stateDir);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#log.error({ failure: error.toFailure() }, 'the keys of the fleet: this device takes no orders');
      return NO_TRUST;
    }
  }
}

/** Each writing makes a new file, so two within the same tick of the clock differ, too. */
function writtenOf(stateDir: string): string | null {
  const file = statSync(join(stateDir, TRUST_FILE), { throwIfNoEntry: false, bigint: true });
  return file === undefined ? null : `${file.ino} ${file.mtimeNs}`;
}
