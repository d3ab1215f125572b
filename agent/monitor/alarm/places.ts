/** Where this device can tell of a shortage of memory, before anything is opened. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { findMemoryGroups } from '../../linux/control-groups.ts';
import { hasGroupLevel } from './group-level.ts';
import { openPsiTrigger } from './psi-trigger.ts';
import type { AlarmFile } from './source.ts';

export interface Roots {
  readonly procRoot: string;
  readonly sysRoot: string;
}

export interface AlarmPlaces {
  /** Open already: whether the kernel permits a trigger shows when one is set. */
  readonly triggers: readonly AlarmFile[];
  /** Folders of groups of version 1, the own one first. */
  readonly levels: readonly string[];
  /** Files of groups of version 2, that of the own one first. */
  readonly events: readonly string[];
}

export const NAMES = {
  device: 'PSI of the device',
  group: 'PSI of the control group',
  level: 'pressure level of the control group',
  events: 'events of the control group',
} as const;

/** A limit may be set on any group above the own one, and its events are told there. */
export function findAlarmPlaces({ procRoot, sysRoot }: Roots): AlarmPlaces {
  const groups = findMemoryGroups(procRoot, sysRoot);
  const [first, second] = ([1, 2] as const).map((version) =>
    groups.filter((group) => group.version === version).map(({ folder }) => folder),
  );
  const [own] = second ?? [];
  return {
    triggers: [
      openPsiTrigger(NAMES.device, join(procRoot, 'pressure/memory')),
      own === undefined ? null : openPsiTrigger(NAMES.group, join(own, 'memory.pressure')),
    ].filter((trigger) => trigger !== null),
    levels: (first ?? []).filter(hasGroupLevel),
    events: (second ?? []).map((folder) => join(folder, 'memory.events')).filter(isReadable),
  };
}

/** Names of the alarms that an agent would have here, nothing kept open. */
export function possibleAlarms(roots: Roots): readonly string[] {
  const { triggers, levels, events } = findAlarmPlaces(roots);
  for (const trigger of triggers) trigger.close();
  return [
    ...triggers.map(({ name }) => name),
    ...(levels.length > 0 ? [NAMES.level] : []),
    ...(events.length > 0 ? [NAMES.events] : []),
  ];
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
