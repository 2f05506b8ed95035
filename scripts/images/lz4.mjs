/**
 * Unpacks the LZ4 "legacy" frame, the one Linux kernels are compressed with (lz4_Frame_format.md, "Legacy frame";
 * lz4_Block_format.md): a magic number, then blocks, each led by its compressed size, and no checksums.
 */

const LEGACY_MAGIC = 0x184c2102;
/** A length nibble of 15 continues in the following bytes. */
const LENGTH_CONTINUES = 15;
const MINIMUM_MATCH = 4;

/** @param {Uint8Array} data @returns {boolean} whether a legacy frame starts here */
export function isLz4Legacy(data) {
  return data.length >= 4 && new DataView(data.buffer, data.byteOffset).getUint32(0, true) === LEGACY_MAGIC;
}

/**
 * @param {Uint8Array} data the frame; bytes after it are ignored
 * @param {number} size of the unpacked data, which the frame does not tell
 * @returns {Uint8Array}
 */
export function unpackLz4Legacy(data, size) {
  if (!isLz4Legacy(data)) throw new Error('LZ4: no legacy frame here');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const output = new Uint8Array(size);
  let written = 0;
  let position = 4;
  while (written < size) {
    if (position + 4 > data.length) throw new Error(`LZ4: data ends after ${written} of ${size} bytes`);
    const blockSize = view.getUint32(position, true);
    position += 4;
    if (blockSize === LEGACY_MAGIC) continue;
    if (position + blockSize > data.length) throw new Error(`LZ4: a block of ${blockSize} bytes is cut short`);
    written = unpackBlock(data, position, position + blockSize, output, written);
    position += blockSize;
  }
  return output;
}

/**
 * Unpacks one block: sequences of literals and a match into what has been written. The last one has no match.
 * @param {Uint8Array} input
 * @param {number} position first byte of the block
 * @param {number} end byte after the block
 * @param {Uint8Array} output
 * @param {number} start where in the output this block's data begins
 * @returns {number} where it ends
 */
function unpackBlock(input, position, end, output, start) {
  let written = start;
  /** @param {number} nibble */
  const length = (nibble) => {
    let value = nibble;
    if (nibble !== LENGTH_CONTINUES) return value;
    let byte;
    do {
      if (position >= end) throw new Error('LZ4: a length runs out of its block');
      byte = input[position++];
      value += byte;
    } while (byte === 0xff);
    return value;
  };
  while (position < end) {
    const token = input[position++];
    const literals = length(token >>> 4);
    if (position + literals > end || written + literals > output.length) throw new Error('LZ4: literals run out of their block');
    output.set(input.subarray(position, position + literals), written);
    position += literals;
    written += literals;
    if (position >= end) break;

    const distance = input[position] | (input[position + 1] << 8);
    position += 2;
    const match = length(token & 15) + MINIMUM_MATCH;
    if (distance === 0 || distance > written - start) throw new Error('LZ4: a match starts before its block');
    if (written + match > output.length) throw new Error('LZ4: more data than announced');
    if (distance >= match) {
      output.copyWithin(written, written - distance, written - distance + match);
      written += match;
    } else {
      // The match overlaps what it produces: a run, byte by byte.
      for (let i = 0; i < match; i++, written++) output[written] = output[written - distance];
    }
  }
  return written;
}
