/**
 * What happens at each start, before anything else of surfaced: files of the boot partition are taken over, what is secret
 * in them is erased there, and what is kept is put into the running system. Nothing here keeps the machine from starting.
 */
import type { Tpm } from '../attest/tpm2/index.ts';
import type { PanelConfig } from '../config/panel.ts';
import { SurfacedError } from '../errors.ts';
import { type BootFile, bootNames, bootText, erase, findFile } from './boot-files.ts';
import { type Disk, doing, mostOwnBytes, removeFile, replaceFile } from './disk.ts';
import {
  type FileOutcome,
  type Note,
  type Outcome,
  readOutcome,
  type Status,
  writeOutcome,
  writeStatus,
} from './outcome.ts';
import { type Places, tokenPath } from './places.ts';
import { problemOf } from './problem.ts';
import { type Secrets, secretsIn } from './secrets.ts';
import { keepSettings, notSealed, type SettingsParts, startSettings } from './settings.ts';

/** What first boot works on. */
export interface FirstBootParts {
  readonly disk: Disk;
  readonly places: Places;
  /** Null: this machine has none. */
  readonly tpm: Tpm | null;
  readonly setHostname: (name: string) => Promise<void>;
  /** Lets the boot partition be written while the work is done. */
  readonly whileWritable: <T>(work: () => Promise<T>) => Promise<T>;
  /** Number of the group that the device's daemon runs in; null: there is none. */
  readonly group: number | null;
  readonly version: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** What became of a file. */
interface Taken {
  readonly outcome: FileOutcome | null;
  /** What has to be erased, and what comes in its place; null: nothing. */
  readonly erasing: { readonly file: BootFile; readonly replacement: string | null } | null;
  readonly isNew: boolean;
  /** Of a Device file that was refused. */
  readonly panel: PanelConfig | null;
}

/** What a start came to, and whether it is another than the one before. */
export interface FirstBootResult {
  readonly status: Status;
  /** A file was taken over or refused: there is something to report. */
  readonly isNew: boolean;
}

/** Does it all, in order. @throws SurfacedError when nothing can be done, because /run cannot be written */
export async function firstBoot(parts: FirstBootParts): Promise<FirstBootResult> {
  const { disk, places, version } = parts;
  const secrets = secretsIn({ ...parts, folder: places.secrets });
  const before = await readOutcome(disk, places.outcome);
  const notes: Note[] = [];
  let writeProblem: string | null = null;
  const attempt = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (problem) {
      if (!(problem instanceof SurfacedError)) throw problem;
      notes.push({ kind: 'warning', text: problem.message, remedy: problem.remedy });
      if (problem.code === 'E_FIRST_BOOT') writeProblem ??= problem.message;
      return otherwise;
    }
  };
  const nothing = (outcome: FileOutcome | null): Taken => ({
    outcome,
    erasing: null,
    isNew: false,
    panel: null,
  });

  const settings: SettingsParts = { ...parts, secrets };
  const preseed = await attempt(() => takePreseed(before, settings), nothing(before.preseed));
  const device = await attempt(() => takeDevice(before, parts, secrets), nothing(before.device));
  const kept = await attempt(() => keptDevice(parts), null);
  const needsToken = kept?.includes(tokenPath) ?? false;
  // Here and not where the file is taken over, so that a power cut in between leaves none for ever.
  if (kept !== null && !needsToken) await attempt(() => secrets.forget('token'), undefined);
  const isTaken = device.isNew && device.outcome?.state === 'taken over';
  const check = isTaken || kept === null || before.checkedBy === version ? null : await checked(kept);
  const outcome: Outcome = {
    checkedBy: kept === null || check !== null ? null : version,
    device: device.outcome,
    preseed: preseed.outcome,
  };
  // What came of the files is kept before they change, so that it can be told at the starts after.
  await attempt(() => writeOutcome(disk, places.outcome, outcome), undefined);
  const erasing = [preseed.erasing, device.erasing].filter((one) => one !== null);
  if (erasing.length > 0)
    await attempt(
      () =>
        parts.whileWritable(async () => {
          for (const { file, replacement } of erasing) await erase(disk, file, replacement);
        }),
      undefined,
    );
  const started = await startSettings(settings);
  const problem = problemOf({
    outcome,
    device: kept === null ? null : { needsToken },
    deviceProblem: check,
    tokenProblem: started.tokenProblem,
    writeProblem,
    panel: device.panel,
  });
  const status: Status = {
    ...outcome,
    notes: [...notes, ...started.notes],
    problem,
    isConfigured: kept !== null && check === null,
  };
  await writeStatus(disk, places.status, status);
  if (problem === null) await removeFile(disk, places.problem);
  else await replaceFile(disk, places.problem, `${JSON.stringify(problem)}\n`, { mode: 0o644, group: null });
  return { status, isNew: preseed.isNew || device.isNew };
}

