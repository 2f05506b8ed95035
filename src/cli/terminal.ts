/** Connects a serial port to the terminal that the command runs in. */

const CTRL_A = 1, QUIT = 'x'.charCodeAt(0);

/** Starts reading; `quit` is called at Ctrl-A x. Ctrl-A twice sends one. Returns the function that ends it. */
export function connectTerminal(type: (bytes: Uint8Array) => void, quit: () => void): () => void {
  const { stdin } = process;
  const raw = stdin.isTTY;
  let escaped = false;
  const onData = (chunk: Buffer): void => {
    const bytes: number[] = [];
    for (const byte of chunk) {
      if (raw && !escaped && byte === CTRL_A) {
        escaped = true;
        continue;
      }
      if (escaped && byte === QUIT) {
        quit();
        return;
      }
      escaped = false;
      bytes.push(byte);
    }
    type(Uint8Array.from(bytes));
  };
  if (raw) stdin.setRawMode(true);
  stdin.on('data', onData);
  stdin.resume();
  return () => {
    stdin.off('data', onData);
    if (raw) stdin.setRawMode(false);
    stdin.pause();
  };
}
