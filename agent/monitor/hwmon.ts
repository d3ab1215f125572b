/** Hardware monitors by the name of their chip (Documentation/hwmon/sysfs-interface). Their numbers change at each boot. */
import { join } from 'node:path';
import { namesIn, readWord } from '../linux/kernel-files.ts';

/** The folders of all monitors of that name. */
export function findHwmon(sysRoot: string, chip: string): readonly string[] {
  const root = join(sysRoot, 'class/hwmon');
  return namesIn(root)
    .map((name) => join(root, name))
    .filter((folder) => readWord(join(folder, 'name')) === chip);
}
