/** FNV-1a, 64 bits, over a byte stream: tells whether two runs printed the same. (http://www.isthe.com/chongo/tech/comp/fnv/) */
export class ConsoleHash {
  private low = 0x84222325;
  private high = 0xcbf29ce4;
  /** Bytes seen. */
  bytes = 0;

  add(byte: number): void {
    const low = (this.low ^ byte) >>> 0;
    // Times 2^40 + 1B3h, modulo 2^64, in pieces that stay exact.
    const product = low * 0x1b3;
    this.low = product >>> 0;
    this.high = (Math.imul(this.high, 0x1b3) + Math.floor(product / 0x100000000) + (low << 8)) >>> 0;
    this.bytes++;
  }

  /** 16 hexadecimal digits. */
  get hex(): string {
    return this.high.toString(16).padStart(8, '0') + this.low.toString(16).padStart(8, '0');
  }
}
