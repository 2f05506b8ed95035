/**
 * Firmware configuration channel at ports 510h and 511h, in the format of QEMU's fw_cfg (specification docs/specs/fw_cfg), which
 * SeaBIOS and test programs ask for memory size, processor count and files. Left out: the DMA interface and writing.
 */
import { BYTE, WORD, type Device, type PortBus, type PortHandler } from './device';

const SELECTOR_PORT = 0x510, DATA_PORT = 0x511;

// Selectors
const SIGNATURE = 0, REVISION = 1, RAM_SIZE = 3, CPU_COUNT = 5, BOOT_MENU = 0xe, CPU_MAXIMUM = 0xf, FILE_DIRECTORY = 0x19, FIRST_FILE = 0x20;
const FILE_NAME_BYTES = 56;

export interface FwCfgState {
  selector: number;
  offset: number;
}

export class FwCfg implements Device<FwCfgState>, PortHandler {
  private readonly items = new Map<number, Uint8Array>();
  private readonly files: { name: string; bytes: Uint8Array }[] = [];
  private selector = 0;
  private offset = 0;

  /** `bootMenu`: firmware offers a menu of what to boot. */
  constructor(ramBytes: number, vcpus: number, bootMenu: boolean) {
    this.items.set(SIGNATURE, ascii('QEMU'));
    this.items.set(REVISION, littleEndian(1, 4));
    this.items.set(RAM_SIZE, littleEndian(ramBytes, 8));
    this.items.set(BOOT_MENU, littleEndian(bootMenu ? 1 : 0, 2));
    this.items.set(CPU_COUNT, littleEndian(vcpus, 2));
    this.items.set(CPU_MAXIMUM, littleEndian(vcpus, 2));
    this.items.set(FILE_DIRECTORY, new Uint8Array(4));
  }

  attach(bus: PortBus): void {
    bus.map(SELECTOR_PORT, 1, this, WORD);
    bus.map(DATA_PORT, 1, this, BYTE);
  }

  /** Offers a file (at most 55 characters of name), before the machine runs. */
  addFile(name: string, bytes: Uint8Array): void {
    this.items.set(FIRST_FILE + this.files.length, bytes);
    this.files.push({ name, bytes });
    // Count, then size, selector, reserved and name of each file; numbers big-endian.
    const directory = new Uint8Array(4 + this.files.length * (8 + FILE_NAME_BYTES));
    const view = new DataView(directory.buffer);
    view.setUint32(0, this.files.length);
    this.files.forEach((file, index) => {
      const at = 4 + index * (8 + FILE_NAME_BYTES);
      view.setUint32(at, file.bytes.length);
      view.setUint16(at + 4, FIRST_FILE + index);
      directory.set(ascii(file.name).subarray(0, FILE_NAME_BYTES - 1), at + 8);
    });
    this.items.set(FILE_DIRECTORY, directory);
  }

  read(port: number): number {
    if (port !== DATA_PORT) return -1;
    const item = this.items.get(this.selector);
    return item !== undefined && this.offset < item.length ? item[this.offset++] : 0;
  }

  write(port: number, _size: number, value: number): void {
    if (port !== SELECTOR_PORT) return;
    this.selector = value;
    this.offset = 0;
  }

  reset(): void {
    this.selector = this.offset = 0;
  }

  save(): FwCfgState {
    return { selector: this.selector, offset: this.offset };
  }

  restore(state: FwCfgState): void {
    this.selector = state.selector;
    this.offset = state.offset;
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function littleEndian(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
}
