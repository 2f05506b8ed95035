/** A modal dialog: the browser's own, which keeps the focus inside and closes by Escape or a click beside it. */
import { useEffect, useRef } from 'react';
import type { ReactNode } from 'react';
import { Icon } from '../icons';

interface Props {
  title: string;
  open: boolean;
  close(): void;
  className?: string;
  children: ReactNode;
}

export function Dialog({ title, open, close, className = '', children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null || dialog.open === open) return;
    if (open) dialog.showModal();
    else dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element} className={`dialog ${className}`} aria-label={title} onClose={close}
      onClick={(event) => {
        if (event.target === element.current) close();
      }}
    >
      <div className="dialog-body">
        <div className="dialog-head">
          <h2>{title}</h2>
          <button type="button" className="tool" aria-label="Close" title="Close (Escape)" onClick={close}><Icon name="close" /></button>
        </div>
        {open && children}
      </div>
    </dialog>
  );
}
