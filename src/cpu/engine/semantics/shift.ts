/**
 * SHL SHR SAR ROL ROR (SDM 2). Counts are masked to 5 bits (6 at 64 bits); a count of 0 changes no flag. OF is
 * computed for every count the way current CPUs do it (defined only for count 1); AF is cleared.
 */
import { FK_RESULT } from '../../flags';
import { RCX } from '../../state';
import { address, flagsExplicit, modifyMemory, narrow, readReg, SIZES, writeReg } from './vocabulary';
import type { Operands, RecordKind, Size } from './vocabulary';

export const SHIFTS = ['shl', 'shr', 'sar', 'rol', 'ror'] as const;
type Shift = (typeof SHIFTS)[number];

/** z = x shifted by w (1 <= w <= 31 or 63) with flags; x sign-extended when narrow. */
function compute(op: Shift, size: Size): string {
  if (size === 64) return compute64(op);
  const bits = size;
  const unsigned = size === 32 ? 'xl>>>0' : `xl&${size === 16 ? 65535 : 255}`;
  switch (op) {
    case 'shl': {
      // The bit last shifted out: bit (bits - w) of x, 0 when the count exceeds the size.
      const value = size === 32 ? 'zl=xl<<w;' : `zl=xl<<w;${narrow(size, 'z')}`;
      return `${value}v=${size === 32 ? '' : `w>${bits}?0:`}xl>>>(${bits}-w)&1;` + flagsExplicit(FK_RESULT, size, 'z', 'v|((zl>>>31)^v)<<11');
    }
    case 'shr':
      return `u=${unsigned};v=${size === 32 ? '' : `w>${bits}?0:`}u>>>(w-1)&1;zl=u>>>w;${size === 32 ? 'zl=zl|0;' : narrow(size, 'z')}`
        + flagsExplicit(FK_RESULT, size, 'z', `v|(xl>>>31)<<11`);
    case 'sar':
      return 'v=xl>>(w-1)&1;zl=xl>>w;' + flagsExplicit(FK_RESULT, size, 'z', 'v');
    case 'rol':
      return `t=w&${bits - 1};` + (size === 32 ? 'zl=xl<<t|xl>>>(32-t);' : `u=${unsigned};zl=u<<t|u>>>(${bits}-t);${narrow(size, 'z')}`)
        + 'v=zl&1;setCarryOverflow(v|((zl>>>31)^v)<<11);';
    case 'ror':
      return `t=w&${bits - 1};` + (size === 32 ? 'zl=xl>>>t|xl<<(32-t);' : `u=${unsigned};zl=u>>>t|u<<(${bits}-t);${narrow(size, 'z')}`)
        + `v=zl>>>31;setCarryOverflow(v|((zl>>>${bits - 2}&1)^v)<<11);`;
  }
}

function compute64(op: Shift): string {
  switch (op) {
    case 'shl':
      return 'if(w<32){v=xh>>>(32-w)&1;zl=xl<<w;zh=xh<<w|(xl>>>1)>>>(31-w);}else{v=w===32?xh&1:xl>>>(64-w)&1;zl=0;zh=xl<<w-32;}'
        + flagsExplicit(FK_RESULT, 64, 'z', 'v|((zh>>>31)^v)<<11');
    case 'shr':
      return 'if(w<32){v=xl>>>(w-1)&1;zl=xl>>>w|(xh<<1)<<(31-w);zh=xh>>>w;}else{v=w===32?xl>>>31:xh>>>(w-33)&1;zl=xh>>>w-32;zh=0;}'
        + flagsExplicit(FK_RESULT, 64, 'z', 'v|(xh>>>31)<<11');
    case 'sar':
      return 'if(w<32){v=xl>>>(w-1)&1;zl=xl>>>w|(xh<<1)<<(31-w);zh=xh>>w;}else{v=w===32?xl>>>31:xh>>>(w-33)&1;zl=xh>>w-32;zh=xh>>31;}'
        + flagsExplicit(FK_RESULT, 64, 'z', 'v');
    case 'rol':
      return 'if(w>=32){t=xl;xl=xh;xh=t;}t=w&31;zl=xl<<t|(xh>>>1)>>>(31-t);zh=xh<<t|(xl>>>1)>>>(31-t);v=zl&1;setCarryOverflow(v|((zh>>>31)^v)<<11);';
    case 'ror':
      return 'u=64-w&63;if(u>=32){t=xl;xl=xh;xh=t;}t=u&31;zl=xl<<t|(xh>>>1)>>>(31-t);zh=xh<<t|(xl>>>1)>>>(31-t);v=zh>>>31;setCarryOverflow(v|((zh>>>30&1)^v)<<11);';
  }
}

