/** Where a file of the visitor's goes in a configuration. */
import { parseXlConfig, plainValue, writeSetting } from '../../machine/config';
import type { FileRole } from './sniff';

/** The configuration with this file in this role. */
export function withFile(text: string, role: FileRole, name: string): string {
  if (role === 'kernel') return writeSetting(writeSetting(text, 'kernel', name), 'bios_path_override', null);
  if (role === 'rom') return ['kernel', 'ramdisk', 'cmdline', 'extra', 'root'].reduce((before, key) => writeSetting(before, key, null), writeSetting(text, 'bios_path_override', name));
  const setting = parseXlConfig(text, 'configuration').get('ramdisk');
  const before = setting === undefined ? [] : plainValue(setting.value);
  const list = typeof before === 'string' ? [before] : 'number' in before ? [] : before;
  // A module's name ends at the first space.
  const spec = /\s/.test(name) ? `"${name}"` : name;
  return writeSetting(text, 'ramdisk', list.length === 0 ? spec : [...list, spec]);
}
