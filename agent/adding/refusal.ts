/** Why a folder does not become an expert. */
import { AgentError } from '../errors.ts';

/** Every refusal says what would help. */
export function refusal(message: string, hint: string, cause?: unknown): AgentError {
  return new AgentError('not_addable', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

/** What `optimum-cli` is to be called with, for each task. */
export type ExportTask = 'text-generation-with-past' | 'text-classification' | 'feature-extraction';

export function exportHint(task: ExportTask | null): string {
  const chosen = task === null ? '' : ` --task ${task}`;
  return `Export it: pip install optimum-onnx && optimum-cli export onnx --model OWNER/NAME${chosen} FOLDER`;
}
