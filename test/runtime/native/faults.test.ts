/** Every call of the C API and every mapping fails once, half-way through a conversation: nothing is left behind. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Pages } from '../../../agent/linux/pages.ts';
import type { CacheKind } from '../../../agent/runtime/generation/sharing.ts';
import { type Handle, NativeApi, openNativeApi } from '../../../agent/runtime/native/api.ts';
import { NativeModel } from '../../../agent/runtime/native/model.ts';
import { folder, type Package, tinyPackage } from '../generation/asking.ts';
import { countingPackage } from '../generation/counting-package.ts';

const api = await openNativeApi();
const skip = api === null && 'the C API of ONNX Runtime cannot be reached here';

type Name = keyof NativeApi['call'];
type AnyCall = (...values: readonly unknown[]) => Handle | null;

/** What a function hands out, and which of its parameters it writes that to. */
const MADE: Partial<Record<Name, string>> = {
  CreateSessionOptions: 'options',
  CreateSession: 'session',
  CreateTensorWithDataAsOrtValue: 'value',
  CreateIoBinding: 'binding',
  SessionGetInputTypeInfo: 'type',
  SessionGetOutputTypeInfo: 'type',
  GetTensorTypeAndShape: 'shape',
  SessionGetInputName: 'memory',
  SessionGetOutputName: 'memory',
};
const RELEASED: Partial<Record<Name, string>> = {
  ReleaseSessionOptions: 'options',
  ReleaseSession: 'session',
  ReleaseValue: 'value',
  ReleaseIoBinding: 'binding',
  ReleaseTypeInfo: 'type',
  ReleaseTensorTypeAndShapeInfo: 'shape',
  AllocatorFree: 'memory',
};

/** An API that counts what is there, and one call of which fails. */
class FailingApi {
  /** Calls that may fail, so far. */
  calls = 0;
  readonly #real: NativeApi;
  readonly #failing: number;
  readonly #there = new Map<string, number>();

  constructor(real: NativeApi, failing: number) {
    this.#real = real;
    this.#failing = failing;
  }

  /** What was made and not released. */
  get left(): readonly (readonly [string, number])[] {
    return [...this.#there].filter(([, count]) => count !== 0);
  }

  open(): NativeApi {
    const names = Object.keys(this.#real.call) as Name[];
    const call = Object.fromEntries(names.map((name) => [name, this.#wrapped(name)]));
    const { pageBytes, copy } = this.#real.pages;
    const pages = { pageBytes, copy, map: (bytes: number) => this.#map(bytes) };
    return Object.assign(Object.create(NativeApi.prototype), this.#real, { call, pages });
  }

  #wrapped(name: Name): AnyCall {
    const real = this.#real.call[name] as AnyCall;
    const [made, released] = [MADE[name], RELEASED[name]];
    if (released !== undefined) {
      return (...values) => {
        this.#count(released, -1);
        return real(...values);
      };
    }
    return (...values) => {
      this.#mayFail();
      const status = real(...values);
      if (made !== undefined) this.#count(made, 1);
      if (name === 'GetBoundOutputValues') {
        this.#count('memory', 1);
        this.#count('value', Number((values[3] as BigUint64Array)[0]));
      }
      return status;
    };
  }

  #map(bytes: number): Pages {
    this.#mayFail();
    const pages = this.#real.pages.map(bytes);
    this.#count('pages', 1);
    return {
      address: pages.address,
      bytes,
      discard: (from, to) => pages.discard(from, to),
      release: () => {
        this.#count('pages', -1);
        pages.release();
      },
    };
  }

  #mayFail(): void {
    if (this.calls++ === this.#failing) throw new Error('failed on purpose');
  }

  #count(what: string, change: number): void {
    this.#there.set(what, (this.#there.get(what) ?? 0) + change);
  }
}

/** Opens, says something, shares it, forgets some of it, grows beyond the first room, and ends. */
async function converse(native: NativeApi, { directory, manifest }: Package): Promise<CacheKind> {
  const model = await NativeModel.open(native, manifest, join(directory, manifest.model.path), 1);
  try {
    const one = model.begin();
    await one.append(Array.from({ length: 100 }, (_, at) => at % 8));
    await one.predict([5]);
    const other = one.fork(60);
    await other.predict([1, 2, 3]);
    one.truncate(20);
    await one.predict(Array.from({ length: 600 }, (_, at) => at % 8));
    return model.cache;
  } finally {
    await model.release();
  }
}

for (const [kind, make] of [
  ['shared', (t: TestContext) => tinyPackage(t)],
  ['growing', (t: TestContext) => countingPackage(folder(t))],
] as const) {
  test(`a ${kind} cache`, { skip }, async (t) => {
    assert.ok(api !== null);
    const files = make(t);
    const whole = new FailingApi(api, Number.POSITIVE_INFINITY);
    assert.equal(await converse(whole.open(), files), kind);
    assert.deepEqual(whole.left, []);
    for (let failing = 0; failing < whole.calls; failing += 1) {
      const failed = new FailingApi(api, failing);
      // Where only the shared cache fails to be tried, the growing one is taken.
      await converse(failed.open(), files).catch((error: unknown) =>
        assert.match(String(error), /on purpose/),
      );
      assert.ok(failed.calls > failing);
      assert.deepEqual(failed.left, [], `after call ${failing}`);
    }
  });
}
