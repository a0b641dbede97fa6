/** What came of the files of the boot partition: kept for the starts after, for the report and for the panel. */
import { z } from 'zod';
import type { PanelConfig } from '../config/panel.ts';
import { type Disk, doing, forAll, mostOwnBytes, replaceFile } from './disk.ts';

/** Something that a maker should know of a file. */
export interface Note {
  /** `refused`: this part of the file is not in force. */
  readonly kind: 'refused' | 'warning';
  /** Where and what: `rpi-preseed.toml:7 wlan.password: expected ...`. Never a secret. */
  readonly text: string;
  /** Null: nothing. */
  readonly remedy: string | null;
}

/** What came of one file. */
export interface FileOutcome {
  readonly name: string;
  /** `partly`: some of it was refused, and the file stays where it is, to be corrected. */
  readonly state: 'taken over' | 'partly' | 'refused';
  readonly notes: readonly Note[];
}

/** What came of the files when they were last there. */
export interface Outcome {
  /** Version of surfaced that has found the Device file good; null: none has. */
  readonly checkedBy: string | null;
  readonly device: FileOutcome | null;
  readonly preseed: FileOutcome | null;
}

/** Why the surface cannot work at all; docs/first-boot.md has the list. */
export interface Problem {
  readonly code: 'E1' | 'E2' | 'E3' | 'E4' | 'E5' | 'E6';
  /** At most 16 characters. */
  readonly title: string;
  /** One sentence. */
  readonly detail: string;
  /** Where it can be shown; null: a panel must be looked for. */
  readonly panel: PanelConfig | null;
}

/** What a start came to. */
export interface Status extends Outcome {
  /** What went wrong beside the files. */
  readonly notes: readonly Note[];
  readonly problem: Problem | null;
  /** A Device file is there and good. */
  readonly isConfigured: boolean;
}

const file = z.nullable(
  z.object({
    name: z.string(),
    state: z.enum(['taken over', 'partly', 'refused']),
    notes: z.array(
      z.object({ kind: z.enum(['refused', 'warning']), text: z.string(), remedy: z.nullable(z.string()) }),
    ),
  }),
);
const outcome = z.object({ checkedBy: z.nullable(z.string()), device: file, preseed: file });

/** Nothing has been there yet. */
export const noOutcome: Outcome = { checkedBy: null, device: null, preseed: null };

/** What was kept; nothing where it cannot be read: it is worked out anew. */
export async function readOutcome(disk: Disk, place: string): Promise<Outcome> {
  const bytes = await disk.read(place, mostOwnBytes).catch(() => null);
  return parsedOr(bytes, outcome, noOutcome);
}

/** Keeps it. @throws SurfacedError E_FIRST_BOOT */
export function writeOutcome(disk: Disk, place: string, { checkedBy, device, preseed }: Outcome) {
  return replaceFile(disk, place, `${JSON.stringify({ checkedBy, device, preseed }, null, 2)}\n`, forAll);
}

/** What this start came to, written by {@link writeStatus}; null: first boot has not run. @throws SurfacedError E_FIRST_BOOT */
export async function readStatus(disk: Disk, place: string): Promise<Status | null> {
  const bytes = await doing(place, () => disk.read(place, mostOwnBytes));
  return bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as Status);
}

/** @throws SurfacedError E_FIRST_BOOT */
export const writeStatus = (disk: Disk, place: string, status: Status) =>
  replaceFile(disk, place, `${JSON.stringify(status, null, 2)}\n`, forAll);

function parsedOr<T>(bytes: Buffer | null, schema: z.ZodType<T>, otherwise: T): T {
  if (bytes === null) return otherwise;
  try {
    const result = schema.safeParse(JSON.parse(bytes.toString('utf8')));
    return result.success ? result.data : otherwise;
  } catch {
    return otherwise;
  }
}
