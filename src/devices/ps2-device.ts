/** What the i8042 sees of a PS/2 device: it takes command bytes and has bytes to send. */
export interface Ps2Device {
  /** A byte from the controller. */
  receive(byte: number): void;
  /** Bytes waiting to be sent, first one next. The controller takes them with shift(). */
  readonly outgoing: number[];
}

export const PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_SELF_TEST_PASSED = 0xaa;
/** A device drops input rather than queue more than this. */
export const PS2_QUEUE_LIMIT = 256;
