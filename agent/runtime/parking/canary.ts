/**
 * Whether an expert says the same after it was parked. The runtime, the kernel and the disk each have to keep a promise
 * for that, and none of them would tell that it has not.
 */
import { notParkable, weightsChanged } from './refusal.ts';

/** What is parked, as the canary sees it. */
interface Parked {
  use<T>(work: () => Promise<T>): Promise<T>;
  adopt(): unknown;
  park(): unknown;
  resume(ahead: boolean): Promise<unknown>;
}

/** Answers a question that is always the same, without any memory of earlier ones; its numbers are not used up. */
export type Speak = () => Promise<Float32Array>;

/**
 * The expert's own answer while it is a plain session. Rejects with AgentError `not_parkable` where it is no numbers, or
 * not the same twice: then there is nothing to compare with.
 */
export async function hearGolden(parked: Pick<Parked, 'use'>, speak: Speak): Promise<Float32Array> {
  const golden = Float32Array.from(await parked.use(speak));
  if (golden.length === 0 || !golden.every(Number.isFinite)) throw notParkable('its logits are not numbers');
  if (isSame(golden, await parked.use(speak))) return golden;
  throw notParkable('it does not say the same twice');
}

/**
 * Puts the copy in the place of the weights, and parks and resumes as often as told; the answer must be the golden one to
 * the bit each time. Rejects with AgentError `weights_changed` where one differs: nothing that it says may be trusted any
 * more, so it must be unloaded.
 */
export async function prove(
  parked: Parked,
  golden: Float32Array,
  speak: Speak,
  times: number,
): Promise<void> {
  parked.adopt();
  for (let time = 0; time <= times; time += 1) {
    if (time > 0) {
      parked.park();
      await parked.resume(true);
    }
    const said = await parked.use(speak);
    if (!isSame(golden, said))
      throw weightsChanged(`it said something else after it was parked ${time} times`);
  }
}

/** To the bit: 0 and -0 are two, and nothing is equal to what is no number. */
function isSame(a: Float32Array, b: Float32Array): boolean {
  return bytesOf(a).equals(bytesOf(b));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
