/** Installing an update: for the command line, for a USB stick and for the device daemon. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import { type Host, writeWhole } from './host.ts';
import { type BundleSource, bundleInfo, installBundle } from './rauc.ts';
import { readState, stateFile, type UpdateState } from './request.ts';
import { findProblems, keepProblems } from './self-tests.ts';
import { oneLine, publish, readStanding, stateOf } from './standing.ts';

/** Files for the handlers of RAUC, by transaction; RAUC fetches as nobody, so the folder is open to read. */
export const orderFolder = '/run/surfaced-update';

/** What is to be installed. */
export interface InstallOrder {
  /** Absolute path or https URL of a bundle. */
  readonly place: string;
  /** PEM of the CA of the server; null: those of the system. */
  readonly caPem: string | null;
  /** What is asked for, so that it can be told from the beginning; null: whatever is there. */
  readonly version: string | null;
  /** Exactly this manifest, SHA-256 in hex; null: whatever is there. */
  readonly manifestSha256: string | null;
  /** Also when it is older than what runs. */
  readonly mayBeOlder: boolean;
  /** Of the request that asks for it; null: a person does. */
  readonly requestId: string | null;
}

/**
 * Installs into the slot that does not run; the next start tries it. Tells the device daemon how it goes.
 * @param onProgress told percent and what is done
 * @returns the version that was installed
 * @throws SurfacedError E_UPDATE_*; what runs was not touched then
 */
export async function installUpdate(
  host: Host,
  order: InstallOrder,
  onProgress: (percent: number, text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  let { version } = order;
  let told = -1;
  const tell = (state: Pick<UpdateState, 'state' | 'detail' | 'progress' | 'code'>): Promise<void> =>
    publish(host, { ...state, version, id: order.requestId });
  let telling = Promise.resolve();
  const progress = (percent: number, text: string): void => {
    onProgress(percent, text);
    if (percent === told) return;
    told = percent;
    const state = { state: 'installing', detail: oneLine(text), progress: percent, code: null } as const;
    // What cannot be told now ends no installation that goes well: its end is told once more, or is an error.
    telling = telling.then(() => tell(state)).catch(() => {});
  };
  const before = await readState(path.join(host.root, stateFile)).catch(() => null);
  try {
    // Not left to the handler alone: what is kept for the judge of a trial must not be written while there is one.
    if ((await readStanding(host, signal)).pending !== 'none')
      throw new SurfacedError('E_UPDATE_PENDING', `${order.place}: ${pendingWords}`);
    await tell({ state: 'installing', detail: 'looks at the bundle', progress: 0, code: null });
    const transaction = randomUUID();
    const files = await orderFiles(host, order, transaction);
    try {
      const source: BundleSource = { place: order.place, caFile: files.ca };
      const info = await bundleInfo(host, source, signal);
      if (
        (order.manifestSha256 !== null && info.manifestSha256 !== order.manifestSha256) ||
        (order.version !== null && info.version !== order.version)
      )
        throw new SurfacedError('E_UPDATE_BUNDLE', `${order.place}: not the bundle that was asked for`);
      ({ version } = info);
      await keepProblems(host, await findProblems(host, signal));
      const expected = [
        `image=${info.imageSha256}`,
        `allow-downgrade=${order.mayBeOlder ? 'yes' : 'no'}`,
        '',
      ];
      await writeWhole(files.order, expected.join('\n'));
      await installBundle(host, source, { transaction, onProgress: progress, signal });
    } finally {
      await Promise.all([files.order, files.ca].map((file) => file && rm(file, { force: true })));
    }
    await telling;
    const { state, detail } = stateOf(await readStanding(host, signal));
    await tell({ state, detail, progress: null, code: null });
    return version;
  } catch (cause) {
    await telling;
    const problem = asSurfaced(cause, signal);
    const state =
      (await stateBeside(host, problem, before)) ??
      ({
        state: 'failed',
        version,
        detail: oneLine(problem instanceof SurfacedError ? problem.message : String(problem)),
        progress: null,
        code: problem instanceof SurfacedError ? problem.code : null,
      } as const);
    await publish(host, { ...state, id: order.requestId }).catch((untold: Error) => {
      // Who asked hears nothing then, and gives up by time; why it failed is what counts.
      onProgress(Math.max(0, told), `the device daemon cannot be told: ${untold.message}`);
    });
    throw problem;
  }
}

const pendingWords = 'an update is on trial or waits for a restart';

/**
 * That something else is under way is no failure of what was asked for: it is told how that stands, and who asked waits.
 * @returns null: as it has failed
 */
async function stateBeside(
  host: Host,
  problem: unknown,
  before: UpdateState | null,
): Promise<Omit<UpdateState, 'id'> | null> {
  if (!(problem instanceof SurfacedError) || problem.code !== 'E_UPDATE_PENDING') return null;
  const standing = await readStanding(host, new AbortController().signal).then(stateOf, () => null);
  if (standing?.state === 'trial' || standing?.state === 'installed') return standing;
  // Somebody else installs, and will tell how that goes on.
  return before?.state === 'installing' ? before : null;
}

/** Files that cannot be written are faults of this system; aborts and defects stay what they are. */
function asSurfaced(cause: unknown, signal: AbortSignal): unknown {
  if (cause instanceof SurfacedError || signal.aborted) return cause;
  const { code, path: file, message } = cause as NodeJS.ErrnoException;
  if (code === undefined) return cause;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const what = `${file ?? 'a file of this system'}: ${message}`;
  return new SurfacedError(isFull ? 'E_UPDATE_SPACE' : 'E_UPDATE_SYSTEM', what, { cause });
}

async function orderFiles(host: Host, { caPem }: InstallOrder, transaction: string) {
  const order = path.join(host.root, orderFolder, transaction);
  if (caPem === null) return { order, ca: null };
  const ca = `${order}.pem`;
  await writeWhole(ca, caPem);
  return { order, ca };
}
