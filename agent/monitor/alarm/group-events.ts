/** Events of a control group of version 2: its file of counters changes when it is slowed down or at its limit. */
import { type FSWatcher, watch } from 'node:fs';

/** null where the file cannot be watched. The watch does not hold the process, and ends with the group. */
export function watchGroupEvents(path: string, onEvent: () => void): FSWatcher | null {
  try {
    const watcher = watch(path, { persistent: false }, (type) => {
      if (type === 'change') onEvent();
      else watcher.close();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
