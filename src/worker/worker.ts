/** The worker's entry: connects the machine host to the page's messages, the clock and timers. */
import { setTieringClock } from '../cpu/engine/tiering';
import { R, VMX_MODE, VMX_OFF } from '../cpu/state';
import { cpuStateText } from '../cli/cpu-state';
import { buildBuiltin, BUILTIN_L1_SOURCE, BUILTIN_L2_SOURCE, INCLUDES } from '../guests/builtin';
import type { BuiltinSources } from '../guests/builtin';
import { LESSONS } from '../guests/lessons';
import { readMachineConfig } from '../machine/config';
import { Session } from '../machine/session';
import { takeTrouble, watchTrouble } from '../observe/guest-trouble';
import { Inspector } from '../observe/inspector';
import { resumeTowards, setBreakpoints, stopHere, takeStop } from '../observe/stops';
import { ImageCache, IMAGE_CACHE } from './image-cache';
import { downloadImage } from './images';
import type { DownloadProgress } from './images';
import { MachineHost } from './machine-host';
import type { Report, Request } from './protocol';

/** Programs of a lesson; the page has refused unknown ones. */
function lessonSources(id: string | null): Partial<BuiltinSources> {
  const lesson = LESSONS.find((one) => one.id === id);
  return lesson === undefined ? {} : { l1: lesson.l1, l2: lesson.l2 };
}

let base = '';
let cache: ImageCache | null = null;

/** The image as it is kept in this browser, or from the server. */
async function fetchImage(file: string, progress: DownloadProgress): Promise<Blob> {
  const kept = await cache?.get(file);
  if (kept !== undefined && kept !== null) {
    progress(file, kept.size, kept.size);
    return kept;
  }
  const image = await downloadImage(file, base, progress);
  void cache?.put(file, image);
  return image;
}

async function fetchText(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { cache: 'no-cache' });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;
/** A message to oneself comes after those that already wait, and without the delay that browsers give to nested timers. */
const soon = new MessageChannel();
let soonPending = false;

const inspector = new Inspector();

function report(news: Report, transfer: Transferable[] = []): void {
  postMessage(news, { transfer });
}

setTieringClock(() => performance.now());

watchTrouble();
const host = new MachineHost({
  inspector: {
    setBreakpoints, resumeTowards, takeStop,
    stopHere: () => stopHere('pause', 'paused'),
    noteStop: () => inspector.noteStop(),
    record: (on) => (on ? inspector.recorder.start() : inspector.recorder.stop()),
    answer: (query) => inspector.answer(query),
  },
  createSession: (config, images, outputs, sources) => new Session(config, images, outputs, sources),
  readConfig: readMachineConfig,
  download: fetchImage,
  report,
  vmxOn: () => R[VMX_MODE] !== VMX_OFF,
  takeTrouble,
  processorState: cpuStateText,
  now: () => performance.now(),
  wake: (ms) => {
    clearTimeout(timer);
    timer = undefined;
    if (ms > 0) timer = setTimeout(() => host.turn(), ms);
    else if (!soonPending) {
      soonPending = true;
      soon.port2.postMessage(null);
    }
  },
});

soon.port1.onmessage = () => {
  soonPending = false;
  host.turn();
};

addEventListener('message', (event: MessageEvent<Request>) => {
  const request = event.data;
  switch (request.type) {
    case 'start':
      base = request.base;
      if (typeof caches !== 'undefined') {
        cache = new ImageCache({ open: () => caches.open(IMAGE_CACHE), fetchText, log: (text) => report({ type: 'log', text }) }, base);
      }
      void host.start({ ...request, sources: { ...lessonSources(request.lesson), ...request.sources } });
      break;
    case 'run':
      host.run();
      break;
    case 'pause':
      host.pause();
      break;
    case 'input':
      host.input(request.console, request.bytes);
      break;
    case 'sources':
      report({ type: 'sources', sources: { l1: BUILTIN_L1_SOURCE, l2: BUILTIN_L2_SOURCE }, lessons: LESSONS, includes: INCLUDES });
      break;
    case 'assemble': {
      const built = buildBuiltin(request.sources);
      report({ type: 'assembled', errors: built.ok ? [] : built.errors });
      break;
    }
    case 'consumed':
      host.consumed(request.bytes);
      break;
    case 'watch':
      host.watch(request.screen, request.on, request.steady);
      break;
    case 'shown':
      host.shown(request.screen);
      break;
    case 'key':
      host.key(request.screen, request.code, request.down);
      break;
    case 'mouse':
      host.mouse(request.screen, request.dx, request.dy, request.dz, request.buttons);
      break;
    case 'step':
      host.step(request.goal);
      break;
    case 'breakpoints':
      host.setBreakpoints(request.breakpoints);
      break;
    case 'record':
      host.record(request.on);
      break;
    case 'inspect':
      host.inspect(request.id, request.query);
      break;
  }
});
