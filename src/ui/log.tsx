/** Remarks of the machine and on its configuration: a panel of the dock. */
export function Log({ lines }: { lines: readonly string[] }) {
  return lines.length === 0 ? <p className="log">Nothing so far.</p> : <ol className="log">{lines.map((line, index) => <li key={index}>{line}</li>)}</ol>;
}
