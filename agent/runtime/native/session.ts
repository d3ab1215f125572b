/** A session of the C API, and the tensors that it reads and writes. */
import type { InferenceSession } from 'onnxruntime-node';
import type { GraphValues } from '../graph.ts';
import { type Handle, LOG_FATAL, type NativeApi } from './api.ts';
import { NativeBinding } from './binding.ts';
import { nameOfType } from './element-types.ts';

type ValueMetadata = InferenceSession.ValueMetadata;
/** A call that writes a handle to its parameter. */
type Maker = (out: BigUint64Array) => Handle | null;

/**
 * As in runtime/session.ts, but with the arena: its blocks are not unmapped between two nodes (70 ms of CPU for 128
 * tokens of a 135M model against 103), and here it can be told to give back what it does not use. The weights stay out
 * of it, so that it can give back all the rest. Threads spin for a moment between two nodes of a run, and not after it:
 * at 2 threads a 135M model said 145 tokens a second without, 196 with 10 us and 212 with 30; beside one busy process 128,
 * 116 and 115, and a third of that with the runtime's own spinning.
 */
const CONFIG = {
  'session.intra_op.allow_spinning': '1',
  'session.intra_op.spin_duration_us': '10',
  'session.force_spinning_stop': '1',
  'session.use_device_allocator_for_initializers': '1',
} as const;

export class NativeSession implements GraphValues {
  readonly inputMetadata: readonly ValueMetadata[];
  readonly outputMetadata: readonly ValueMetadata[];
  readonly #api: NativeApi;
  readonly #handle: Handle;
  #released = false;

  private constructor(api: NativeApi, handle: Handle) {
    const { call } = api;
    this.#api = api;
    this.#handle = handle;
    this.inputMetadata = Array.from(
      { length: api.counted((out) => call.SessionGetInputCount(handle, out)) },
      (_, at) =>
        this.#describeValue(
          (out) => call.SessionGetInputName(handle, at, api.allocator, out),
          (out) => call.SessionGetInputTypeInfo(handle, at, out),
        ),
    );
    this.outputMetadata = Array.from(
      { length: api.counted((out) => call.SessionGetOutputCount(handle, out)) },
      (_, at) =>
        this.#describeValue(
          (out) => call.SessionGetOutputName(handle, at, api.allocator, out),
          (out) => call.SessionGetOutputTypeInfo(handle, at, out),
        ),
    );
  }

  /** Opens a model file; blocks the thread for as long as that takes. Throws an Error with what the library says. */
  static open(api: NativeApi, file: string, threads: number): NativeSession {
    const { call } = api;
    const options = api.made((out) => call.CreateSessionOptions(out));
    try {
      api.check(call.SetIntraOpNumThreads(options, threads));
      api.check(call.SetInterOpNumThreads(options, 1));
      api.check(call.DisableMemPattern(options));
      api.check(call.SetSessionLogSeverityLevel(options, LOG_FATAL));
      for (const [key, value] of Object.entries(CONFIG)) {
        api.check(call.AddSessionConfigEntry(options, key, value));
      }
      return NativeSession.#describe(
        api,
        api.made((out) => call.CreateSession(api.environment, file, options, out)),
      );
    } finally {
      call.ReleaseSessionOptions(options);
    }
  }

  /** Takes over the handle, also where the graph has values that cannot be described. */
  static #describe(api: NativeApi, handle: Handle): NativeSession {
    try {
      return new NativeSession(api, handle);
    } catch (error) {
      api.call.ReleaseSession(handle);
      throw error;
    }
  }

  newBinding(): NativeBinding {
    return new NativeBinding(this.#api, this.#handle);
  }

  /** Its bindings are released before it. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#api.call.ReleaseSession(this.#handle);
  }

  #describeValue(makeName: Maker, makeType: Maker): ValueMetadata {
    const { call, allocator, foreign } = this.#api;
    const nameHandle = this.#api.made(makeName);
    try {
      const name = foreign.textAt(nameHandle);
      const type = this.#api.made(makeType);
      try {
        // A view into `type`; none for what is no tensor.
        const tensor = this.#api.made((out) => call.CastTypeInfoToTensorInfo(type, out));
        if (tensor === 0n) return { name, isTensor: false };
        return { name, isTensor: true, ...this.#describeTensor(tensor) };
      } finally {
        call.ReleaseTypeInfo(type);
      }
    } finally {
      this.#api.check(call.AllocatorFree(allocator, nameHandle));
    }
  }

  #describeTensor(info: Handle): Pick<Extract<ValueMetadata, { isTensor: true }>, 'type' | 'shape'> {
    const { call, foreign } = this.#api;
    const type = new Int32Array(1);
    this.#api.check(call.GetTensorElementType(info, type));
    const rank = this.#api.counted((out) => call.GetDimensionsCount(info, out));
    const sizes = new BigInt64Array(rank);
    const names = new BigUint64Array(rank);
    this.#api.check(call.GetDimensions(info, sizes, rank));
    this.#api.check(call.GetSymbolicDimensions(info, names, rank));
    return {
      type: nameOfType(type[0] ?? 0),
      shape: [...sizes].map((size, at) => (size >= 0n ? Number(size) : foreign.textAt(names[at] ?? 0n))),
    };
  }
}
