/**
 * ONNX Runtime's C API, of the library that onnxruntime-node has loaded into this process. onnxruntime-node itself
 * copies every output of a run into JavaScript, also into buffers that it was given; a decoder would copy its whole
 * cache with every token.
 */
import { readFileSync } from 'node:fs';
import {
  type Address,
  type Foreign,
  type ForeignFunction,
  openForeign,
  type Signature,
} from '../../linux/foreign.ts';
import { openPages, type PageSource } from '../../linux/pages.ts';
import { startRuntime } from '../session.ts';

/** What a function of the API returns: null, or what went wrong. */
const STATUS = 'void *';

/**
 * Place and signature of each function that is used. The API is a struct of function pointers that is only ever
 * appended to (onnxruntime_c_api.h, and assertions on these places in onnxruntime_c_api.cc): a place that was given out
 * in version 8, which has all of these, is the same in every later library.
 */
const API_VERSION = 8;
const FUNCTIONS = {
  GetErrorMessage: [2, ['const char *', 'void *']],
  CreateEnv: [3, [STATUS, 'int', 'const char *', 'void *']],
  CreateSession: [7, [STATUS, 'void *', 'const char *', 'void *', 'void *']],
  CreateSessionOptions: [10, [STATUS, 'void *']],
  DisableMemPattern: [17, [STATUS, 'void *']],
  SetSessionLogSeverityLevel: [22, [STATUS, 'void *', 'int']],
  SetIntraOpNumThreads: [24, [STATUS, 'void *', 'int']],
  SetInterOpNumThreads: [25, [STATUS, 'void *', 'int']],
  SessionGetInputCount: [30, [STATUS, 'void *', 'void *']],
  SessionGetOutputCount: [31, [STATUS, 'void *', 'void *']],
  SessionGetInputTypeInfo: [33, [STATUS, 'void *', 'size_t', 'void *']],
  SessionGetOutputTypeInfo: [34, [STATUS, 'void *', 'size_t', 'void *']],
  SessionGetInputName: [36, [STATUS, 'void *', 'size_t', 'void *', 'void *']],
  SessionGetOutputName: [37, [STATUS, 'void *', 'size_t', 'void *', 'void *']],
  CreateRunOptions: [39, [STATUS, 'void *']],
  RunOptionsSetRunLogSeverityLevel: [41, [STATUS, 'void *', 'int']],
  CreateTensorWithDataAsOrtValue: [
    49,
    [STATUS, 'void *', 'void *', 'size_t', 'void *', 'size_t', 'int', 'void *'],
  ],
  GetTensorMutableData: [51, [STATUS, 'void *', 'void *']],
  CastTypeInfoToTensorInfo: [55, [STATUS, 'void *', 'void *']],
  GetTensorElementType: [60, [STATUS, 'void *', 'void *']],
  GetDimensionsCount: [61, [STATUS, 'void *', 'void *']],
  GetDimensions: [62, [STATUS, 'void *', 'void *', 'size_t']],
  GetSymbolicDimensions: [63, [STATUS, 'void *', 'void *', 'size_t']],
  GetTensorTypeAndShape: [65, [STATUS, 'void *', 'void *']],
  CreateCpuMemoryInfo: [69, [STATUS, 'int', 'int', 'void *']],
  AllocatorFree: [76, [STATUS, 'void *', 'void *']],
  GetAllocatorWithDefaultOptions: [78, [STATUS, 'void *']],
  ReleaseStatus: [93, ['void', 'void *']],
  ReleaseSession: [95, ['void', 'void *']],
  ReleaseValue: [96, ['void', 'void *']],
  ReleaseTypeInfo: [98, ['void', 'void *']],
  ReleaseTensorTypeAndShapeInfo: [99, ['void', 'void *']],
  ReleaseSessionOptions: [100, ['void', 'void *']],
  AddSessionConfigEntry: [130, [STATUS, 'void *', 'const char *', 'const char *']],
  RunWithBinding: [133, [STATUS, 'void *', 'void *', 'void *']],
  CreateIoBinding: [134, [STATUS, 'void *', 'void *']],
  ReleaseIoBinding: [135, ['void', 'void *']],
  BindInput: [136, [STATUS, 'void *', 'const char *', 'void *']],
  BindOutput: [137, [STATUS, 'void *', 'const char *', 'void *']],
  BindOutputToDevice: [138, [STATUS, 'void *', 'const char *', 'void *']],
  GetBoundOutputValues: [140, [STATUS, 'void *', 'void *', 'void *', 'void *']],
  AddRunConfigEntry: [165, [STATUS, 'void *', 'const char *', 'const char *']],
} as const satisfies Record<string, readonly [place: number, signature: Signature]>;

