/**
 * Answers what the inspector asks: one query, one plain answer that can be sent to another thread or stored. Answering changes nothing in the machine;
 * it must stand at an instruction boundary.
 */
import { instructionCount } from '../cpu/clock';
import { disassemble } from '../cpu/disassembler';
import type { CodeBits } from '../cpu/disassembler';
import { R, VCPU } from '../cpu/state';
import { vcpuCount, vcpuWords } from '../cpu/vcpus';
import * as F from '../vmx/fields';
import { CURRENT_VALID, CURRENT_VMCS } from '../vmx/state';
import { vmcsOfVcpu } from '../vmx/vcpu';
import { contextKinds, contextOf, levelOfContext } from './contexts';
import type { Context, ContextChoice, ContextKind } from './contexts';
import { viewCpu } from './cpu-view';
import type { CpuView } from './cpu-view';
import { exitReasonName } from './exit-names';
import { ExitRecorder } from './exit-recorder';
import type { ExitFilter, RecordedExit } from './exit-recorder';
import { describeExit } from './exit-text';
import { allGuests, levelNow } from './guests';
import { hex64, hexPhysical, parseHex64 } from './hex';
import { readMemory, viewCode } from './memory-view';
import type { AddressSpace, CodeView } from './memory-view';
import { PageWalker } from './page-walk';
import type { AccessKind, WalkResult } from './page-walk';
import { viewVmcs } from './vmcs-view';
import type { VmcsView } from './vmcs-view';

/** Addresses are hexadecimal digits; null: RIP. */
export type InspectorQuery =
  | { ask: 'overview' }
  | { ask: 'histogram'; filter: ExitFilter }
  /** Newest first: those below sequence number `before` (null: all), of which the first `skip` are passed over. */
  | { ask: 'exits'; filter: ExitFilter; before: number | null; skip: number; count: number }
  | { ask: 'exit'; sequence: number }
  | { ask: 'timeline'; filter: ExitFilter; count: number }
  /** The current VMCS of a vCPU against its state at the last stop, or the image of an exit against that of another exit (null: the guest's exit before). */
  | { ask: 'vmcs'; of: { vcpu: number } | { exit: number; against: number | null } }
  | { ask: 'cpu'; context: ContextChoice }
  | { ask: 'walk'; context: ContextChoice; linear: string; access: AccessKind; user: boolean }
  | { ask: 'code'; context: ContextChoice; linear: string | null; before: number; after: number; bits: CodeBits | null }
  | { ask: 'memory'; context: ContextChoice; space: AddressSpace; address: string; length: number };

export interface VcpuOverview {
  vcpu: number;
  running: boolean;
  contexts: { kind: ContextKind; level: number }[];
}

export interface GuestOverview {
  id: number;
  level: number;
  parent: number;
  vmcsPointer: string;
  exits: number;
  entries: number;
}

export interface Overview {
  instructions: number;
  level: number;
  vcpus: VcpuOverview[];
  guests: GuestOverview[];
  /** Exits in the recorder: how many came in all, and the oldest that is left. */
  recorded: { total: number; first: number; recording: boolean };
}

export interface HistogramRow {
  reason: number;
  name: string;
  /** Since power-on; by level if the filter names one, whatever the vCPU. */
  total: number;
  /** In the recorder, with the filter. */
  recorded: number;
  /** Instructions that the hypervisor spent on the recorded ones until it entered a guest again, on average; null if none has. */
  hypervisorInstructions: number | null;
}

export interface ExitRow {
  sequence: number;
  instructions: number;
  vcpu: number;
  level: number;
  guest: number;
  reason: number;
  name: string;
  detail: string;
  /** 16 digits. */
  rip: string;
  /** Instruction at RIP; for events between instructions the one that would have come next. Empty if unknown. */
  code: string;
  hypervisorInstructions: number | null;
  hasImage: boolean;
  failedEntry: boolean;
}

export interface Timeline {
  /** Oldest first, all of the same length. */
  sequences: Float64Array;
  instructions: Float64Array;
  hypervisorInstructions: Float64Array;
  reasons: Uint8Array;
  levels: Uint8Array;
  vcpus: Uint8Array;
}

export interface VmcsAnswer extends VmcsView {
  /** 16 digits; empty for images. */
  pointer: string;
  guest: number;
  level: number;
  launched: boolean;
  /** What it is compared with, for people; empty if there is nothing. */
  baseline: string;
}

export type InspectorAnswer =
  | { ask: 'overview'; overview: Overview }
  | { ask: 'histogram'; rows: HistogramRow[] }
  | { ask: 'exits'; rows: ExitRow[]; matching: number }
  | { ask: 'exit'; row: ExitRow | null }
  | { ask: 'timeline'; timeline: Timeline }
  | { ask: 'vmcs'; vmcs: VmcsAnswer | null }
  | { ask: 'cpu'; cpu: CpuView | null }
  | { ask: 'walk'; walk: WalkResult | null }
  | { ask: 'code'; code: CodeView | null }
  /** Bytes, -1 where there is no memory. */
  | { ask: 'memory'; bytes: Int16Array | null };

