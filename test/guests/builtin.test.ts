/** The built-in hypervisor and its guest on a whole machine. */
import { describe, expect, it } from 'vitest';
import { buildBuiltin } from '../../src/guests/builtin';
import { DEFAULT_MACHINE_OPTIONS, Machine } from '../../src/machine/machine';
import { loadImage } from '../../src/machine/loaders';
import { applyEntryState } from '../../src/machine/loaders/entry-state';
import { buildEngine, runSlice } from '../../src/cpu/run';

const COM1 = 0, COM2 = 1;

describe('the built-in demo', () => {
  it('starts a guest under VMX and answers on both consoles', () => {
    const images = buildBuiltin();
    if (!images.ok) throw new Error(JSON.stringify(images.errors));
    const output = ['', '', '', ''];
    const log: string[] = [];
    const machine = new Machine({ ...DEFAULT_MACHINE_OPTIONS, memoryMb: 32 }, {
      serialOutput: (port, byte) => { output[port] += String.fromCharCode(byte); },
      debugText: () => undefined,
      debugExit: () => undefined,
      poweredOff: (reason) => log.push(reason),
      log: (text) => log.push(text),
    });
    buildEngine();
    const kernel = { name: 'l1', bytes: images.kernel }, module = { name: 'l2', bytes: images.module, args: '' };
    const request = { kernel, cmdline: '', modules: [module], rsdp: 0, rsdpBytes: new Uint8Array(0), screen: null };
    machine.loader = () => applyEntryState(loadImage(request, machine.loadMemory));
    machine.reset();
    const until = (port: number, text: string): void => {
      for (let slice = 0; slice < 200 && !output[port].includes(text); slice++) runSlice(machine, 1_000_000);
      expect(output[port] + log.join()).toContain(text);
    };
    until(COM2, 'l2# ');
    expect(output[COM1]).toContain('guest launched');
    expect(output[COM2]).toContain('hello from L2');
    const type = (port: number, text: string): void => machine.serialInput(port, [...text].map((c) => c.charCodeAt(0)));
    type(COM2, 'hi there\r');
    until(COM2, 'you said: hi there\r\n');
    type(COM2, 'cpuid\r');
    until(COM2, "the hypervisor signs as 'NestboxDemo1'");
    type(COM2, 'exits\r');
    until(COM2, ' VM exits so far');
    type(COM1, 'x');
    until(COM1, 'VM exits: ');
    expect(output[COM1]).toMatch(/VM exits: \d+ \(I\/O \d+, HLT \d+, CPUID 1, interrupts \d+\)/);
    type(COM2, 'halt\r');
    until(COM1, 'the guest halted with interrupts off');
    expect(log).toEqual([]);
  });
});
