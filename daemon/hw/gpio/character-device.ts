import { closeSync } from 'node:fs';
import { SurfacedError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { type Ioctl, ioctlOf, type KernelPackage, systemCode } from '../kernel/ioctl.ts';
import { fromMonotonic } from '../kernel/monotonic.ts';
import { PolledFile } from '../kernel/polled-file.ts';
import { loadPackage } from '../ports/descriptor-port.ts';
import { type OpenChip, openChip } from './chip.ts';
import type { LineGroup, LineHandlers, LineRequest, OpenLines } from './lines.ts';
import { EventSequence } from './sequence.ts';
import * as uapi from './uapi.ts';

/** What lines of the character device are opened with. */
export interface CharacterDeviceOptions {
  /** Loads the optional package. */
  readonly loadKoffi: () => Promise<KernelPackage>;
  /** `/dev`, but for tests. */
  readonly deviceFolder: string;
  readonly log: Log;
}

/** Lost edges are logged once in this time, milliseconds. */
const logEveryMs = 60_000;

/** Lines through the GPIO character device, version 2: Linux 5.10 and later. */
export function openCharacterDeviceLines(options: CharacterDeviceOptions): OpenLines {
  return async (request, handlers) => {
    checkRequest(request);
    const koffi = await loadPackage('koffi', options.loadKoffi);
    const ioctl = ioctlOf(koffi);
    const chip = openChip({ ioctl, deviceFolder: options.deviceFolder, chip: request.chip });
    try {
      const descriptor = takeLines(ioctl, chip, request);
      try {
        return new CharacterDeviceLines({ request, handlers, koffi, ioctl, descriptor, log: options.log });
      } catch (cause) {
        closeSync(descriptor);
        throw linesError(request, messageOf(cause), cause);
      }
    } finally {
      // The lines have a descriptor of their own.
      closeSync(chip.descriptor);
    }
  };
}

function checkRequest({ lines }: LineRequest): void {
  if (lines.length === 0 || lines.length > uapi.linesMax) {
    throw new SurfacedError(
      'E_HW_GPIO',
      `a request is for 1 to ${uapi.linesMax} GPIO lines, not ${lines.length}`,
    );
  }
  const twice = lines.find((line, index) => lines.indexOf(line) !== index);
  if (twice !== undefined) throw new SurfacedError('E_HW_GPIO', `GPIO line ${twice} is asked for twice`);
}

/** Takes the lines from the chip and gives their descriptor. */
function takeLines(ioctl: Ioctl, chip: OpenChip, request: LineRequest): number {
  const name = `${chip.info.name} (${chip.info.label})`;
  const absent = request.lines.find((line) => line >= chip.info.lineCount);
  if (absent !== undefined) {
    throw new SurfacedError('E_HW_GPIO', `${name} has no line ${absent}, it has ${chip.info.lineCount}`);
  }
  const { lines, bias, isActiveLow, debounceMs, consumer } = request;
  const debounceUs = debounceMs === null ? null : Math.round(debounceMs * 1000);
  const bytes = uapi.encodeLineRequest({ lines, bias, isActiveLow, debounceUs, consumer });
  try {
    ioctl(chip.descriptor, uapi.gpioIoctl.getLines, bytes);
  } catch (cause) {
    const message = `GPIO line ${lines.join(', ')} of ${name}: ${requestProblem(ioctl, chip, lines, cause)}`;
    throw new SurfacedError('E_HW_GPIO', message, { cause });
  }
  return uapi.decodeLineDescriptor(bytes);
}

function requestProblem(ioctl: Ioctl, chip: OpenChip, lines: readonly number[], cause: unknown): string {
  const code = systemCode(cause);
  if (code === 'EBUSY') return lines.flatMap((line) => holder(ioctl, chip, line)).join(', ') || 'in use';
  if (code === 'ENOTTY') return 'the kernel has no version 2 of the interface, Linux 5.10 is the first';
  return messageOf(cause);
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function linesError({ chip, lines }: LineRequest, reason: string, cause: unknown): SurfacedError {
  const message = `GPIO line ${lines.join(', ')} of ${chip ?? 'the header'}: ${reason}`;
  return new SurfacedError('E_HW_GPIO', message, { cause });
}

/** Who has a line, in words; none when nobody has. */
function holder(ioctl: Ioctl, chip: OpenChip, line: number): string[] {
  const bytes = uapi.encodeLineInfo(line);
  try {
    ioctl(chip.descriptor, uapi.gpioIoctl.lineInfo, bytes);
  } catch (cause) {
    return [`who has line ${line} cannot be told: ${messageOf(cause)}`];
  }
  const consumer = uapi.decodeConsumer(bytes);
  if (consumer === null) return [];
  return [`line ${line} is held by ${consumer === '' ? 'something without a name' : `"${consumer}"`}`];
}

interface LinesOptions {
  readonly request: LineRequest;
  readonly handlers: LineHandlers;
  readonly koffi: KernelPackage;
  readonly ioctl: Ioctl;
  readonly descriptor: number;
  readonly log: Log;
}

/**
 * Lines that are held. After a gap in the numbers nothing is known of the levels but what each line's next edge says; who
 * counts goes on from there, so that little more is lost than the kernel lost. Lines of which the queue, which one read
 * empties as the buffer holds the deepest one, says nothing more are read when it was told. An edge between the two
 * comes with the next queue: it says a level that is already known, which changes nothing.
 */
class CharacterDeviceLines implements LineGroup {
  readonly #options: LinesOptions;
  readonly #file: PolledFile;
  readonly #sequence = new EventSequence();
  #lostTotal = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LinesOptions) {
    this.#options = options;
    const { descriptor, koffi } = options;
    this.#file = new PolledFile({
      descriptor,
      koffi,
      bufferBytes: uapi.eventBufferMax * uapi.eventBytes,
      onData: (bytes) => this.#take(bytes),
      onLost: (cause) => options.handlers.onLost(linesError(options.request, 'the chip went away', cause)),
    });
  }

  levels(): readonly boolean[] {
    const { ioctl, descriptor, request } = this.#options;
    const bytes = uapi.encodeValues(request.lines.length);
    try {
      ioctl(descriptor, uapi.gpioIoctl.getValues, bytes);
    } catch (cause) {
      throw linesError(request, messageOf(cause), cause);
    }
    return uapi.decodeValues(bytes, request.lines.length);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #take(bytes: Uint8Array): void {
    const { handlers, request } = this.#options;
    /** Since a gap: what the lines said after it. Null: no gap. */
    let told: Map<number, boolean> | null = null;
    for (const { lostBefore, events } of this.#sequence.take(uapi.decodeEvents(bytes))) {
      if (lostBefore > 0) {
        told = new Map();
        this.#logLoss(lostBefore);
        handlers.onMissed(
          request.lines.map(() => null),
          lostBefore,
        );
      }
      // Who was told may have closed the lines.
      if (!this.#file.isOpen) return;
      for (const { line, isHigh } of events) told?.set(line, isHigh);
      handlers.onEdges(
        events.map(({ line, isHigh, timestampNs }) => ({ line, isHigh, at: fromMonotonic(timestampNs) })),
      );
      if (!this.#file.isOpen) return;
    }
    if (told !== null && told.size < request.lines.length) this.#tellLevels(told);
  }

  #logLoss(lostCount: number): void {
    const { log, request } = this.#options;
    this.#lostTotal += lostCount;
    if (performance.now() - this.#loggedAt < logEveryMs) return;
    this.#loggedAt = performance.now();
    const fields = { lines: request.lines, consumer: request.consumer };
    log.warn({ ...fields, lostCount, lostTotal: this.#lostTotal }, 'GPIO edges were lost');
  }

  #tellLevels(told: ReadonlyMap<number, boolean>): void {
    const { handlers, request } = this.#options;
    let levels: readonly boolean[];
    try {
      levels = this.levels();
    } catch (problem) {
      this.#file.fail(problem);
      return;
    }
    handlers.onMissed(
      request.lines.map((line, index) => told.get(line) ?? levels[index] ?? null),
      0,
    );
  }
}