/** The answer to a kind of query. */
export type AnswerTo<Q extends InspectorQuery> = Extract<InspectorAnswer, { ask: Q['ask'] }>;

const MOST_ROWS = 500, MOST_POINTS = 4096, MOST_BYTES = 65536;

export class Inspector {
  readonly recorder = new ExitRecorder();
  /** Images of current VMCSs by their address, at the last stop and the one before. */
  private readonly stops = new Map<string, { last: Int32Array; before: Int32Array | null }>();

  /** The machine has stopped for people: what changed until the next stop is told against this. */
  noteStop(): void {
    for (let vcpu = 0; vcpu < vcpuCount(); vcpu++) {
      const pointer = currentPointer(vcpu);
      if (pointer !== null) this.stops.set(pointer, { last: vmcsOfVcpu(vcpu).slice(), before: this.stops.get(pointer)?.last ?? null });
    }
  }

  /** Another machine was switched on. */
  reset(): void {
    this.stops.clear();
    this.recorder.clear();
  }

  answer<Q extends InspectorQuery>(query: Q): AnswerTo<Q> {
    return this.find(query) as AnswerTo<Q>;
  }

  private find(query: InspectorQuery): InspectorAnswer {
    switch (query.ask) {
      case 'overview': return { ask: 'overview', overview: this.overview() };
      case 'histogram': return { ask: 'histogram', rows: this.histogram(query.filter) };
      case 'exits': return this.exits(query.filter, query.before ?? Infinity, query.skip, Math.min(query.count, MOST_ROWS));
      case 'exit': {
        const exit = this.recorder.get(query.sequence);
        return { ask: 'exit', row: exit === null ? null : rowOf(exit) };
      }
      case 'timeline': return { ask: 'timeline', timeline: this.timeline(query.filter, Math.min(query.count, MOST_POINTS)) };
      case 'vmcs': return { ask: 'vmcs', vmcs: 'vcpu' in query.of ? this.currentVmcs(query.of.vcpu) : this.vmcsAtExit(query.of.exit, query.of.against) };
      case 'cpu': {
        const context = this.context(query.context);
        return { ask: 'cpu', cpu: context === null ? null : viewCpu(context) };
      }
      case 'walk': {
        const context = this.context(query.context), linear = parseHex64(query.linear);
        return { ask: 'walk', walk: context === null || linear === null ? null : new PageWalker(context, query.access, query.user).walk(...linear) };
      }
      case 'code': {
        const context = this.context(query.context), linear = query.linear === null ? null : parseHex64(query.linear);
        const known = context !== null && (query.linear === null || linear !== null);
        return { ask: 'code', code: known ? viewCode(context, linear, Math.min(query.before, 100), Math.min(query.after, MOST_ROWS), query.bits) : null };
      }
      case 'memory': {
        const context = this.context(query.context), address = parseHex64(query.address);
        if (context === null || address === null) return { ask: 'memory', bytes: null };
        return { ask: 'memory', bytes: readMemory(context, query.space, address[0], address[1], Math.min(query.length, MOST_BYTES)) };
      }
    }
  }

  private context(choice: ContextChoice): Context | null {
    return contextOf(choice, choice.kind === 'exit' && choice.exit !== undefined ? this.recorder.imageOf(choice.exit) : null);
  }

  private overview(): Overview {
    const vcpus: VcpuOverview[] = [];
    for (let vcpu = 0; vcpu < vcpuCount(); vcpu++) {
      vcpus.push({ vcpu, running: vcpu === R[VCPU], contexts: contextKinds(vcpu).map((kind) => ({ kind, level: levelOfContext(vcpu, kind) })) });
    }
    const guests = allGuests().map((guest) => {
      let exits = 0;
      for (let reason = 0; reason < 70; reason++) exits += guest.counters[reason];
      return { id: guest.id, level: guest.level, parent: guest.parent, vmcsPointer: hexPhysical(guest.vmcsPointer), exits, entries: guest.counters[70] };
    });
    const { total, first, recording } = this.recorder;
    return { instructions: instructionCount(), level: levelNow(), vcpus, guests, recorded: { total, first, recording } };
  }

  // --- Exits ---

