/** A boot file that cannot be loaded: says which file and what is wrong with it, for the person who named it. */
export class LoadError extends Error {
  readonly file: string;
  readonly reason: string;

  constructor(file: string, reason: string) {
    super(`${file}: ${reason}`);
    this.name = 'LoadError';
    this.file = file;
    this.reason = reason;
  }
}
