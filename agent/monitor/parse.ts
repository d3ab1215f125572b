/** From the text of kernel files to numbers. Pure; null is "no data": a file of another form says nothing. */

/** Largest limit that means one: control groups write "no limit" as `max` (v2) or as a number near 2^63 (v1). */
const LARGEST_LIMIT_BYTES = 2 ** 50;

/** `avg10` of one line (`some` or `full`) of a PSI file, in percent (Documentation/accounting/psi.rst). */
export function parsePsiAvg10(text: string, line: 'some' | 'full'): number | null {
  const match = new RegExp(`^${line} avg10=([0-9]{1,3}\\.[0-9]{1,2})\\b`, 'm').exec(text);
  return match === null ? null : Number(match[1]);
}

/** A limit of a control group in bytes; null for no limit and for no data. */
export function parseCgroupLimit(text: string): number | null {
  const trimmed = text.trim();
  if (!/^[0-9]{1,20}$/.test(trimmed)) return null;
  const bytes = Number(trimmed);
  return bytes > 0 && bytes < LARGEST_LIMIT_BYTES ? bytes : null;
}

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Path below the mount of the hierarchy. */
  readonly path: string;
}

/** Where a process stands in the hierarchies that know memory, from `/proc/PID/cgroup` (cgroups(7)). */
export function parseCgroupPlaces(text: string): CgroupPlace[] {
  const places: CgroupPlace[] = [];
  for (const line of text.split('\n')) {
    const [id, controllers, ...rest] = line.split(':');
    const path = rest.join(':');
    if (id === undefined || controllers === undefined || !path.startsWith('/')) continue;
    if (id === '0' && controllers === '') places.push({ version: 2, path });
    else if (controllers.split(',').includes('memory')) places.push({ version: 1, path });
  }
  return places;
}