/** z alone, for 32 and 64 bits. */
function value(op: Shift, size: Size): string {
  if (size === 32) {
    switch (op) {
      case 'shl': return 'zl=xl<<w;';
      case 'shr': return 'zl=xl>>>w|0;';
      case 'sar': return 'zl=xl>>w;';
      case 'rol': return 'zl=xl<<w|xl>>>(32-w);';
      case 'ror': return 'zl=xl>>>w|xl<<(32-w);';
    }
  }
  switch (op) {
    case 'shl': return 'if(w<32){zl=xl<<w;zh=xh<<w|(xl>>>1)>>>(31-w);}else{zl=0;zh=xl<<w-32;}';
    case 'shr': return 'if(w<32){zl=xl>>>w|(xh<<1)<<(31-w);zh=xh>>>w;}else{zl=xh>>>w-32;zh=0;}';
    case 'sar': return 'if(w<32){zl=xl>>>w|(xh<<1)<<(31-w);zh=xh>>w;}else{zl=xh>>w-32;zh=xh>>31;}';
    case 'rol': return 'if(w>=32){t=xl;xl=xh;xh=t;}t=w&31;zl=xl<<t|(xh>>>1)>>>(31-t);zh=xh<<t|(xl>>>1)>>>(31-t);';
    case 'ror': return 'u=64-w&63;if(u>=32){t=xl;xl=xh;xh=t;}t=u&31;zl=xl<<t|(xh>>>1)>>>(31-t);zh=xh<<t|(xl>>>1)>>>(31-t);';
  }
}

function kindsOf(op: Shift, size: Size): RecordKind[] {
  const calc = compute(op, size);
  const mask = size === 64 ? 63 : 31;
  const cl = `w=R[${RCX}]&${mask};`;
  // A zero count still clears the high half of a 32-bit register; memory is checked for writing either way.
  const idle = size === 32 ? 'else R[i+1|0]=0;' : '';
  return [
    ...(size >= 32 ? [{ name: `${op}${size}riq`, words: 2, body: (o: Operands) => readReg(size, o.d, 'x') + `w=${o.k(1)};` + value(op, size) + writeReg(size, o.d, 'zl', 'zh') }] : []),
    { name: `${op}${size}ri`, words: 2, body: (o) => readReg(size, o.d, 'x') + `w=${o.k(1)};` + calc + writeReg(size, o.d, 'zl', 'zh') },
    {
      name: `${op}${size}rc`,
      words: 1,
      body: (o) => readReg(size, o.d, 'x') + cl + (size === 32 ? `i=${o.d};` : '') + `if(w!==0){${calc}${writeReg(size, o.d, 'zl', 'zh')}}${idle}`,
    },
    { name: `${op}${size}mi`, words: 3, body: (o) => address(o) + `w=${o.k(2)};` + modifyMemory(size, 'x', calc, 'zl', 'zh') },
    { name: `${op}${size}mc`, words: 2, body: (o) => address(o) + cl + modifyMemory(size, 'x', `if(w!==0){${calc}}else{zl=xl;zh=xh;}`, 'zl', 'zh') },
  ];
}

export const SHIFT_KINDS: readonly RecordKind[] = SHIFTS.flatMap((op) => SIZES.flatMap((size) => kindsOf(op, size)));
