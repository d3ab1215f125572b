/** `expertd fleet ...` alone, as a process: `node operator-main.ts COMMAND ...`. */
import { dispatch } from '../../../agent/cli/dispatch.ts';
import { fleetCommand } from '../../../agent/cli/fleet.ts';
import { operatorCommands } from '../../../agent/cli/fleet-operator.ts';
import { fleetTools } from '../../../agent/collecting.ts';

const { stdout, stderr, stdin, env } = process;
const io = { stdout, stderr, stdin, env, isTTY: false };
const commands = [fleetCommand(operatorCommands(fleetTools))];
process.exitCode = await dispatch(['fleet', ...process.argv.slice(2)], commands, '1.2.3', io);
