/**
 * Guest-physical translations remembered per EPT pointer (the "guest-physical mappings" of SDM 3C 29.4.1), in 4 KiB pieces. Only successes
 * are kept: a hypervisor may add rights without telling the processor.
 */

/** EPT hierarchies remembered at once. */
const SLOTS = 4;
const ENTRIES = 2048;
const SLOT_WORDS = ENTRIES * 4;

/** Entries of four words: guest-physical page (-1 = empty), page code (physical.ts), rights (EPT_* of ept.ts, with EPT_EXECUTE_USER, and CACHED_DIRTY), host-physical page. */
export const GPA_CACHE = new Int32Array(SLOTS * SLOT_WORDS).fill(-1);
/** In the rights word: a write needs no dirty-flag update. */
export const CACHED_DIRTY = 8;

/** EP4TA page of each slot, -1 = free; the mode it was used in; then the use stamps. */
const owner = new Int32Array(SLOTS).fill(-1);
const slotMode = new Int32Array(SLOTS);
const lastUse = new Float64Array(SLOTS);
/** [0] uses so far. */
const clock = new Float64Array(1);

/** First word of the entry that a guest-physical page can have in a slot. */
export function gpaCacheIndex(slotBase: number, guestPhysicalPage: number): number {
  return slotBase + ((guestPhysicalPage & (ENTRIES - 1)) << 2);
}

/** Word offset of the slot of an EP4TA (its page number); an unused or the least recently used slot is taken for a new one. */
export function gpaCacheSlot(ep4ta: number): number {
  clock[0]++;
  let victim = 0;
  for (let s = 0; s < SLOTS; s++) {
    if (owner[s] === ep4ta) {
      lastUse[s] = clock[0];
      return s * SLOT_WORDS;
    }
    if (lastUse[s] < lastUse[victim]) victim = s;
  }
  clearSlot(victim);
  owner[victim] = ep4ta;
  lastUse[victim] = clock[0];
  return victim * SLOT_WORDS;
}

/** Notes under which mode (accessed and dirty flags, mode-based execute control) a slot is used; true if it was another one before. */
export function slotModeChanged(slotBase: number, mode: number): boolean {
  const s = slotBase / SLOT_WORDS;
  const changed = slotMode[s] !== mode;
  slotMode[s] = mode;
  return changed;
}

function clearSlot(slot: number): void {
  GPA_CACHE.fill(-1, slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
}

/** Forgets the guest-physical mappings of one EP4TA. */
export function clearGpaCache(ep4ta: number): void {
  for (let s = 0; s < SLOTS; s++) if (owner[s] === ep4ta) clearSlot(s);
}

/** Forgets all guest-physical mappings. */
export function clearAllGpaCaches(): void {
  GPA_CACHE.fill(-1);
}
