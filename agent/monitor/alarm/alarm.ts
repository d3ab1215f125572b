/**
 * Tells that memory becomes short between two samples, by whatever this device offers: PSI triggers, pressure levels of
 * control groups of version 1, events of those of version 2. Where it offers nothing, samples alone have to do.
 */
import type { FSWatcher } from 'node:fs';
import { openForeign } from '../../linux/foreign.ts';
import { Poller } from '../../linux/poller.ts';
import { Bell } from './bell.ts';
import { watchGroupEvents } from './group-events.ts';
import { openGroupLevel } from './group-level.ts';
import { type AlarmPlaces, findAlarmPlaces, NAMES, type Roots } from './places.ts';
import type { AlarmFile, AlarmLog } from './source.ts';
import { Vigil } from './vigil.ts';

export interface AlarmOptions extends Partial<Roots> {
  /** At most twice a second, and less often while they never end. */
  readonly onAlarm: () => void;
  readonly log: AlarmLog;
  /** How C functions are reached. */
  readonly reach?: typeof openForeign;
}

export interface Alarm {
  /** What is armed, for people; empty where the device offers nothing. */
  readonly sources: readonly string[];
  /** No alarm is told after it. An alarm that is not stopped keeps the process running. */
  stop(): void;
}

/** Arms what there is, and logs once what that is. Never rejects. */
export async function openAlarm(options: AlarmOptions): Promise<Alarm> {
  const { onAlarm, log, reach = openForeign, procRoot = '/proc', sysRoot = '/sys' } = options;
  const places = findAlarmPlaces({ procRoot, sysRoot });
  const bell = new Bell(onAlarm);
  const onEvent = (): void => bell.ring();
  const watchers = places.events.map((path) => watchGroupEvents(path, onEvent)).filter(isOpen);
  const { files, vigil } = await keepVigil(places, onEvent, log, reach);
  const sources = [
    ...new Set([...files.map(({ name }) => name), ...(watchers.length > 0 ? [NAMES.events] : [])]),
  ];
  if (sources.length > 0) log.info({ sources }, 'memory alarms are armed');
  else log.info({}, 'this device tells of no shortage of memory by itself: samples alone see it');
  return {
    sources,
    stop: () => {
      bell.stop();
      vigil?.stop();
      for (const watcher of watchers) watcher.close();
    },
  };
}

interface Kept {
  readonly files: readonly AlarmFile[];
  readonly vigil: Vigil | null;
}

const NOTHING: Kept = { files: [], vigil: null };

/** C functions cost the agent 1.3 MB, measured: they are reached only where they are of use. */
async function keepVigil(
  { triggers, levels }: AlarmPlaces,
  onEvent: () => void,
  log: AlarmLog,
  reach: typeof openForeign,
): Promise<Kept> {
  if (triggers.length === 0 && levels.length === 0) return NOTHING;
  const foreign = await reach();
  const poller = foreign === null ? null : Poller.open(foreign);
  if (poller === null) {
    for (const trigger of triggers) trigger.close();
    return NOTHING;
  }
  const opened = levels.map((folder) => openGroupLevel(NAMES.level, folder, poller)).filter(isOpen);
  const files: readonly AlarmFile[] = [...triggers, ...opened];
  const vigil = new Vigil({ poller, files, onEvent, log });
  void vigil.keep();
  return { files, vigil };
}

function isOpen<T extends AlarmFile | FSWatcher>(source: T | null): source is T {
  return source !== null;
}
