/** Errors of the assembler: thrown inside, collected with line numbers by `assemble`. */

export interface AssemblyError {
  /** Line of the source, from 1. */
  readonly line: number;
  readonly message: string;
}

/** A mistake in the source. The line is filled in by whoever knows it. */
export class SourceError extends Error {}

export function mistake(message: string): never {
  throw new SourceError(message);
}
