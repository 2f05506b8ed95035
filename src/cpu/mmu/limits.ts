/** How much memory a machine can have; apart from the memory itself, so that a configuration can be checked without it. */

/** Largest RAM: with ROM and scratch the buffer stays below 4 GiB, so that host offsets fit 32 bits. */
export const MAX_RAM_BYTES = 0xe0000000;
export const MAX_VIDEO_BYTES = 0x10000000;
