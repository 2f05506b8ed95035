/** The page's entry. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@xterm/xterm/css/xterm.css';
import './page.css';
import { App } from './app';
import { MachineClient } from './machine-client';
import { AssemblerClient } from './playground/assembler-client';
import { applyTheme } from './theme';
import MachineWorker from '../worker/worker?worker';

applyTheme();
const container = document.getElementById('page');
if (container === null) throw new Error('index.html has no #page');
const client = new MachineClient(() => new MachineWorker({ name: 'machine' }), document.baseURI);
const assembler = new AssemblerClient(() => new MachineWorker({ name: 'assembler' }));
createRoot(container).render(<StrictMode><App client={client} assembler={assembler} /></StrictMode>);

// Without a network from the second visit on. Where that is not possible the page works all the same.
if (import.meta.env.PROD && 'serviceWorker' in navigator) addEventListener('load', () => void navigator.serviceWorker.register('./sw.js').catch(() => undefined));
