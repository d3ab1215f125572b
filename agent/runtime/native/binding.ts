/** Which memory a session reads and writes: bound once, it is used in every run, without a copy. */
import type { Tensor } from 'onnxruntime-node';
import type { Address } from '../../linux/foreign.ts';
import type { Handle, NativeApi } from './api.ts';
import { codeOfType } from './element-types.ts';

/** Elements in memory that somebody else owns and keeps for as long as they are bound. */
export interface BoundTensor {
  readonly at: Address;
  readonly bytes: number;
  readonly type: Tensor.Type;
  readonly shape: readonly number[];
}

/** What a run made, in memory of the runtime. */
export interface MadeTensor {
  readonly handle: Handle;
  readonly at: Address;
  readonly shape: readonly number[];
}

export class NativeBinding {
  readonly #api: NativeApi;
  readonly #session: Handle;
  readonly #handle: Handle;
  #released = false;

  constructor(api: NativeApi, session: Handle) {
    this.#api = api;
    this.#session = session;
    this.#handle = api.made((out) => api.call.CreateIoBinding(session, out));
  }

  input(name: string, tensor: BoundTensor): void {
    this.#withValue(tensor, (value) => this.#api.call.BindInput(this.#handle, name, value));
  }

  output(name: string, tensor: BoundTensor): void {
    this.#withValue(tensor, (value) => this.#api.call.BindOutput(this.#handle, name, value));
  }

  /** One memory that is read under a name and written under another. */
  inPlace(input: string, output: string, tensor: BoundTensor): void {
    this.#withValue(tensor, (value) => {
      this.#api.check(this.#api.call.BindInput(this.#handle, input, value));
      return this.#api.call.BindOutput(this.#handle, output, value);
    });
  }

  /** Reads what an earlier run made. */
  madeInput(name: string, tensor: MadeTensor): void {
    this.#api.check(this.#api.call.BindInput(this.#handle, name, tensor.handle));
  }

  /** Lets every run make a new tensor for an output. */
  madeOutput(name: string): void {
    this.#api.check(this.#api.call.BindOutputToDevice(this.#handle, name, this.#api.cpuMemory));
  }

  /**
   * Blocks the thread until the graph has run. Throws an Error with what the library says. `shrink`: the arena gives
   * back what it does not use afterwards, which is all of it but what is still bound.
   */
  run(shrink: boolean): void {
    const { call, runOptions } = this.#api;
    const options = shrink ? runOptions.shrinking : runOptions.plain;
    this.#api.check(call.RunWithBinding(this.#session, options, this.#handle));
  }

  /** Every output in the order in which they were first bound; each is the caller's to `free`. */
  outputs(): readonly MadeTensor[] {
    const { call, allocator, foreign } = this.#api;
    const count = new BigUint64Array(1);
    const list = this.#api.made((out) => call.GetBoundOutputValues(this.#handle, allocator, out, count));
    const handles = list === 0n ? [] : foreign.addressesAt(list, Number(count[0] ?? 0n));
    if (list !== 0n) this.#api.check(call.AllocatorFree(allocator, list));
    const made = handles.filter((handle) => handle !== null);
    try {
      return made.map((handle) => this.#describe(handle));
    } catch (error) {
      for (const handle of made) call.ReleaseValue(handle);
      throw error;
    }
  }

  free(tensor: MadeTensor): void {
    this.#api.call.ReleaseValue(tensor.handle);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#api.call.ReleaseIoBinding(this.#handle);
  }

  /** The binding keeps what it needs of the value. */
  #withValue({ at, bytes, type, shape }: BoundTensor, bind: (value: Handle) => Handle | null): void {
    const { call, cpuMemory } = this.#api;
    const sizes = BigInt64Array.from(shape, BigInt);
    const code = codeOfType(type);
    const value = this.#api.made((out) =>
      call.CreateTensorWithDataAsOrtValue(cpuMemory, at, bytes, sizes, sizes.length, code, out),
    );
    try {
      this.#api.check(bind(value));
    } finally {
      call.ReleaseValue(value);
    }
  }

  #describe(handle: Handle): MadeTensor {
    const { call } = this.#api;
    const info = this.#api.made((out) => call.GetTensorTypeAndShape(handle, out));
    try {
      const rank = this.#api.counted((out) => call.GetDimensionsCount(info, out));
      const sizes = new BigInt64Array(rank);
      this.#api.check(call.GetDimensions(info, sizes, rank));
      const at = this.#api.made((out) => call.GetTensorMutableData(handle, out));
      return { handle, at, shape: [...sizes].map(Number) };
    } finally {
      call.ReleaseTensorTypeAndShapeInfo(info);
    }
  }
}
