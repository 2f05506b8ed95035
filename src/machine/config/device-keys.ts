/**
 * Keys for devices that this machine does not have yet: their values are checked as xl does, so that a wrong file is
 * refused today as it will be tomorrow, and then they are reported as having no effect.
 */
import type { KeyReader } from './key-values';

const DISK_FORMATS = ['raw', 'qcow', 'qcow2', 'vhd', 'qed', ''];
const DISK_ACCESS = ['ro', 'r', 'w', 'rw'];
const DISK_FLAGS = ['cdrom', 'discard', 'no-discard', 'direct-io-safe', 'devtype=cdrom', 'devtype=disk'];
const DISK_KEYS = ['format', 'vdev', 'access', 'script', 'backend', 'backendtype', 'devtype'];
const DISK_NAME = /^(hd[a-d]|sd[a-z]|xvd[a-z]{1,2}|d\d+(p\d+)?)\d*$/;
const NIC_KEYS = ['model', 'mac', 'bridge', 'ip', 'type', 'script', 'ifname', 'vifname', 'rate', 'gatewaydev', 'netdev', 'backend'];
const MAC = /^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/;

/** What is wrong with a disk specification (xl-disk-configuration(5)), or null. */
export function diskProblem(spec: string): string | null {
  const rest = spec.replace(/^(file|phy|tap2?|aio|tapdisk|qcow2?|vhd|raw):/, '');
  const positional: string[] = [];
  for (const part of rest.split(/\s*,\s*/)) {
    const [key, ...value] = part.split('=');
    if (key === 'target') break;
    if (DISK_FLAGS.includes(part)) continue;
    if (value.length === 0) {
      positional.push(part.trim());
      continue;
    }
    if (!DISK_KEYS.includes(key.trim())) return `unknown disk parameter \`${key}\``;
    const problem = diskField(key.trim(), value.join('=').trim());
    if (problem !== null) return problem;
  }
  if (positional.length > 4) return 'more than target, format, vdev and access without names';
  const [, format, vdev, access] = positional;
  // The deprecated prefixes leave the format out.
  if (rest !== spec) return diskField('vdev', format ?? '') ?? (vdev === undefined ? null : diskField('access', vdev));
  return (format === undefined ? null : diskField('format', format)) ?? (vdev === undefined ? null : diskField('vdev', vdev))
    ?? (access === undefined ? null : diskField('access', access));
}

function diskField(key: string, value: string): string | null {
  if (key === 'format' && !DISK_FORMATS.includes(value)) return `\`${value}\` is not a disk format: raw, qcow, qcow2, vhd, qed`;
  if (key === 'vdev' && !DISK_NAME.test(value.replace(/:cdrom$/, ''))) return `\`${value}\` is not a disk name such as hda, sdb or xvda`;
  if (key === 'access' && !DISK_ACCESS.includes(value)) return `\`${value}\` is not an access mode: ro, r, w, rw`;
  return null;
}

/** What is wrong with a network specification (xl-network-configuration(5)), or null. */
export function nicProblem(spec: string): string | null {
  for (const part of spec.split(',').map((text) => text.trim())) {
    if (part === '') continue;
    const [key, ...value] = part.split('=');
    if (value.length === 0) return `\`${part}\` is not NAME=VALUE`;
    if (!NIC_KEYS.includes(key.trim())) return `unknown network parameter \`${key}\``;
    if (key.trim() === 'mac' && !MAC.test(value.join('='))) return `\`${value.join('=')}\` is not a MAC address`;
  }
  return null;
}

/** Checks the device keys present and warns that they have no effect. */
export function checkDeviceKeys(keys: KeyReader): void {
  const unsupported = (key: string): void => {
    if (keys.has(key)) keys.warn(key, 'not supported yet, has no effect');
  };
  for (const { text, line } of keys.strings('disk')) {
    const problem = diskProblem(text);
    if (problem !== null) keys.fail('disk', problem, line);
  }
  for (const { text, line } of keys.strings('vif')) {
    const problem = nicProblem(text);
    if (problem !== null) keys.fail('vif', problem, line);
  }
  keys.oneOf('hdtype', ['ide', 'ahci']);
  const order = keys.string('boot');
  if (order !== undefined && !/^[cdn]*$/.test(order)) keys.fail('boot', `\`${order}\` is not a boot order: letters c, d, n`);
  keys.oneOf('bios', ['seabios', 'rombios', 'ovmf']);
  keys.oneOf('firmware', ['bios', 'seabios', 'rombios', 'uefi', 'ovmf']);
  keys.strings('usbdevice');
  keys.strings('soundhw');
  for (const key of ['disk', 'vif', 'hdtype', 'boot', 'bios', 'firmware', 'usbdevice', 'soundhw']) unsupported(key);
  if (keys.boolean('usb') === true) unsupported('usb');
  // Where the display is shown: the page does, and the command line as its options say.
  for (const key of ['vnc', 'sdl', 'nographic', 'spice', 'opengl']) keys.boolean(key);
  const viridian = keys.value('viridian');
  if (viridian?.kind === 'list' || keys.boolean('viridian') === true) {
    keys.warn('viridian', 'Hyper-V enlightenments are not offered; has no effect');
  }
}
