/** Files of the audit log: `000001.jsonl` and on, and what is done to the newest of them. */
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder } from '../state-files.ts';

/** One file of the log. */
export interface Segment {
  readonly number: number;
  readonly file: string;
}

const namePattern = /^(\d{6,9})\.jsonl$/;

/** Path of a segment. */
export const segmentFile = (folder: string, number: number): string =>
  path.join(folder, `${`${number}`.padStart(6, '0')}.jsonl`);

/** Number in the name of a segment; null: it is none. */
export function segmentNumber(file: string): number | null {
  const [, digits] = namePattern.exec(path.basename(file)) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** All segments of a folder, the oldest first; other files are none of it. @throws errors of the file system */
export async function segmentsOf(folder: string): Promise<readonly Segment[]> {
  const numbers = (await readdir(folder)).map(segmentNumber).filter((number) => number !== null);
  return numbers.toSorted((a, b) => a - b).map((number) => ({ number, file: segmentFile(folder, number) }));
}

/** A segment that is written to. Each method rejects with the error of the file system. */
export interface SegmentFile {
  /** Bytes. */
  size(): Promise<number>;
  /** All of the bytes, at this position. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(bytes: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Where segments are; tests have one that is full or broken. */
export interface Disk {
  /** Opens a segment, and makes it when it is not there, so that its name lasts. */
  open(file: string): Promise<SegmentFile>;
}

/** The file system. */
export const realDisk: Disk = {
  async open(file) {
    const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      await syncFolder(path.dirname(file));
    } catch (problem) {
      await handle.close();
      throw problem;
    }
    return {
      size: async () => (await handle.stat()).size,
      async write(bytes, position) {
        let done = 0;
        while (done < bytes.length) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
          done += bytesWritten;
        }
      },
      truncate: (bytes) => handle.truncate(bytes),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
};
