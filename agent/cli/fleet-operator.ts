/** The commands of `expertd fleet` that need a broker or a collector's database. */
import { fleetCmd } from './fleet-cmd.ts';
import { fleetCollect } from './fleet-collect.ts';
import { fleetDevices, fleetRecords } from './fleet-lists.ts';
import type { FleetTools } from './fleet-tools.ts';
import { fleetTwin } from './fleet-twin.ts';
import type { Command } from './io.ts';

export function operatorCommands(tools: FleetTools): readonly Command[] {
  return [fleetCollect(tools), fleetDevices(tools), fleetRecords(tools), fleetTwin(tools), fleetCmd(tools)];
}
