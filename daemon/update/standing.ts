/** How updates stand, from what is on the card: boot state, running slot, and the note that the installer left. */
import path from 'node:path';
import { z } from 'zod';
import { SurfacedError } from '../errors.ts';
import { versionPattern } from '../version.ts';
import { type Host, textOrNull, writeWhole } from './host.ts';
import { stateFile, type UpdateState } from './request.ts';

const slot = z.enum(['a', 'b']);
/** Name of a slot. */
export type Slot = z.infer<typeof slot>;
const version = z.string().regex(versionPattern);
const rootHash = z.string().regex(/^[0-9a-f]{64}$/);

/** Folder of what is kept of updates over starts, also by who installs. */
export const keptFolder = '/data/shared/update';
const bootStateProgram = '/usr/lib/surfaced/boot-state';
const trialProgram = '/usr/lib/surfaced/update/trial';

/** The handler after an installation writes it: image/root/files/usr/lib/surfaced/update/post-install. */
const lastUpdate = z.object({ version, rootHash, slot, from: version });
export type LastUpdate = Readonly<z.infer<typeof lastUpdate>>;
const lastFailure = z.object({ version, rootHash, reason: z.string().max(2000) });

/** Where updates stand. */
export interface Standing {
  readonly running: { readonly version: string; readonly slot: Slot; readonly rootHash: string };
  /** Whether an update runs on trial, or waits for a restart to do so. */
  readonly pending: 'trial' | 'waits' | 'none';
  /** The last one that was installed; null: there was none. */
  readonly last: LastUpdate | null;
  /**
   * What has become of it: it waits for a restart, is on trial, stays, or was left again. Null: there was none, or it is long
   * replaced.
   */
  readonly outcome: 'waits' | 'trial' | 'stays' | 'left' | null;
  /** Why it was left, null: it was not. */
  readonly reason: string | null;
}

/** @throws SurfacedError E_UPDATE_SYSTEM when this is no system with slots, or its boot state cannot be read */
export async function readStanding(host: Host, signal: AbortSignal): Promise<Standing> {
  const running = await readRunning(host);
  const pending = await readPending(host, signal);
  const last = await readKept(host, 'last-update.json', lastUpdate);
  const failure = await readKept(host, 'last-failure.json', lastFailure);
  const outcome = last && outcomeOf(running, pending, last);
  const isAbout = failure?.rootHash === last?.rootHash && failure?.version === last?.version;
  const untold = 'it did not come up, and the boot loader went back';
  return {
    running,
    pending,
    last,
    outcome,
    reason: outcome === 'left' ? ((isAbout ? failure?.reason : null) ?? untold) : null,
  };
}

function outcomeOf(
  running: Standing['running'],
  pending: Standing['pending'],
  last: LastUpdate,
): Standing['outcome'] {
  if (running.slot !== last.slot) return pending === 'waits' ? 'waits' : 'left';
  if (running.rootHash !== last.rootHash) return null;
  return pending === 'trial' ? 'trial' : 'stays';
}

async function readRunning({ root }: Host): Promise<Standing['running']> {
  const read = async (name: string): Promise<string> =>
    ((await textOrNull(path.join(root, '/run/surfaced/boot', name))) ?? '').trim();
  const running = {
    version: await read('version'),
    slot: await read('slot'),
    rootHash: await read('root-hash'),
  };
  const parsed = z.object({ version, slot, rootHash }).safeParse(running);
  if (parsed.success) return parsed.data;
  const name = String(parsed.error.issues[0]?.path[0]).replace('rootHash', 'root-hash');
  throw systemError(
    `/run/surfaced/boot/${name} is missing or broken: this system was not started from a slot`,
  );
}

async function readPending(host: Host, signal: AbortSignal): Promise<Standing['pending']> {
  const { code, stdout, text } = await host.run([path.join(host.root, trialProgram)], {
    onLine: null,
    signal,
  });
  const parsed = z.enum(['trial', 'waits', 'none']).safeParse(stdout.trim());
  if (code === 0 && parsed.success) return parsed.data;
  throw systemError(`the boot state cannot be read: ${text.trim().slice(-300)}`);
}

/** A card that lost news of updates, or cannot read them, has lost nothing that runs. */
async function readKept<Value>(host: Host, name: string, schema: z.ZodType<Value>): Promise<Value | null> {
  try {
    return schema.parse(JSON.parse((await textOrNull(path.join(host.root, keptFolder, name))) ?? 'null'));
  } catch {
    return null;
  }
}

/** Tells the boot state that the slot that runs is good or bad. @throws SurfacedError E_UPDATE_SYSTEM */
export async function markRunning(
  host: Host,
  { slot: running }: Standing['running'],
  mark: 'good' | 'bad',
  signal: AbortSignal,
): Promise<void> {
  const command = [path.join(host.root, bootStateProgram), 'set-state', running, mark] as const;
  const { code, text } = await host.run(command, { onLine: null, signal });
  if (code !== 0) throw systemError(`slot ${running} cannot be marked ${mark}: ${text.trim().slice(-300)}`);
}

/** Keeps why an update is left. */
export async function writeFailure(
  host: Host,
  { version, rootHash }: Standing['running'],
  reason: string,
): Promise<void> {
  const text = `${JSON.stringify({ version, rootHash, reason: reason.slice(0, 2000) })}\n`;
  await writeWhole(path.join(host.root, keptFolder, 'last-failure.json'), text);
}

/** Starts the system anew. @throws SurfacedError E_UPDATE_SYSTEM */
export async function restart(host: Host, signal: AbortSignal): Promise<void> {
  const { code, text } = await host.run(['systemctl', 'reboot'], { onLine: null, signal });
  if (code !== 0) throw systemError(`the system cannot be started anew: ${text.trim().slice(-300)}`);
}

/**
 * What is told of it while nothing is installed. The boot state has the last word: notes are on the data partition, which may
 * have been made anew, or be that of another card.
 */
export function stateOf({ running, pending, last, outcome, reason }: Standing): UpdateState {
  const rest = { progress: null, code: null, id: null };
  const about = last?.version ?? null;
  if (pending === 'waits') {
    const version = outcome === 'waits' ? about : null;
    return { ...rest, state: 'installed', version, detail: 'installed, waits for a restart' };
  }
  if (pending === 'trial')
    return { ...rest, state: 'trial', version: running.version, detail: 'runs on trial' };
  if (outcome === 'left')
    return { ...rest, state: 'failed', version: about, detail: oneLine(`left again: ${reason}`) };
  return { ...rest, state: 'idle', version: null, detail: 'no update is under way' };
}

/** Puts a state where the device daemon reads it. */
export const publish = (host: Host, state: UpdateState): Promise<void> =>
  writeWhole(path.join(host.root, stateFile), `${JSON.stringify(state)}\n`);

/** As much of a text as a state has room for. */
export const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim().slice(0, 256);

export const systemError = (what: string): SurfacedError => new SurfacedError('E_UPDATE_SYSTEM', what);
