/** Registers in locals: the rewritten text computes what the text says, and R is right after every statement. */
import { describe, expect, it } from 'vitest';
import { REGISTER_LOCALS, useLocals } from '../../../src/cpu/engine/register-locals';
import type { KnownWords } from '../../../src/cpu/engine/register-locals';

function execute(texts: readonly string[], locals: string): number[] {
  const R = Int32Array.from({ length: 64 }, (_, n) => (n === 32 || n === 33 ? 0 : Math.imul(n + 3, 0x9e3779b1)));
  const R8 = new Uint8Array(R.buffer), R16 = new Uint16Array(R.buffer);
  // oxlint-disable-next-line typescript/no-implied-eval -- generated text is what is tested
  const run = new Function('R', 'R8', 'R16', `let i=0,a=0,h=0,t=0,w=0,xl=0,xh=0,yl=0,yh=0,zl=0,zh=0${locals};${texts.join('')}`) as (...views: object[]) => void;
  run(R, R8, R16);
  return [...R];
}

function compare(texts: readonly string[]): KnownWords {
  const known: KnownWords = new Map();
  expect(execute(texts.map((text) => useLocals(text, known)), `,${REGISTER_LOCALS}`)).toEqual(execute(texts, ''));
  return known;
}

describe('useLocals', () => {
  it('reads a register once and remembers what is written', () => {
    const known: KnownWords = new Map();
    expect(useLocals('i=6;xl=R[i];xh=R[i+1|0];zl=xl+1|0;i=6;R[i]=zl;R[i+1|0]=xh;', known)).toBe('xl=(r6=R[6]);xh=(r7=R[7]);zl=xl+1|0;R[6]=r6=zl;R[7]=r7=xh;');
    expect(useLocals('yl=R[6];', known)).toBe('yl=r6;');
    compare(['i=6;xl=R[i];xh=R[i+1|0];zl=xl+1|0;i=6;R[i]=zl;R[i+1|0]=xh;', 'yl=R[6];R[40]=yl;']);
  });

  it('knows constants, their signs and the zero register', () => {
    const known = compare(['i=4;R[i]=(-5);R[i+1|0]=((-5)>>31);', 'xl=R[4];xh=R[5];R[50]=xl;R[51]=xh;R[52]=R[32];']);
    expect([known.get(4), known.get(5)]).toEqual(['(-5)', '(-1)']);
  });

  it('teaches nothing under a condition, and forgets what may have been written there', () => {
    const known = compare(['yl=R[2];i=2;R[i]=7;', 'if(R[8]<0){i=10;yl=R[i];i=2;R[i]=yl;R[i+1|0]=R[12];}else R[3]=0;', 'R[50]=R[2];R[51]=R[3];R[52]=R[10];R[53]=R[12];']);
    expect(known.get(2)).toBe('r2');
  });

  it('forgets registers of which a part is written', () => {
    compare(['i=0;R[i]=1;R[i+1|0]=0;', 'R8[1]=77;', 'xl=R[0];R[50]=xl;', 'R16[0<<1]=4660;', 'R[51]=R[0];', 'R8[9]=3;R[52]=R[2];']);
  });

  it('reads before it writes within a statement', () => {
    compare(['R[8]=R[8]-8|0;', 'R[9]=(R[9]+((R[8]>>>0<8)|0))|0;', 'a=R[8];R[8]=a;R[50]=R[8]+R[9]|0;']);
  });
});
