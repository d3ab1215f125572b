/** The tasks by name. Each is imported when the first expert of its kind is loaded: a cell pays for what it hosts. */
import type { Manifest } from '../../catalog/manifest.ts';
import type { OpenTask } from '../task.ts';

/** The opener of the task that a manifest names. */
export async function findTask(task: Manifest['task']): Promise<OpenTask> {
  switch (task) {
    case 'feature-extraction':
      return (await import('./embedding.ts')).openEmbedding;
    case 'text-classification':
      return (await import('./classification.ts')).openClassification;
    case 'retrieval':
      return (await import('./retrieval.ts')).openRetrieval;
    case 'text-generation':
      return (await import('./generation.ts')).openGeneration;
    case 'token-classification':
      return (await import('./rewriting.ts')).openRewriting;
    case 'tensor':
      return (await import('./tensor.ts')).openTensor;
  }
}
