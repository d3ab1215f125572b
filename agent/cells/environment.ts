/** The environment of a cell: made anew, so that neither the agent's secrets nor its debugging flags get there. */

/** What a cell may inherit: where programs, libraries and unpacked files are, and how text is written here. */
const INHERITED = [
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'XDG_CACHE_HOME',
  'CACHE_DIRECTORY',
  'STATE_DIRECTORY',
  'NODE_COMPILE_CACHE',
] as const;

/**
 * Read by the C library and by ONNX Runtime before any of our code runs, so they must be in the environment.
 * What each one gains was measured with onnxruntime-node 1.30 on x64 (glibc 2.36).
 */
const FIXED = {
  // Linux builds since 1.29 keep a device id and a database under the user's cache and upload from them.
  ORT_DISABLE_TELEMETRY: '1',
  // Large blocks become mappings of their own: they go back when they are freed, and the threshold stays put
  // (glibc raises it otherwise). One arena: the other threads of a cell allocate next to nothing.
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_ARENA_MAX: '1',
} as const;

/** `extra` wins over what is inherited, never over what is fixed. */
export function cellEnvironment(
  inherited: Readonly<NodeJS.ProcessEnv>,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const kept = INHERITED.flatMap((name) => {
    const value = inherited[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...extra, ...FIXED };
}
