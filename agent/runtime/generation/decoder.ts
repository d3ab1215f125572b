/** Opens the language model of a package. */
import { join } from 'node:path';
import { openNativeApi } from '../native/api.ts';
import { NativeModel } from '../native/model.ts';
import { openGraph, packageFile } from '../session.ts';
import type { TaskContext } from '../task.ts';
import type { Model } from './model.ts';
import { PortableModel } from './portable.ts';

/**
 * Opens the graph that was prepared on this device if there is one, else the package's own. Rejects with `bad_expert`
 * where the file leaves the package or is not listed in it, the runtime refuses it or cannot run it, or it has other
 * inputs and outputs than the manifest says or a language model needs. Where `reachApi` finds no C API, the model works
 * through onnxruntime-node, slower.
 */
export async function openModel(
  { manifest, directory, prepared, threads }: TaskContext,
  reachApi = openNativeApi,
): Promise<Model> {
  const file =
    prepared?.model != null
      ? join(prepared.directory, prepared.model)
      : packageFile(directory, manifest, manifest.model.path);
  const api = await reachApi();
  if (api !== null) return await NativeModel.open(api, manifest, file, threads, prepared?.decoder ?? null);
  return await PortableModel.open(manifest, await openGraph(manifest, file, threads));
}
