/** Generates flat.h: 3000 functions of 5 to 12 random statements each. The same text every time. */
const FUNCTIONS = 3000;

/** A small generator (xorshift32), so that the text is the same everywhere. */
function randomSource() {
  let state = 2463534242;
  return (/** @type {number} */ low, /** @type {number} */ high) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return low + (state >>> 0) % (high - low + 1);
  };
}

export function flatHeader() {
  const random = randomSource();
  const variable = () => 'abcd'[random(0, 3)];
  /** @param {number} index */
  const statement = (index) => {
    const x = variable(), y = variable(), z = variable();
    const constant = random(1, 2 ** [4, 8, 16, 30][random(0, 3)]), slot = random(0, 400);
    switch (random(0, 11)) {
      case 0: return `${x} += ${y} * ${constant};`;
      case 1: return `${x} ^= ${y} >> ${random(1, 40)};`;
      case 2: return `h[${slot}] += ${x};`;
      case 3: return `${x} += h[(${y} >> 3) & 511];`;
      case 4: return `if (${x} < ${y} + ${constant}) { ${z} -= ${x}; h[${slot}] = ${z}; } else ${z} |= ${constant};`;
      case 5: return `if (!(${x} & ${constant})) ${z} += ((u32 *)h)[${slot}];`;
      case 6: return `for (u32 q = 0; q < ${random(2, 4)}; q++) ${x} = (${x} << 3) + h[q + ${slot}] - ${y};`;
      case 7: return `${x} = (u32)${y} + (u8)${z};`;
      case 8: return `((u8 *)h)[${slot}] = ${x};`;
      case 9: return `${x} = (s32)${y} > ${constant} ? ${z} : ${x} + 1;`;
      case 10: return `h[(${x} & 255) + ${slot}] ^= ${y};`;
      default: return index > 0 ? `if ((${x} & 15) == 3) ${y} += flat${random(Math.max(0, index - 50), index - 1)}(${x} >> 4, h, n);` : '';
    }
  };
  const lines = [];
  for (let index = 0; index < FUNCTIONS; index++) {
    const multiplier = random(3, 99999) | 1;
    const body = Array.from({ length: random(5, 12) }, () => statement(index)).join(' ');
    lines.push(`static NOINLINE u64 flat${index}(u64 a, u64 *h, u32 n) { (void)h; u64 b = a >> 7, c = n, d = a * ${multiplier}; ${body} return (a ^ b) + c * 3 - d; }`);
  }
  lines.push(`static const flat_function flat_functions[] = {${lines.map((_, index) => `flat${index}`).join(', ')}};`);
  return `${lines.join('\n')}\n`;
}
