/** Waits for the events of several files, one wait after the other, until it is stopped or nothing is left to wait for. */
import { setTimeout as rest } from 'node:timers/promises';
import type { Poller } from '../../linux/poller.ts';
import { REST_MS } from './bell.ts';
import type { AlarmFile, AlarmLog } from './source.ts';

export interface VigilOptions {
  readonly poller: Poller;
  /** They are the vigil's to close. */
  readonly files: readonly AlarmFile[];
  readonly onEvent: () => void;
  readonly log: AlarmLog;
  /** Between two waits. */
  readonly restMs?: number;
}

export class Vigil {
  readonly #options: VigilOptions;
  readonly #stop = new AbortController();
  #files: readonly AlarmFile[];

  constructor(options: VigilOptions) {
    this.#options = options;
    this.#files = options.files;
  }

  /** Resolves when it is over and its files are closed. Until it is stopped, its wait holds the process. */
  async keep(): Promise<void> {
    const { poller, onEvent, log } = this.#options;
    while (this.#files.length > 0) {
      const came = await poller.wait(this.#files);
      if (came === null) {
        if (!this.#stop.signal.aborted)
          log.info({}, 'memory alarms have ended: there is no waiting for them');
        break;
      }
      if (this.#take(came)) onEvent();
      // What comes meanwhile is kept by the kernel. A file that is always ready would else take a whole CPU.
      await this.#rest();
    }
    this.stop();
    for (const file of this.#files) file.close();
    this.#files = [];
  }

  /** At once; a second time does nothing. */
  stop(): void {
    this.#stop.abort();
    this.#options.poller.stop();
  }

  /** True where one of the files told something, rather than that it will tell no more. */
  #take(came: readonly number[]): boolean {
    const ready = this.#files.filter((_, at) => came[at] !== 0);
    const gone = ready.filter((file) => !file.take(came[this.#files.indexOf(file)] ?? 0));
    this.#files = this.#files.filter((file) => !gone.includes(file));
    for (const file of gone) {
      file.close();
      this.#options.log.info({ source: file.name }, 'a memory alarm has ended');
    }
    return ready.length > gone.length;
  }

  async #rest(): Promise<void> {
    const { restMs = REST_MS } = this.#options;
    try {
      await rest(restMs, undefined, { ref: false, signal: this.#stop.signal });
    } catch {
      // It was stopped.
    }
  }
}
