/** The command line of `nestbox matrix`, understood. */
import { UsageError } from '../usage';
import { GUESTS, HYPERVISORS } from './systems';

/** A cell by name: hypervisor, with or without EPT, and guest. */
export interface CellName {
  hypervisor: string;
  hap: boolean;
  guest: string;
}

export interface MatrixArguments {
  /** Which cells to boot; null: all. */
  cells: ((name: CellName) => boolean) | null;
  /** Where results are kept; null: public/matrix.json. */
  json: string | null;
  /** Where the table is written; null: docs/matrix.md. */
  table: string | null;
  /** Real time for one boot. */
  timeoutSeconds: number;
  /** Boot nothing, write the table from the results that there are. */
  tableOnly: boolean;
}

const DEFAULT_TIMEOUT = 3600;
const WITHOUT_EPT = '-hap0';
const OPTIONS: readonly string[] = ['--only', '--cell', '--json', '--table', '--timeout'];

/** A hypervisor as it is named on the command line: `kvm` with EPT, `kvm-hap0` without. */
export function columnName(hypervisor: string, hap: boolean): string {
  return hap ? hypervisor : hypervisor + WITHOUT_EPT;
}

function parseColumn(option: string, name: string): Omit<CellName, 'guest'> {
  const hap = !name.endsWith(WITHOUT_EPT), hypervisor = hap ? name : name.slice(0, -WITHOUT_EPT.length);
  if (!HYPERVISORS.some(({ id }) => id === hypervisor)) {
    throw new UsageError(`${option} ${name}: no such hypervisor; there are ${HYPERVISORS.map(({ id }) => id).join(', ')}, each also with ${WITHOUT_EPT} behind its name`);
  }
  return { hypervisor, hap };
}

function parseCell(value: string): CellName {
  const [column, guest, ...more] = value.split('/');
  if (guest === undefined || more.length > 0) throw new UsageError(`--cell ${value}: L1/L2 is expected`);
  if (!GUESTS.some(({ id }) => id === guest)) throw new UsageError(`--cell ${value}: no such guest; there are ${GUESTS.map(({ id }) => id).join(', ')}`);
  return { ...parseColumn('--cell', column), guest };
}

export function parseMatrix(args: readonly string[]): MatrixArguments {
  const columns: Omit<CellName, 'guest'>[] = [], cells: CellName[] = [];
  const matrix: MatrixArguments = { cells: null, json: null, table: null, timeoutSeconds: DEFAULT_TIMEOUT, tableOnly: false };
  const seen = new Set<string>();
  for (let n = 0; n < args.length; n++) {
    const equals = args[n].indexOf('=');
    const option = equals < 0 ? args[n] : args[n].slice(0, equals);
    if (args[n] === '--table-only') {
      matrix.tableOnly = true;
      continue;
    }
    if (!args[n].startsWith('-')) throw new UsageError(`matrix: \`${args[n]}\` is not expected; a cell is chosen with --cell`);
    if (!OPTIONS.includes(option)) throw new UsageError(`unknown option \`${option}\``);
    if (seen.has(option) && option !== '--cell') throw new UsageError(`${option} is given twice`);
    seen.add(option);
    const value = equals < 0 ? args[++n] : args[n].slice(equals + 1);
    if (value === undefined || value === '') throw new UsageError(`${option} needs a value`);
    if (option === '--only') columns.push(...value.split(',').map((name) => parseColumn(option, name)));
    else if (option === '--cell') cells.push(parseCell(value));
    else if (option === '--json') matrix.json = value;
    else if (option === '--table') matrix.table = value;
    else matrix.timeoutSeconds = parseSeconds(value);
  }
  if (matrix.tableOnly && (columns.length > 0 || cells.length > 0)) throw new UsageError('--table-only boots nothing: --only and --cell have no meaning with it');
  if (columns.length > 0 || cells.length > 0) {
    matrix.cells = (name) => columns.some((column) => sameColumn(column, name)) || cells.some((cell) => sameColumn(cell, name) && cell.guest === name.guest);
  }
  return matrix;
}

function sameColumn(a: Omit<CellName, 'guest'>, b: Omit<CellName, 'guest'>): boolean {
  return a.hypervisor === b.hypervisor && a.hap === b.hap;
}

function parseSeconds(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(seconds > 0)) throw new UsageError(`--timeout ${value}: a number of seconds is expected`);
  return seconds;
}