async function keptDevice({ disk, places }: FirstBootParts): Promise<string | null> {
  const bytes = await doing(places.deviceFile, () => disk.read(places.deviceFile, mostOwnBytes));
  return bytes?.toString('utf8') ?? null;
}

/** Why a Device file that was good for another version is not for this one; null: it is. */
async function checked(text: string): Promise<string | null> {
  const { readDevice } = await import('./device-file.ts');
  try {
    readDevice(text, 'device.yaml');
    return null;
  } catch (problem) {
    if (problem instanceof SurfacedError) return problem.message;
    throw problem;
  }
}

async function takePreseed(before: Outcome, parts: SettingsParts): Promise<Taken> {
  const { file, others } = await findFile(parts.disk, parts.places.boot, bootNames.preseed);
  const taken = (outcome: FileOutcome | null, isErased: boolean, isNew: boolean): Taken => ({
    outcome,
    erasing: file !== null && isErased ? { file, replacement: null } : null,
    isNew,
    panel: null,
  });
  // What was refused of it before is gone with it.
  const earlier = before.preseed?.state === 'taken over' ? before.preseed : null;
  if (file === null) return taken(earlier, false, false);
  if (file.isErased) return taken(before.preseed, true, true);
  const { readPreseed } = await import('./preseed.ts');
  try {
    const { preseed, notes } = readPreseed(bootText(file), file.name);
    const isWhole = notes.every(({ kind }) => kind !== 'refused');
    const kept = await keepSettings(preseed, parts);
    const all = [...notes, ...kept, ...passedOver(others, file.name)];
    const outcome: FileOutcome = { name: file.name, state: isWhole ? 'taken over' : 'partly', notes: all };
    return taken(outcome, isWhole, true);
  } catch (problem) {
    return taken(refusal(problem, file.name), false, true);
  }
}

async function takeDevice(before: Outcome, parts: FirstBootParts, secrets: Secrets): Promise<Taken> {
  const { disk, places } = parts;
  const { file, others } = await findFile(disk, places.boot, bootNames.device);
  const kept = await keptDevice(parts);
  const unchanged = (erasing: Taken['erasing']): Taken => ({
    // What was refused before is gone or corrected: what is in force is what was there before that.
    outcome: before.device?.state === 'refused' ? null : before.device,
    erasing,
    isNew: erasing !== null,
    panel: null,
  });
  if (file === null) return unchanged(null);
  // Cut off while it was erased: what is in force is what it said.
  if (file.isErased) return unchanged({ file, replacement: kept });
  let text: string | null = null;
  try {
    text = bootText(file);
    if (text.trimEnd() === kept?.trimEnd()) return unchanged(null);
    const { readDevice } = await import('./device-file.ts');
    const read = readDevice(text, file.name);
    const problem = read.token === null ? null : await secrets.keep('token', read.token);
    const notes = problem === null ? [] : [notSealed('the one-time token', problem)];
    await replaceFile(disk, places.deviceFile, read.text, { mode: 0o640, group: parts.group });
    const isSecret = read.text.trimEnd() !== text.trimEnd();
    return {
      outcome: { name: file.name, state: 'taken over', notes: [...notes, ...passedOver(others, file.name)] },
      erasing: isSecret ? { file, replacement: read.text } : null,
      isNew: true,
      panel: null,
    };
  } catch (problem) {
    const outcome = refusal(problem, file.name);
    const { panelOf } = await import('./device-file.ts');
    return { outcome, erasing: null, isNew: true, panel: text === null ? null : panelOf(text) };
  }
}

/** A file that is wrong, with everything that is wrong with it. @throws what is no fault of the file */
function refusal(problem: unknown, name: string): FileOutcome {
  if (!(problem instanceof SurfacedError) || problem.code === 'E_FIRST_BOOT') throw problem;
  const lines = problem.message.split('\n');
  const notes = lines.map(
    (text, index): Note => ({
      kind: 'refused',
      text,
      remedy: index === lines.length - 1 ? problem.remedy : null,
    }),
  );
  return { name, state: 'refused', notes };
}

const passedOver = (others: readonly string[], name: string): Note[] =>
  others.map((other) => ({
    kind: 'warning',
    text: `${other}: passed over, as ${name} is there`,
    remedy: 'Remove one of the two; what is secret in it was not erased.',
  }));
