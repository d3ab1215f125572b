/** `expertd remove`: takes away an expert that was added by hand, once the running agent has let go of it. */
import type { ExpertView } from '../service.ts';
import { type Additions, orFail, PLACE_FLAGS_HELP, placeOf, tellAgent } from './add.ts';
import { type AgentClient, findAgent } from './client.ts';
import { parseFlags } from './flags.ts';
import { CliError, type Command, EXIT, type Io } from './io.ts';
import { printable } from './print.ts';

const FLAGS = {
  config: { type: 'string' },
  'state-dir': { type: 'string' },
  'experts-dir': { type: 'string' },
} as const;
/** Between two looks at whether the agent has let go. */
const LOOK_MS = 200;

export function removeCommand(additions: Additions): Command {
  return {
    name: 'remove',
    flags: FLAGS,
    words: { of: 'experts' },
    summary: 'remove an expert that was added by hand',
    usage: `Usage: expertd remove [FLAGS] ID

Removes what "expertd add" has added: the agent ends the requests that run, lets go of it, and its files are deleted.
Experts that ship with expertd or that the configuration names are not removed: it says where they come from.

${PLACE_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      const [id, ...more] = positionals;
      if (id === undefined || more.length > 0) throw new CliError(EXIT.usage, 'one expert at a time');
      const where = placeOf(values, io);
      const { stateDir, wasThere } = await orFail(additions.remove(id, where));
      const { running, problem } = await tellAgent(stateDir, io);
      if (running && problem === null) {
        await untilGone(findAgent({ 'state-dir': stateDir }, io), id, io);
        // What was prepared of it was in use until now: the agent removes it when it looks again.
        await tellAgent(stateDir, io);
      }
      await orFail(additions.tidy(where));
      io.stdout.write(
        printable(wasThere ? `Removed ${id}.\n` : `There was no ${id} that was added by hand.\n`),
      );
      if (problem === null) return EXIT.ok;
      io.stderr.write(printable(`The running agent did not let go of it: ${problem}\n`));
      return EXIT.failed;
    },
  };
}

/** Until the agent has no expert of this id that was added by hand: one that was hidden by it may have come back. */
async function untilGone(agent: AgentClient, id: string, io: Io): Promise<void> {
  for (let told = false; ; told = true) {
    const { value } = await agent.get<{ experts: ExpertView[] }>('/expertd/v1/experts');
    const view = value.experts.find((one) => one.id === id);
    // One that is leaving has no package any more, and null says so.
    if (view === undefined || (view.origin !== 'added' && view.origin !== null)) return;
    if (!told) io.stderr.write(printable(`Waiting until the agent has let go of ${id} (${view.state}).\n`));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
