/**
 * The service worker: after the first visit the page starts without a network. It keeps the files of one build, and what the server last said about its images; the
 * images themselves are kept by the machine's worker (src/worker/image-cache.ts). A new build waits until the last page of the old one is closed,
 * so that a page never meets files of another build.
 *
 * scripts/vite-offline.ts fills in what stands between the marks.
 */
const VERSION = '__VERSION__';
const FILES = /* __FILES__ */ [];
const PREFIX = 'nestbox-shell-';
const STATUS_CACHE = 'nestbox-status';
const STATUS_FILES = ['images/manifest.json', 'images/progress.json'];

const scope = new URL('./', self.location.href).href;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(PREFIX + VERSION).then((cache) => cache.addAll(FILES.map((file) => new Request(scope + file, { cache: 'no-cache' })))));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== PREFIX + VERSION).map((name) => caches.delete(name)),
  )));
});

async function fromShell(request, file) {
  const cache = await caches.open(PREFIX + VERSION);
  return await cache.match(scope + file) ?? fetch(request);
}

/** The server's word if there is one, else its last. */
async function status(request) {
  const cache = await caches.open(STATUS_CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request.url, response.clone());
    else if (response.status === 404) await cache.delete(request.url);
    return response;
  } catch (error) {
    const kept = await cache.match(request.url);
    if (kept === undefined) throw error;
    return kept;
  }
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(scope)) return;
  const file = request.url.slice(scope.length).split(/[?#]/, 1)[0];
  if (STATUS_FILES.includes(file)) event.respondWith(status(request));
  else if (FILES.includes(file)) event.respondWith(fromShell(request, file));
});
