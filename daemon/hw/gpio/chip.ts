import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { SurfacedError } from '../../errors.ts';
import type { Ioctl } from '../kernel/ioctl.ts';
import { type ChipInfo, chipInfoRoom, decodeChipInfo, gpioIoctl } from './uapi.ts';

/** Labels of the chip behind the header: Pi 0 to 3, Pi 4, Pi 5 (Linux drivers/pinctrl/bcm, pinctrl-rp1.c). */
export const headerLabels: readonly string[] = ['pinctrl-bcm2835', 'pinctrl-bcm2711', 'pinctrl-rp1'];

/** A chip that is open. */
export interface OpenChip {
  readonly path: string;
  readonly descriptor: number;
  readonly info: ChipInfo;
}

/** Where chips are looked for. */
export interface ChipSearch {
  readonly ioctl: Ioctl;
  /** `/dev`, but for tests. */
  readonly deviceFolder: string;
  /** Label, name or path of the chip; null: the header of the Pi. */
  readonly chip: string | null;
}

/**
 * Opens a chip; the caller closes its descriptor.
 * @throws SurfacedError E_HW_GPIO when there is none, or it may not be opened
 */
export function openChip({ ioctl, deviceFolder, chip }: ChipSearch): OpenChip {
  if (chip !== null && (chip.startsWith('/') || /^gpiochip\d+$/.test(chip))) {
    const file = path.resolve(deviceFolder, chip);
    try {
      return openFile(ioctl, file);
    } catch (cause) {
      throw chipError(`GPIO chip ${chip}: ${reason(cause)}`, cause);
    }
  }
  const labels = chip === null ? headerLabels : [chip];
  const seen: string[] = [];
  let failure: unknown;
  for (const name of chipNames(deviceFolder)) {
    let opened: OpenChip;
    try {
      opened = openFile(ioctl, path.join(deviceFolder, name));
    } catch (cause) {
      failure = cause;
      seen.push(`${name}: ${reason(cause)}`);
      continue;
    }
    if (labels.includes(opened.info.label)) return opened;
    closeSync(opened.descriptor);
    seen.push(`${name} is ${opened.info.label || 'without a label'}`);
  }
  const found = seen.length === 0 ? 'there is no GPIO chip at all' : seen.join(', ');
  throw chipError(`no GPIO chip has the label ${labels.join(' or ')}: ${found}`, failure);
}

/** Chips in the order of their numbers. */
function chipNames(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^gpiochip\d+$/.test(name))
    .sort((one, other) => Number(one.slice(8)) - Number(other.slice(8)));
}

function openFile(ioctl: Ioctl, file: string): OpenChip {
  const descriptor = openSync(file, constants.O_RDWR);
  try {
    const room = chipInfoRoom();
    ioctl(descriptor, gpioIoctl.chipInfo, room);
    return { path: file, descriptor, info: decodeChipInfo(room) };
  } catch (cause) {
    closeSync(descriptor);
    throw cause;
  }
}

function chipError(message: string, cause: unknown): SurfacedError {
  return new SurfacedError('E_HW_GPIO', message, { cause });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