type Functions = { readonly [F in keyof typeof FUNCTIONS]: ForeignFunction<(typeof FUNCTIONS)[F][1]> };

/** OrtArenaAllocator and OrtMemTypeDefault. */
const ARENA = 1;
const DEFAULT_MEMORY = 0;
/** ORT_LOGGING_LEVEL_FATAL: what fails is reported as an error of the call, and nothing need be printed. */
export const LOG_FATAL = 4;

/** Things that the library hands out. Each is released by the function of its name, once. */
export type Handle = Address;

export class NativeApi {
  readonly call: Functions;
  readonly foreign: Foreign;
  readonly pages: PageSource;
  readonly environment: Handle;
  /** Says of tensors that they are in memory of the CPU. */
  readonly cpuMemory: Handle;
  /** Makes the small things that some functions return. */
  readonly allocator: Handle;
  /** For every run, and for one after which the arena gives back what it does not use. */
  readonly runOptions: { readonly plain: Handle; readonly shrinking: Handle };

  /** `table` is the address of the API's struct. All handles stay for the life of the process. */
  constructor(foreign: Foreign, pages: PageSource, table: Address) {
    const count = 1 + Math.max(...Object.values(FUNCTIONS).map(([place]) => place));
    const places = foreign.addressesAt(table, count);
    this.call = Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, [place, signature]]) => {
        const address = places[place];
        if (!address) throw new TypeError(`ONNX Runtime has no ${name}`);
        return [name, foreign.functionAt(address, signature)];
      }),
    ) as unknown as Functions;
    this.foreign = foreign;
    this.pages = pages;
    // One a process: this is the one that onnxruntime-node made, with its settings.
    this.environment = this.made((out) => this.call.CreateEnv(LOG_FATAL, 'expertd', out));
    this.cpuMemory = this.made((out) => this.call.CreateCpuMemoryInfo(ARENA, DEFAULT_MEMORY, out));
    this.allocator = this.made((out) => this.call.GetAllocatorWithDefaultOptions(out));
    this.runOptions = { plain: this.#newRunOptions(), shrinking: this.#newRunOptions() };
    // onnxruntime_run_options_config_keys.h; the CPU's arena is number 0.
    this.check(
      this.call.AddRunConfigEntry(this.runOptions.shrinking, 'memory.enable_memory_arena_shrinkage', 'cpu:0'),
    );
  }

  /** Throws an Error with what the library says, if the status is one of failure. */
  check(status: Handle | null): void {
    if (status === null) return;
    const message = this.call.GetErrorMessage(status) ?? 'ONNX Runtime does not say why';
    this.call.ReleaseStatus(status);
    throw new Error(message);
  }

  /** What a function writes to its last parameter, `out`. */
  made(call: (out: BigUint64Array) => Handle | null): Handle {
    const out = new BigUint64Array(1);
    this.check(call(out));
    return out[0] ?? 0n;
  }

  /** The same of a function that writes a number. */
  counted(call: (out: BigUint64Array) => Handle | null): number {
    return Number(this.made(call));
  }

  #newRunOptions(): Handle {
    const options = this.made((out) => this.call.CreateRunOptions(out));
    this.check(this.call.RunOptionsSetRunLogSeverityLevel(options, LOG_FATAL));
    return options;
  }
}

let api: Promise<NativeApi | null> | null = null;

/**
 * null where the C API cannot be reached: everything works there through onnxruntime-node. Rejects with `bad_runtime`
 * where not even that is there.
 */
export function openNativeApi(): Promise<NativeApi | null> {
  api ??= reachApi();
  return api;
}

async function reachApi(): Promise<NativeApi | null> {
  await startRuntime();
  const foreign = await openForeign();
  const library = loadedLibrary();
  if (foreign === null || library === null) return null;
  const pages = openPages(foreign);
  const getBase = foreign.find(library, 'OrtGetApiBase');
  if (pages === null || getBase === null) return null;
  const base = foreign.functionAt(getBase, ['void *'])();
  const [getApi] = base === null ? [] : foreign.addressesAt(base, 1);
  const table = getApi ? foreign.functionAt(getApi, ['void *', 'int'])(API_VERSION) : null;
  return table === null ? null : new NativeApi(foreign, pages, table);
}

/** The very file that this process runs: a second copy of the library would have an environment of its own. */
function loadedLibrary(): string | null {
  try {
    const maps = readFileSync('/proc/self/maps', 'utf8');
    return /^(?:\S+\s+){5}(\/.*\/libonnxruntime\.so[.\d]*)$/m.exec(maps)?.[1] ?? null;
  } catch {
    return null;
  }
}
