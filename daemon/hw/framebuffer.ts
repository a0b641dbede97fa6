/**
 * Frame buffers of the kernel: found by their names, because their numbers follow the order of loading. Names and
 * geometry: Linux drivers/video/fbdev/core/fbsysfs.c (`name`, `virtual_size`, `bits_per_pixel`, `stride`).
 */
import { constants, type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SurfacedError } from '../errors.ts';

/** What a driver expects of a frame buffer. */
export interface FrameBufferShape {
  /** As `/sys/class/graphics/fb<n>/name` says it. */
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly bitsPerPixel: number;
  /** Bytes a row. */
  readonly stride: number;
}

/** A frame buffer that is open. Rejects with E_HW_FRAME_BUFFER. */
export interface FrameBuffer {
  /** Writes bytes from an offset on. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens the frame buffer of that name and shape; rejects with E_HW_FRAME_BUFFER. */
export type OpenFrameBuffer = (shape: FrameBufferShape) => Promise<FrameBuffer>;

/** Frame buffers below a folder, `/` on a real machine. */
export function frameBuffersIn(root: string): OpenFrameBuffer {
  return async (shape) => {
    const device = await deviceOf(root, shape);
    const path = join(root, 'dev', device);
    const file = await open(path, constants.O_WRONLY).catch((cause: unknown) => {
      throw new SurfacedError('E_HW_FRAME_BUFFER', `${path} cannot be opened`, { cause });
    });
    return { write: (offset, bytes) => writeAll({ file, path, offset, bytes }), close: () => file.close() };
  };
}

/** Name of the device file, such as `fb1`. */
async function deviceOf(root: string, shape: FrameBufferShape): Promise<string> {
  const folder = join(root, 'sys/class/graphics');
  // Without any frame buffer the kernel may have no such folder.
  const entries = await readdir(folder).catch((): string[] => []);
  for (const entry of entries.filter((name) => /^fb\d+$/.test(name)).sort()) {
    const read = async (attribute: string) =>
      (await readFile(join(folder, entry, attribute), 'utf8').catch((): string => '')).trim();
    if ((await read('name')) !== shape.name) continue;
    const found = `${await read('virtual_size')} at ${await read('bits_per_pixel')} bits, ${await read('stride')} bytes a row`;
    const expected = `${shape.width},${shape.height} at ${shape.bitsPerPixel} bits, ${shape.stride} bytes a row`;
    if (found === expected) return entry;
    throw new SurfacedError('E_HW_FRAME_BUFFER', `${entry} (${shape.name}) is ${found}, not ${expected}`);
  }
  throw new SurfacedError('E_HW_FRAME_BUFFER', `there is no frame buffer named ${shape.name}`);
}

async function writeAll({
  file,
  path,
  offset,
  bytes,
}: {
  file: FileHandle;
  path: string;
  offset: number;
  bytes: Uint8Array;
}): Promise<void> {
  const { bytesWritten } = await file.write(bytes, 0, bytes.length, offset).catch((cause: unknown) => {
    throw new SurfacedError('E_HW_FRAME_BUFFER', `${path} cannot be written`, { cause });
  });
  if (bytesWritten !== bytes.length)
    throw new SurfacedError('E_HW_FRAME_BUFFER', `${path} took ${bytesWritten} of ${bytes.length} bytes`);
}
