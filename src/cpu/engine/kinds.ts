/** All record kinds of the engine, numbered. Ids 0 to 2 are the kinds every engine needs; the rest come from the semantics families. */
import { HOT_KINDS } from './hot-kinds';
import { ALU_KINDS } from './semantics/alu';
import { CONTROL_KINDS } from './semantics/control';
import { MOVE_KINDS } from './semantics/move';
import { SHIFT_KINDS } from './semantics/shift';
import { GENERIC_WORDS } from '../record';
import { AMASK, BUD, CURP, ENGINE_STATE, IPB, RIP } from '../state';
import { INSIDE, LOOKUP, OUTSIDE } from './semantics/vocabulary';
import type { RecordKind } from './semantics/vocabulary';

export const KIND_GENERIC = 1, KIND_GENERIC_END = 2, KIND_REGION = 3;
/** State word: 1 if some region was dropped since the running one was entered. */
export const REGION_KILLED = ENGINE_STATE + 3;

/** Leaves the block before the instruction at P, which then has not been executed: the block died, see blocks.ts. */
const LEAVE: RecordKind = {
  name: 'leave-block',
  words: 1,
  ends: true,
  body: () => `u=INFO[P|0];R[${BUD}]=R[${BUD}]+(u>>>12)|0;R[${RIP}]=R[${IPB}]+(u&4095)|0;R[${RIP + 1}]=R[${IPB + 1}];${LOOKUP}`,
};

/** A handler function over a generic record. */
const GENERIC: RecordKind = {
  name: 'generic',
  words: GENERIC_WORDS,
  body: (o) => `${OUTSIDE}R[${CURP}]=P;${o.handler}(P);${INSIDE}`,
};

/** The same for an instruction that ends its block: RIP is the next instruction's while it runs. */
const GENERIC_END: RecordKind = {
  name: 'generic-end',
  words: GENERIC_WORDS,
  ends: true,
  body: (o) => `${OUTSIDE}R[${CURP}]=P;u=(INFO[P|0]&4095)+(W>>>10&15)|0;a=R[${IPB}]+u|0;R[${RIP}]=a;R[${RIP + 1}]=R[${IPB + 1}]+(((a>>>0)<(u>>>0))|0)&R[${AMASK}];`
    + `${o.handler}(P);${INSIDE}${o.landed}`,
};

/**
 * Enters a compiled region (regions.ts): the entry's number stands above the kind. The region returns the next block; 0 when the budget is used up (RIP
 * is set); or, negated, the record at which the interpreter has to go on: the region met something that it leaves to the interpreter.
 */
const REGION: RecordKind = {
  name: 'region',
  words: 1,
  ends: true,
  body: () => `u=W>>>10;R[${REGION_KILLED}]=0;t=REGION_FUNCTIONS[u](REGION_CASES[u])|0;if(t<=0){if(t===0)return;P=-t|0;W=C[P];`
    + `if((W&1023)!==${KIND_REGION})continue;W=ENTRY_WORDS[W>>>10];if(ENDS[W&1023]===0){P=TABLE[W&1023](P,W)|0;continue;}t=TABLE[W&1023](P,W)|0;}`,
};

const ALL_KINDS: readonly RecordKind[] = [LEAVE, GENERIC, GENERIC_END, REGION, ...ALU_KINDS, ...MOVE_KINDS, ...SHIFT_KINDS, ...CONTROL_KINDS];

/** Kinds by id. The hot ones come first, without gaps: only then does V8 compile the interpreter's switch to a jump table. */
export const KINDS: readonly RecordKind[] = [
  LEAVE, GENERIC, GENERIC_END, REGION,
  ...ALL_KINDS.slice(4).filter((kind) => HOT_KINDS.includes(kind.name)),
  ...ALL_KINDS.slice(4).filter((kind) => !HOT_KINDS.includes(kind.name)),
];

if (KINDS.length > 1024) throw new Error(`${KINDS.length} record kinds do not fit in 10 bits`);

const ids = new Map<string, number>(KINDS.map((kind, id) => [kind.name, id]));
if (ids.size !== KINDS.length) throw new Error('two record kinds have the same name');

/** Number of a kind by name. */
export function kindId(name: string): number {
  const id = ids.get(name);
  if (id === undefined) throw new Error(`no record kind ${name}`);
  return id;
}

/** Number of a kind by name, -1 if there is none. */
export function kindIdOrNone(name: string): number {
  return ids.get(name) ?? -1;
}
