/** One line on what this browser lacks, which can be dismissed for good. Nothing here keeps a machine from starting. */
import { useEffect, useState } from 'react';
import type { Demo } from './demos';
import { changeSettings, useSettings } from './settings';

interface Lack {
  id: string;
  text: string;
}

/** Devices with less memory (GiB, as browsers tell it) may be too small for machines of a gigabyte. */
const ENOUGH_GIB = 4;

async function findLacks(): Promise<Lack[]> {
  const lacks: Lack[] = [];
  if (typeof caches === 'undefined') lacks.push({ id: 'no-cache', text: 'Images are not kept for the next visit: this page is not on a secure (https) address, or the browser forbids it.' });
  const { deviceMemory } = navigator as { deviceMemory?: number };
  if (deviceMemory !== undefined && deviceMemory < ENOUGH_GIB) {
    lacks.push({ id: 'little-memory', text: `This device has about ${deviceMemory} GB of memory: machines of a gigabyte may not fit. The built-in demo does.` });
  }
  try {
    const { quota, usage } = await navigator.storage.estimate();
    if (quota !== undefined && quota - (usage ?? 0) < 200e6) lacks.push({ id: 'little-storage', text: 'The browser gives this page little storage: images will be downloaded again next time.' });
  } catch {
    // An old browser, or an address that is not secure, which was said above.
  }
  return lacks;
}

export function CapabilityNotice({ demo }: { demo: Demo | null }) {
  const [lacks, setLacks] = useState<readonly Lack[]>([]);
  const { dismissed } = useSettings();
  useEffect(() => {
    void findLacks().then(setLacks);
  }, []);
  const lack = lacks.find(({ id }) => !dismissed.includes(id));
  // The built-in demo needs neither storage nor memory.
  if (lack === undefined || demo === null || demo.files.length === 0) return null;
  return (
    <section className="notice capability" aria-label="Remark on this browser">
      <p>{lack.text}</p>
      <button type="button" onClick={() => changeSettings({ dismissed: [...dismissed, lack.id] })}>Dismiss</button>
    </section>
  );
}
