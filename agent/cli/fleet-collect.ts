/** `expertd fleet collect`: receives the records of all devices into a database, until it is stopped. */
import { parseFlags } from './flags.ts';
import {
  BROKER_FLAGS,
  BROKER_FLAGS_HELP,
  brokerOf,
  DATABASE_FLAG,
  DATABASE_FLAG_HELP,
  databaseOf,
  type FleetTools,
  orFailed,
} from './fleet-tools.ts';
import { CliError, type Command, EXIT } from './io.ts';

const FLAGS = { ...BROKER_FLAGS, ...DATABASE_FLAG } as const;

export function fleetCollect(tools: FleetTools): Command {
  return {
    name: 'collect',
    flags: FLAGS,
    summary: 'receive the records of all devices into a database',
    usage: `Usage: expertd fleet collect --url URL [FLAGS]

Acknowledges what it has kept; devices keep what it has not. Run one for a root: two would drive each other out.
SIGTERM and SIGINT end it cleanly.

${DATABASE_FLAG_HELP}
${BROKER_FLAGS_HELP}`,

    async run(args, io) {
      const { values, positionals } = parseFlags(args, FLAGS);
      if (positionals.length > 0) throw new CliError(EXIT.usage, 'collect takes no arguments');
      const tell = (line: string): void => void io.stdout.write(`${line}\n`);
      await orFailed(tools.collect(brokerOf(values, io.env), databaseOf(values), tell));
      return EXIT.ok;
    },
  };
}
