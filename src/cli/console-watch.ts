/** Follows the consoles for --send and --until. What a match has used up is not looked at again; a screen's text is what it shows now. */
import { CONSOLES } from './arguments';
import type { ConsoleLevel, Send, Watch } from './arguments';

/** Text kept for matching, per console: enough for any sensible pattern. */
const KEPT = 1 << 16;

export class ConsoleWatch {
  private readonly text: Record<ConsoleLevel, string> = { l1: '', com2: '', com3: '', com4: '', l2: '', l3: '', vga: '', l2vga: '' };
  private fresh = false;
  private readonly sends: Send[];
  private readonly until: Watch | null;

  constructor(sends: readonly Send[], until: Watch | null) {
    this.sends = [...sends];
    this.until = until;
  }

  /** A byte appeared on a console. */
  add(level: ConsoleLevel, byte: number): void {
    this.text[level] += String.fromCharCode(byte);
    this.fresh = true;
  }

  /** Screens that the next match waits for. */
  get screens(): ('vga' | 'l2vga')[] {
    const level = this.sends.length > 0 ? this.sends[0].level : this.until?.level;
    return level === 'vga' || level === 'l2vga' ? [level] : [];
  }

  /** What a screen shows. */
  show(level: 'vga' | 'l2vga', text: string): void {
    if (text === this.text[level]) return;
    this.text[level] = text;
    this.fresh = true;
  }

  private match(watch: Watch): boolean {
    const { level, pattern } = watch;
    const found = pattern.exec(this.text[level]);
    if (found === null) return false;
    this.text[level] = this.text[level].slice(found.index + found[0].length);
    return true;
  }

  /** Looks at what has appeared since the last call: types what is due through `type`; true once the awaited text is there. */
  check(type: (level: ConsoleLevel, text: Uint8Array) => void): boolean {
    if (!this.fresh) return false;
    while (this.sends.length > 0 && this.match(this.sends[0])) {
      const { into, text } = this.sends[0];
      this.sends.shift();
      type(into, text);
    }
    const done = this.sends.length === 0 && this.until !== null && this.match(this.until);
    this.fresh = false;
    for (const level of CONSOLES) {
      if (this.text[level].length > 2 * KEPT) this.text[level] = this.text[level].slice(-KEPT);
    }
    return done;
  }

  /** For a run that ended without the match: what it still waited for. */
  get missing(): string {
    const [next] = this.sends;
    if (next !== undefined) return `${next.level} did not show /${next.pattern.source}/, awaited by --send`;
    return this.until === null ? '' : `${this.until.level} did not show /${this.until.pattern.source}/`;
  }
}
