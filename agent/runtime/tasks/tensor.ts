/**
 * `tensor`: raw tensors in, raw tensors out, by any graph. What the numbers mean is between the graph and whoever asks;
 * that they have the declared names, types and shapes is checked here, before the graph sees them.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask, Elements, NamedTensor } from '../../ports.ts';
import {
  elementCount,
  inputFault,
  isElementType,
  outputFault,
  parseDeclared,
  type TensorFault,
} from '../../tensors.ts';
import { plainMessage } from '../failure.ts';
import { badExpert, openChecked, wrongTask } from '../graph.ts';
import type { OpenTask, Task, TaskRun } from '../task.ts';

type TensorAsk = Extract<Ask, { kind: 'tensors' }>;

/** Rejects with `bad_expert` where the graph has other values than declared, or some of a type that cannot be sent. */
export const openTensor: OpenTask = async (context) => {
  const { manifest } = context;
  checkTypes(manifest);
  return new TensorTask(manifest, await openChecked(context));
};

class TensorTask implements Task {
  readonly #manifest: Manifest;
  readonly #session: InferenceSession;

  constructor(manifest: Manifest, session: InferenceSession) {
    this.#manifest = manifest;
    this.#session = session;
  }

  /** Rejects with `bad_input`, which names the tensor, and where the graph refuses what has the declared shape. */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'tensors') throw wrongTask(this.#manifest, 'a request without tensors');
    if (run.cancelled()) throw new AgentError('cancelled', 'The request was cancelled.');
    const names = this.#check(ask);
    const feeds = Object.fromEntries(ask.inputs.map((tensor) => [tensor.name, toRuntime(tensor)]));
    const startMs = performance.now();
    const values = await this.#session.run(feeds, names).catch((error: unknown) => {
      throw this.#refused(error);
    });
    run.spent('run', performance.now() - startMs);
    return { kind: 'tensors', outputs: names.map((name) => fromRuntime(name, values[name])), inputTokens: 0 };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  /** Names of the outputs to compute. */
  #check({ inputs, outputs }: TensorAsk): readonly string[] {
    const { model } = this.#manifest;
    const names = outputs ?? Object.keys(model.outputs);
    const fault = inputFault(inputs, model.inputs) ?? outputFault(names, model.outputs);
    if (fault !== null) throw this.#badInput(fault);
    const odd = inputs.find(({ shape, data }) => elementCount(shape) !== data.length);
    if (odd !== undefined) {
      const message = `input "${odd.name}" has ${odd.data.length} elements, which do not fill its shape`;
      throw this.#badInput({ side: 'input', name: odd.name, message });
    }
    return names;
  }

  #badInput({ message }: Pick<TensorFault, 'message'> & Partial<TensorFault>): AgentError {
    const { id } = this.#manifest;
    return new AgentError('bad_input', `${message}.`, { hint: `GET /v2/models/${id} shows what it takes.` });
  }

  /**
   * A graph fails on inputs of the declared shape where their values or sizes do not go together (an index beyond a
   * table, sizes that cannot be broadcast): the fault of whoever sent them. Want of memory is not.
   */
  #refused(error: unknown): AgentError {
    const said = plainMessage(error);
    if (/alloc/i.test(said))
      return new AgentError('run_failed', `The memory for the run is missing: ${said}`);
    return new AgentError('bad_input', `The graph of ${this.#manifest.id} refused these inputs: ${said}`);
  }
}

function checkTypes(manifest: Manifest): void {
  const { inputs, outputs } = manifest.model;
  for (const [name, text] of [...Object.entries(inputs), ...Object.entries(outputs)]) {
    const declared = parseDeclared(text);
    if (declared === null)
      throw badExpert(manifest, `"${name}" is declared as "${text}", not as type[sizes]`);
    if (!isElementType(declared.type))
      throw badExpert(manifest, `"${name}" has elements of type ${declared.type}, which cannot be sent`);
  }
}

function toRuntime({ type, shape, data }: NamedTensor): Tensor {
  if (type === 'string') return new Tensor('string', [...(data as readonly string[])], [...shape]);
  const tensor = new Tensor(type, data as Float32Array, [...shape]);
  // The binding takes the length of a Float16Array for zero, and the constructor makes one of any bits it is given:
  // microsoft/onnxruntime#26791, #32323. The bits themselves are read as they should be.
  if (type === 'float16') Object.defineProperty(tensor, 'data', { value: data });
  return tensor;
}

function fromRuntime(name: string, value: Tensor | undefined): NamedTensor {
  if (value === undefined || !isElementType(value.type))
    throw new AgentError('run_failed', `The graph gave no tensor "${name}".`);
  const { type, dims } = value;
  return {
    name,
    type,
    shape: [...dims],
    data: type === 'float16' ? bitsOf(value.data) : (value.data as Elements),
  };
}

/** The runtime answers with an array of half-precision floats; what travels is their bits. */
function bitsOf(data: Tensor['data']): Uint16Array {
  const { buffer, byteOffset, length } = data as unknown as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}
