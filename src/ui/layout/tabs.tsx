/** A tab strip (ARIA tabs pattern: arrows move, one stop for Tab) and the panels it chooses from. All panels stay mounted: what they show must survive. */
import { useId } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';

export interface Tab {
  id: string;
  label: ReactNode;
  title?: string;
  className?: string;
}

interface StripProps {
  label: string;
  tabs: readonly Tab[];
  chosen: string | null;
  choose(id: string): void;
  /** Prefix of the ids of tabs and panels. */
  prefix: string;
}

export function TabStrip({ label, tabs, chosen, choose, prefix }: StripProps) {
  const key = (event: KeyboardEvent<HTMLDivElement>): void => {
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const to = event.key === 'ArrowRight' ? at + 1 : event.key === 'ArrowLeft' ? at - 1 : event.key === 'Home' ? 0 : event.key === 'End' ? tabs.length - 1 : null;
    if (to === null || tabs.length === 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    choose(tab.id);
    event.currentTarget.querySelector<HTMLElement>(`#${CSS.escape(`${prefix}-tab-${tab.id}`)}`)?.focus();
  };
  return (
    <div className="tab-strip" role="tablist" aria-label={label} onKeyDown={key}>
      {tabs.map((tab, index) => (
        <button
          key={tab.id} id={`${prefix}-tab-${tab.id}`} type="button" role="tab" className={`tab ${tab.className ?? ''}`} title={tab.title}
          aria-selected={tab.id === chosen} aria-controls={`${prefix}-panel-${tab.id}`}
          tabIndex={tab.id === chosen || (chosen === null && index === 0) ? 0 : -1} onClick={() => choose(tab.id)}
        >{tab.label}</button>
      ))}
    </div>
  );
}

interface PanelProps {
  prefix: string;
  id: string;
  visible: boolean;
  children: ReactNode;
}

export function TabPanel({ prefix, id, visible, children }: PanelProps) {
  return <div className="tab-panel" role="tabpanel" id={`${prefix}-panel-${id}`} aria-labelledby={`${prefix}-tab-${id}`} hidden={!visible}>{children}</div>;
}

export function useTabPrefix(): string {
  return useId().replaceAll(/[^\w]/g, '');
}
