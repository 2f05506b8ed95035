/** Remarks of the machine and on its configuration, and how to leave a console; at the foot of the page. */
export function Log({ lines }: { lines: readonly string[] }) {
  return (
    <footer className="foot">
      <details>
        <summary>Machine log ({lines.length})</summary>
        {lines.length === 0 ? <p>Nothing so far.</p> : <ol>{lines.map((line, index) => <li key={index}>{line}</li>)}</ol>}
      </details>
      <p className="chord">Keys go to the console with the focus. <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>.</kbd> leaves it.</p>
    </footer>
  );
}
