/**
 * The contract of an I2C bus. A driver is given an {@link I2cDevice} and never opens a bus; whoever owns the bus
 * decides what goes first. Words as in NXP UM10204, "I2C-bus specification and user manual".
 */

/** Bytes to send; drivers build them as plain arrays. */
export type I2cBytes = ArrayLike<number>;

/** `input` goes before `frame`: a hand must not wait for lights. */
export type Priority = 'input' | 'frame';

/** One opened bus: moves bytes, one transfer at a time, and decides nothing. A stand-in fits on one screen. */
export interface I2cTransport {
  /**
   * One transfer from START to STOP: writes, then, after a repeated START, reads. Either part may be empty. With both,
   * the write is one byte (a register) and at most 32 bytes are read, which every adapter can do (SMBus "I2C Block Read").
   * With neither it is the address alone with direction "write" (SMBus "Quick Command"): asks whether a part is there.
   * @param address 7-bit, 0x03 to 0x77
   * @returns exactly `readLength` bytes
   * @throws SurfacedError E_HW_NO_ACK when nothing acknowledges, E_HW_BUS for any other fault of the bus
   */
  transfer(address: number, write: I2cBytes, readLength: number): Promise<Uint8Array>;
  /** Closes the bus; may be called twice. */
  close(): Promise<void>;
}

/** Opens a bus by its number, as in `/dev/i2c-1`; rejects with E_HW_BUS_OPEN or E_HW_PACKAGE. */
export type OpenI2c = (bus: number) => Promise<I2cTransport>;

/** One address on one bus, as a driver sees it. All calls reject with what {@link I2cTransport.transfer} does. */
export interface I2cDevice {
  readonly bus: number;
  /** 7-bit. */
  readonly address: number;
  /** One write. */
  write(priority: Priority, bytes: I2cBytes): Promise<void>;
  /** One read without a register: for parts that need a pause after the write that says what to read. */
  read(priority: Priority, length: number): Promise<Uint8Array>;
  /** Writes a register number and reads after a repeated START; at most 32 bytes. */
  readRegister(priority: Priority, register: number, length: number): Promise<Uint8Array>;
}
