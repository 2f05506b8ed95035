/** A configuration that is refused: where, which key, and why. */
export class ConfigError extends Error {
  readonly file: string;
  /** From 1; 0 when the error belongs to no line (something is missing). */
  readonly line: number;
  /** Empty for a syntax error. */
  readonly key: string;
  readonly reason: string;

  constructor(file: string, line: number, key: string, reason: string) {
    super(`${line > 0 ? `${file}:${line}` : file}: ${key === '' ? '' : `${key}: `}${reason}`);
    this.name = 'ConfigError';
    this.file = file;
    this.line = line;
    this.key = key;
    this.reason = reason;
  }
}

/** Something in a configuration that has no effect, or not the one it has on Xen. */
export interface ConfigWarning {
  line: number;
  key: string;
  message: string;
}
