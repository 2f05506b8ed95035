/** What firmware finds in CMOS RAM about the machine (the usual PC assignments, and those of QEMU that SeaBIOS reads). */
import type { Rtc } from '../devices/rtc';
import { ramSplit } from './memory-map';

const KIB = 1024, MIB = 1024 * 1024, SIXTY_FOUR_KIB = 65536;

function set16(rtc: Rtc, index: number, value: number): void {
  rtc.setCmos(index, value & 0xff);
  rtc.setCmos(index + 1, value >> 8);
}

/** Memory sizes, equipment and processor count. */
export function fillCmos(rtc: Rtc, ramBytes: number, vcpus: number): void {
  const { low, high } = ramSplit(ramBytes);
  const extendedKib = Math.min((low - MIB) / KIB, 0xffff);
  set16(rtc, 0x15, 640);
  set16(rtc, 0x17, extendedKib);
  set16(rtc, 0x30, extendedKib);
  set16(rtc, 0x34, Math.min(Math.max(0, low - 16 * MIB) / SIXTY_FOUR_KIB, 0xffff));
  const highUnits = high / SIXTY_FOUR_KIB;
  rtc.setCmos(0x5b, highUnits & 0xff);
  rtc.setCmos(0x5c, (highUnits >> 8) & 0xff);
  rtc.setCmos(0x5d, (highUnits >> 16) & 0xff);
  // Mathematics coprocessor and PS/2 mouse present; no diskette drives.
  rtc.setCmos(0x14, 0x06);
  rtc.setCmos(0x5f, vcpus - 1);
  let sum = 0;
  for (let index = 0x10; index <= 0x2d; index++) sum += rtc.getCmos(index);
  rtc.setCmos(0x2e, sum >> 8);
  rtc.setCmos(0x2f, sum & 0xff);
}
