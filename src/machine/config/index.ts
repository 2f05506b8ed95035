/** Machine configurations: the xl.cfg format and what it means here. */
export { ConfigError } from './config-error';
export type { ConfigWarning } from './config-error';
export { interpretSettings, KNOWN_KEYS, moduleSpec, readMachineConfig } from './interpret';
export type { BootSpec, MachineConfig, ModuleSpec } from './machine-config';
export { applySetting, parseXlConfig } from './xl-parser';
export { applyChanges, changesBetween, plainValue, valueText, writeSetting } from './xl-edit';
export type { PlainValue } from './xl-edit';
export type { XlSettings } from './xl-parser';
