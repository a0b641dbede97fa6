/** Installing an update: for the command line, for a USB stick and for the device daemon. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import { type Host, writeWhole } from './host.ts';
import { type BundleSource, bundleInfo, installBundle } from './rauc.ts';
import type { UpdateState } from './request.ts';
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
  let version: string | null = null;
  let told = -1;
  const tell = (state: Pick<UpdateState, 'state' | 'detail' | 'progress' | 'code'>): Promise<void> =>
    publish(host, { ...state, version, id: order.requestId });
  const telling: Promise<void>[] = [];
  const progress = (percent: number, text: string): void => {
    onProgress(percent, text);
    if (percent === told) return;
    told = percent;
    const state = { state: 'installing', detail: oneLine(text), progress: percent, code: null } as const;
    telling.push((telling.pop() ?? Promise.resolve()).then(() => tell(state)));
  };
  try {
    await tell({ state: 'installing', detail: 'looks at the bundle', progress: 0, code: null });
    const transaction = randomUUID();
    const files = await orderFiles(host, order, transaction);
    try {
      const source: BundleSource = { place: order.place, caFile: files.ca };
      const info = await bundleInfo(host, source, signal);
      if (order.manifestSha256 !== null && info.manifestSha256 !== order.manifestSha256)
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
    await Promise.all(telling);
    const { state, detail } = stateOf(await readStanding(host, signal));
    await tell({ state, detail, progress: null, code: null });
    return version;
  } catch (problem) {
    await Promise.allSettled(telling);
    const { code, detail } =
      problem instanceof SurfacedError
        ? { code: problem.code, detail: oneLine(problem.message) }
        : { code: null, detail: oneLine(String(problem)) };
    await tell({ state: 'failed', detail, progress: null, code });
    throw problem;
  }
}

async function orderFiles(host: Host, { caPem }: InstallOrder, transaction: string) {
  const order = path.join(host.root, orderFolder, transaction);
  if (caPem === null) return { order, ca: null };
  const ca = `${order}.pem`;
  await writeWhole(ca, caPem);
  return { order, ca };
}
