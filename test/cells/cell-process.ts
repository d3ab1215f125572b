/** A cell as the agent starts it, but with the scripted task for `text-generation`; the other tasks are the real ones. */
import { startCell } from '../../agent/runtime/main.ts';
import { findTask } from '../../agent/runtime/tasks/index.ts';
import { openScripted } from './scripted-task.ts';

await startCell(process.argv.slice(2), async (task) =>
  task === 'text-generation' ? openScripted : findTask(task),
);
