/** `expertd fleet`: the group of commands for devices that are many. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { fleetEnrol } from './fleet-enrol.ts';
import { fleetKeygen } from './fleet-keygen.ts';
import { fleetSign } from './fleet-sign.ts';
import { CliError, type Command, EXIT } from './io.ts';

/** `more`: commands of the group that need what only main.ts has. */
export function fleetCommand(more: readonly Command[]): Command {
  const commands = [fleetKeygen, fleetSign, fleetEnrol, ...more];
  const names = commands.map(({ name }) => name);
  const flags: ParseArgsOptionsConfig = Object.assign({}, ...commands.map((one) => one.flags ?? {}));
  return {
    name: 'fleet',
    summary: 'keys, signed documents and enrolment of a fleet of devices',
    commands,
    flags,
    words: { fixed: names },
    usage: `Usage: expertd fleet COMMAND [FLAGS]

${commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

"expertd fleet COMMAND --help" says more.

A device follows nobody's orders until it is enrolled: it is told which keys to trust. Root keys sign key sets, release
keys sign what devices shall be, command keys sign commands. Private keys stay with whoever signs, and off the devices.

  expertd fleet keygen root release command --set keys.json
  expertd fleet enrol kitchen-1 --set keys.json --out kitchen-1.json
  expertd fleet enrol --import kitchen-1.json                            (on the device)
  expertd fleet sign desired.json --key release.key --out desired.envelope.json`,

    async run() {
      throw new CliError(EXIT.usage, 'which command of the fleet?', `There are: ${names.join(', ')}.`);
    },
  };
}