  private histogram(filter: ExitFilter): HistogramRow[] {
    const totals = new Float64Array(70), recorded = new Float64Array(70), spent = new Float64Array(70), ended = new Float64Array(70);
    for (const guest of allGuests()) {
      if (filter.level !== null && guest.level !== filter.level) continue;
      for (let reason = 0; reason < 70; reason++) totals[reason] += guest.counters[reason];
    }
    this.recorder.forEach(filter, (sequence) => {
      const reason = this.recorder.reasonOf(sequence), instructions = this.recorder.hypervisorInstructionsOf(sequence);
      recorded[reason]++;
      if (!Number.isNaN(instructions)) {
        spent[reason] += instructions;
        ended[reason]++;
      }
      return true;
    });
    const rows: HistogramRow[] = [];
    for (let reason = 0; reason < 70; reason++) {
      if (totals[reason] === 0 && recorded[reason] === 0) continue;
      if (filter.reasons !== null && !filter.reasons.includes(reason)) continue;
      rows.push({
        reason, name: exitReasonName(reason), total: totals[reason], recorded: recorded[reason],
        hypervisorInstructions: ended[reason] === 0 ? null : spent[reason] / ended[reason],
      });
    }
    return rows.sort((a, b) => b.total - a.total || a.reason - b.reason);
  }

  private exits(filter: ExitFilter, before: number, skip: number, count: number): InspectorAnswer {
    const rows: ExitRow[] = [];
    let matching = 0;
    this.recorder.forEach(filter, (sequence) => {
      if (matching++ >= skip && rows.length < count) {
        const exit = this.recorder.get(sequence);
        if (exit !== null) rows.push(rowOf(exit));
      }
      return true;
    }, before);
    return { ask: 'exits', rows, matching };
  }

  private timeline(filter: ExitFilter, count: number): Timeline {
    const found: number[] = [];
    this.recorder.forEach(filter, (sequence) => found.push(sequence) < count);
    found.reverse();
    const { recorder } = this;
    return {
      sequences: Float64Array.from(found), instructions: Float64Array.from(found, (sequence) => recorder.instructionsOf(sequence)),
      hypervisorInstructions: Float64Array.from(found, (sequence) => recorder.hypervisorInstructionsOf(sequence)),
      reasons: Uint8Array.from(found, (sequence) => recorder.reasonOf(sequence)), levels: Uint8Array.from(found, (sequence) => recorder.levelOf(sequence)),
      vcpus: Uint8Array.from(found, (sequence) => recorder.vcpuOf(sequence)),
    };
  }

  // --- VMCSs ---

  private currentVmcs(vcpu: number): VmcsAnswer | null {
    if (vcpu < 0 || vcpu >= vcpuCount()) return null;
    const pointer = currentPointer(vcpu);
    if (pointer === null) return null;
    const image = vmcsOfVcpu(vcpu), stop = this.stops.get(pointer);
    // At a stop the state is that of the stop itself: what changed, changed since the one before.
    const baseline = stop === undefined ? null : sameWords(stop.last, image) ? stop.before : stop.last;
    return {
      ...viewVmcs(image, baseline), pointer, guest: image[F.REGION_GUEST],
      level: allGuests()[image[F.REGION_GUEST] - 1]?.level ?? 2, launched: image[F.REGION_LAUNCHED] !== 0, baseline: baseline === null ? '' : 'the last stop',
    };
  }

  private vmcsAtExit(sequence: number, against: number | null): VmcsAnswer | null {
    const image = this.recorder.imageOf(sequence);
    if (image === null) return null;
    const other = against ?? this.recorder.previousOfGuest(sequence);
    const baseline = other < 0 ? null : this.recorder.imageOf(other);
    return {
      ...viewVmcs(image.vmcs, baseline?.vmcs ?? null), pointer: '', guest: image.vmcs[F.REGION_GUEST], level: image.level,
      launched: image.vmcs[F.REGION_LAUNCHED] !== 0, baseline: baseline === null ? '' : `exit ${other}`,
    };
  }
}

/** Physical address of a vCPU's current VMCS, 16 digits; null if it has none. */
function currentPointer(vcpu: number): string | null {
  const words = vcpuWords(vcpu);
  return words[CURRENT_VALID] === 0 ? null : hex64(words[CURRENT_VMCS], words[CURRENT_VMCS + 1]);
}

function sameWords(a: Int32Array, b: Int32Array): boolean {
  return a.every((word, n) => word === b[n]);
}

/** A recorded exit for people. */
export function rowOf(exit: RecordedExit): ExitRow {
  const offset = (BigInt(exit.ripHi >>> 0) << 32n) | BigInt(exit.ripLo >>> 0);
  return {
    sequence: exit.sequence, instructions: exit.instructions, vcpu: exit.vcpu, level: exit.level, guest: exit.guest, reason: exit.reason & 0xffff,
    name: exitReasonName(exit.reason & 0xffff), detail: describeExit(exit), rip: hex64(exit.ripLo, exit.ripHi),
    code: exit.code.length === 0 ? '' : disassemble(exit.code, 0, offset, exit.codeBits).text,
    hypervisorInstructions: Number.isNaN(exit.hypervisorInstructions) ? null : exit.hypervisorInstructions, hasImage: exit.hasImage, failedEntry: exit.reason < 0,
  };
}
