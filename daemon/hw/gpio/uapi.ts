/**
 * The structs of the GPIO character device, version 2, as pure functions; Linux 5.10 and later, include/uapi/linux/gpio.h.
 * All fields are aligned to their size, so the layout is the same on 32 and 64 bits; little-endian, as every Pi runs.
 */

/** Requests of ioctl(2), worked out from the header with a C compiler. */
export const gpioIoctl = {
  /** GPIO_GET_CHIPINFO_IOCTL on a chip, struct gpiochip_info. */
  chipInfo: 0x8044b401,
  /** GPIO_V2_GET_LINEINFO_IOCTL on a chip, struct gpio_v2_line_info. */
  lineInfo: 0xc100b405,
  /** GPIO_V2_GET_LINE_IOCTL on a chip, struct gpio_v2_line_request. */
  getLines: 0xc250b407,
  /** GPIO_V2_LINE_GET_VALUES_IOCTL on lines, struct gpio_v2_line_values. */
  getValues: 0xc010b40e,
} as const;

/** GPIO_V2_LINES_MAX: lines of one request. */
export const linesMax = 64;
/** The deepest queue that the kernel allows for one request, events (gpiolib-cdev.c: GPIO_V2_LINES_MAX * 16). */
export const eventBufferMax = 1024;
/** sizeof(struct gpio_v2_line_event). */
export const eventBytes = 48;

/** GPIO_MAX_NAME_SIZE, its last byte always 0. */
const nameBytes = 32;
/** enum gpio_v2_line_flag. */
const flag = {
  used: 1n << 0n,
  activeLow: 1n << 1n,
  input: 1n << 2n,
  edgeRising: 1n << 4n,
  edgeFalling: 1n << 5n,
  'pull-up': 1n << 8n,
  'pull-down': 1n << 9n,
  none: 1n << 10n,
} as const;
/** GPIO_V2_LINE_ATTR_ID_DEBOUNCE. */
const debounceAttribute = 3;

/** A chip, from struct gpiochip_info. */
export interface ChipInfo {
  /** The kernel's name, such as `gpiochip0`. */
  readonly name: string;
  /** What it is, such as `pinctrl-bcm2711`; may be empty. */
  readonly label: string;
  readonly lineCount: number;
}

/** Room for {@link decodeChipInfo}, 68 bytes. */
export function chipInfoRoom(): Uint8Array {
  return new Uint8Array(2 * nameBytes + 4);
}

/** Reads struct gpiochip_info. */
export function decodeChipInfo(bytes: Uint8Array): ChipInfo {
  return {
    name: decodeName(bytes, 0),
    label: decodeName(bytes, nameBytes),
    lineCount: viewOf(bytes).getUint32(2 * nameBytes, true),
  };
}

/** Asks for a line: struct gpio_v2_line_info, 256 bytes, with its offset filled in. */
export function encodeLineInfo(line: number): Uint8Array {
  const bytes = new Uint8Array(256);
  viewOf(bytes).setUint32(2 * nameBytes, line, true);
  return bytes;
}

/** Reads from struct gpio_v2_line_info who has the line: the consumer's label, which may be empty; null: nobody. */
export function decodeConsumer(bytes: Uint8Array): string | null {
  const flags = viewOf(bytes).getBigUint64(2 * nameBytes + 8, true);
  return (flags & flag.used) === 0n ? null : decodeName(bytes, nameBytes);
}

/** Inputs with both edges, as they are asked for. */
export interface LineRequestFields {
  /** Offsets on the chip, 1 to 64. */
  readonly lines: readonly number[];
  readonly bias: 'pull-up' | 'pull-down' | 'none';
  readonly isActiveLow: boolean;
  /** Debounce by the kernel, microseconds; null: none. */
  readonly debounceUs: number | null;
  /** The first 31 bytes of it are shown by `gpioinfo`. */
  readonly consumer: string;
}

/** Asks for lines: struct gpio_v2_line_request, 592 bytes. */
export function encodeLineRequest(fields: LineRequestFields): Uint8Array {
  const bytes = new Uint8Array(592);
  const view = viewOf(bytes);
  for (const [index, line] of fields.lines.entries()) view.setUint32(4 * index, line, true);
  new TextEncoder().encodeInto(fields.consumer, bytes.subarray(256, 256 + nameBytes - 1));
  const activeLow = fields.isActiveLow ? flag.activeLow : 0n;
  const flags = flag.input | flag.edgeRising | flag.edgeFalling | flag[fields.bias] | activeLow;
  view.setBigUint64(288, flags, true);
  if (fields.debounceUs !== null) {
    view.setUint32(296, 1, true);
    view.setUint32(320, debounceAttribute, true);
    view.setUint32(328, fields.debounceUs, true);
    view.setBigUint64(336, lineMask(fields.lines.length), true);
  }
  view.setUint32(560, fields.lines.length, true);
  view.setUint32(564, eventBufferMax, true);
  return bytes;
}

/** Reads from an answered struct gpio_v2_line_request the descriptor of the lines. */
export function decodeLineDescriptor(bytes: Uint8Array): number {
  return viewOf(bytes).getInt32(588, true);
}

/** Asks for the levels of all lines of a request: struct gpio_v2_line_values, 16 bytes. */
export function encodeValues(lineCount: number): Uint8Array {
  const bytes = new Uint8Array(16);
  viewOf(bytes).setBigUint64(8, lineMask(lineCount), true);
  return bytes;
}

/** Reads the levels from struct gpio_v2_line_values, in the order of the request. */
export function decodeValues(bytes: Uint8Array, lineCount: number): boolean[] {
  const bits = viewOf(bytes).getBigUint64(0, true);
  return Array.from({ length: lineCount }, (_, index) => ((bits >> BigInt(index)) & 1n) === 1n);
}

/** One event of a line, from struct gpio_v2_line_event. */
export interface LineEvent {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly timestampNs: bigint;
  /**
   * Rising or falling, with active-low taken into account. The kernel reads the level when it handles the interrupt
   * (gpiolib-cdev.c, edge_irq_thread), so two edges that came close together can both say the level after the second.
   */
  readonly isHigh: boolean;
  /** Offset on the chip. */
  readonly line: number;
  /** Counts all edges of the request from 1 and wraps at 2^32. */
  readonly sequence: number;
}

/** Reads the events of one read(2); the kernel hands out whole ones, what is left over is ignored. */
export function decodeEvents(bytes: Uint8Array): LineEvent[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / eventBytes) }, (_, index) => {
    const at = index * eventBytes;
    return {
      timestampNs: view.getBigUint64(at, true),
      // GPIO_V2_LINE_EVENT_RISING_EDGE
      isHigh: view.getUint32(at + 8, true) === 1,
      line: view.getUint32(at + 12, true),
      sequence: view.getUint32(at + 16, true),
    };
  });
}

/** Bits of the first lines of a request. */
function lineMask(lineCount: number): bigint {
  return (1n << BigInt(lineCount)) - 1n;
}

function decodeName(bytes: Uint8Array, at: number): string {
  const field = bytes.subarray(at, at + nameBytes);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
