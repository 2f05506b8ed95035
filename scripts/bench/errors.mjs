/** What people can do something about: told without a stack trace. */
export class BenchError extends Error {}
