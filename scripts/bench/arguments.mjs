/** The bench's command line. */
import { BenchError } from './errors.mjs';

export const SECTIONS = ['kernels', 'boots', 'exits', 'system', 'memory', 'page', 'chromium'];

export const HELP = `npm run bench -- [options]

  --only SECTION,...            ${SECTIONS.join(', ')}
  --rounds N                    how often everything is measured, in turns (3)
  --quick                       a little of everything once: shows that it works, measures nothing
  --engine interpreter|jit      the product's default if not given
  --peers PEER,...              bochs, tcg, v86 (all that are installed); none for our own numbers alone
  --json FILE                   all metrics and raw samples
  --write-docs                  put the tables into docs/performance.md
`;

const PEERS = ['bochs', 'tcg', 'v86'];
const ENGINES = ['interpreter', 'jit'];

/**
 * @typedef {{ sections: string[], rounds: number, quick: boolean, engine: 'interpreter' | 'jit' | null, peers: string[], json: string | null, writeDocs: boolean, help: boolean }} BenchArguments
 */

/** @param {readonly string[]} args @returns {BenchArguments} */
export function parseArguments(args) {
  /** @type {BenchArguments} */
  const result = { sections: SECTIONS, rounds: 3, quick: false, engine: null, peers: PEERS, json: null, writeDocs: false, help: false };
  let roundsGiven = false;
  for (let n = 0; n < args.length; n++) {
    const equals = args[n].startsWith('--') ? args[n].indexOf('=') : -1;
    const option = equals < 0 ? args[n] : args[n].slice(0, equals);
    const value = () => {
      const text = equals >= 0 ? args[n].slice(equals + 1) : args[++n];
      if (text === undefined || text === '') throw new BenchError(`${option} needs a value`);
      return text;
    };
    switch (option) {
      case '--help': result.help = true; break;
      case '--quick': result.quick = true; break;
      case '--write-docs': result.writeDocs = true; break;
      case '--json': result.json = value(); break;
      case '--only': result.sections = choices(option, value(), SECTIONS); break;
      case '--peers': {
        const text = value();
        result.peers = text === 'none' ? [] : choices(option, text, PEERS);
        break;
      }
      case '--engine': result.engine = /** @type {'interpreter' | 'jit'} */ (choices(option, value(), ENGINES)[0]); break;
      case '--rounds': {
        const text = value();
        if (!/^[1-9]\d{0,2}$/.test(text)) throw new BenchError(`--rounds: \`${text}\` is not a number from 1 to 999`);
        result.rounds = Number(text);
        roundsGiven = true;
        break;
      }
      default: throw new BenchError(`unknown option \`${option}\` (--help shows all)`);
    }
  }
  if (result.quick && !roundsGiven) result.rounds = 1;
  if (result.quick && result.writeDocs) throw new BenchError('--write-docs: a quick run measures nothing that could be written down');
  return result;
}

/** @param {string} option @param {string} text @param {string[]} known */
function choices(option, text, known) {
  const names = text.split(',');
  for (const name of names) if (!known.includes(name)) throw new BenchError(`${option}: there is no \`${name}\`; there are ${known.join(', ')}`);
  return names;
}
