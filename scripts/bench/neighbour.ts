/** A process that never rests, as a device has them: what is left for a model beside it? */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs `work` beside one busy process of the usual priority. */
export async function besideNeighbour<T>(work: () => Promise<T>): Promise<T> {
  const child = spawn(process.execPath, ['-e', 'process.stdout.write("."); for (;;);'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(child.stdout, 'data');
    return await work();
  } finally {
    await end(child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
