/**
 * Where files may be unpacked that will be linked into this process: whoever can write there can run code as us, and
 * a file system that is mounted noexec cannot be linked from.
 */
import { lstatSync, mkdirSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Candidates in order: what systemd gives, the user's cache, the system's cache, the folder for temporary files. */
export function cacheCandidates(env: NodeJS.ProcessEnv, uid: number): string[] {
  const cache = env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return [
    ...[env['CACHE_DIRECTORY'], env['STATE_DIRECTORY']].flatMap((list) =>
      // systemd separates several folders by colons; the first is the service's own.
      list ? [join(list.split(':')[0] ?? list, 'files')] : [],
    ),
    join(cache, 'expertd', 'files'),
    '/var/cache/expertd/files',
    join(tmpdir(), `expertd-${uid}`, 'files'),
  ].filter((path) => path.startsWith('/'));
}

/** Makes the folder if it is not there; why files must not be unpacked into it, or null. */
export function whyUnusable(path: string): string | null {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const real = realpathSync(path);
    const uid = process.geteuid?.() ?? 0;
    for (let folder = real; folder !== dirname(folder); folder = dirname(folder)) {
      const reason = whyUnsafe(lstatSync(folder), uid, folder === real);
      if (reason !== null) return folder === real ? reason : `${folder} ${reason}`;
    }
    const options = mountOptions(readFileSync('/proc/self/mountinfo', 'utf8'), real);
    return options.includes('noexec') ? 'is mounted noexec' : null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The folder itself must be ours and writable by nobody else. A folder above it may be writable by others only if
 * it is sticky (as /tmp is): else they could put another in its place.
 */
export function whyUnsafe(stats: Pick<Stats, 'uid' | 'mode'>, uid: number, own: boolean): string | null {
  if (own && stats.uid !== uid) return 'belongs to another user';
  if (!own && stats.uid !== uid && stats.uid !== 0) return 'belongs to another user';
  const writableByOthers = (stats.mode & 0o022) !== 0;
  const sticky = (stats.mode & 0o1000) !== 0;
  if (writableByOthers && (own || !sticky)) return 'may be written by others';
  return null;
}

/** Options of the mount that holds `path`, from the text of `/proc/self/mountinfo` (proc(5)). */
export function mountOptions(mountinfo: string, path: string): readonly string[] {
  let best = { point: '', options: [] as string[] };
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const point = fields[4]?.replace(/\\([0-7]{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const options = fields[5];
    if (point === undefined || options === undefined) continue;
    const holds = point === '/' || path === point || path.startsWith(`${point}/`);
    // A later mount over the same point hides the earlier one.
    if (holds && point.length >= best.point.length) best = { point, options: options.split(',') };
  }
  return best.options;
}
