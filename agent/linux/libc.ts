/** The few functions of the C library that Node does not offer. */

/** Each function returns whether it had an effect; none of them throws. */
export interface Libc {
  /** Gives free heap back to the kernel. glibc keeps it otherwise: see microsoft/onnxruntime issue 25325. */
  trimHeap(): boolean;
  /** Asks the kernel to kill this process as soon as its parent has ended, whatever this process is doing then. */
  dieWithParent(): boolean;
}

/** From linux/prctl.h and signal(7). */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

const withoutLibc: Libc = { trimHeap: () => false, dieWithParent: () => false };

/** Opens the C library of this process. Where that is not possible, every function does nothing and says so. */
export async function openLibc(): Promise<Libc> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    return {
      trimHeap: optional(() => {
        const mallocTrim = library.func('int malloc_trim(size_t pad)');
        return () => mallocTrim(0) === 1;
      }),
      dieWithParent: optional(() => {
        const prctl = library.func(
          'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
        );
        return () => prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) === 0;
      }),
    };
  } catch {
    return withoutLibc;
  }
}

/** musl, for one, has no `malloc_trim`: a function that is not there has no effect. */
function optional(bind: () => () => boolean): () => boolean {
  try {
    return bind();
  } catch {
    return () => false;
  }
}
