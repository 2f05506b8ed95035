/** Keys that a touch keyboard lacks; Ctrl holds for the next key. */
import { useState } from 'react';

const KEYS = [['Esc', '\x1b'], ['Tab', '\t'], ['↑', '\x1b[A'], ['↓', '\x1b[B'], ['←', '\x1b[D'], ['→', '\x1b[C']] as const;
/** Shown while Ctrl holds. */
const CONTROL_KEYS = ['C', 'D', 'Z', 'L', 'A', 'E'] as const;

export function KeyBar({ title, type }: { title: string; type(text: string): void }) {
  const [control, setControl] = useState(false);
  return (
    <div className="keys" role="group" aria-label={`Keys for ${title}`}>
      <button type="button" aria-pressed={control} onClick={() => setControl(!control)}>Ctrl</button>
      {!control && KEYS.map(([label, text]) => <button key={label} type="button" onClick={() => type(text)}>{label}</button>)}
      {control && CONTROL_KEYS.map((letter) => (
        <button
          key={letter} type="button" aria-label={`Ctrl-${letter}`}
          onClick={() => {
            setControl(false);
            type(String.fromCharCode(letter.charCodeAt(0) - 0x40));
          }}
        >^{letter}</button>
      ))}
    </div>
  );
}
