/** The service that takes the device daemon's requests: it has the rights, and does only what the request's few words allow. */
import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { SurfacedError } from '../errors.ts';
import type { Host } from './host.ts';
import { installUpdate, orderFolder } from './install.ts';
import { readRequest, requestFile } from './request.ts';
import { oneLine, publish, readStanding, restart, stateOf } from './standing.ts';

/**
 * Takes one request away and does what it asks for. How it went is in the state that is published.
 * @param say told what is done, for the journal
 */
export async function serveRequest(
  host: Host,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const file = path.join(host.root, requestFile);
  try {
    const request = await readRequest(file);
    // Before it is done: what ends this service in between must not make it begin for ever.
    await takeAway(file, host);
    if (request === null) return;
    if (request.action === 'restart') {
      const { pending } = await readStanding(host, signal);
      if (pending !== 'waits')
        throw new SurfacedError('E_UPDATE_REQUEST', 'a restart was asked for, and no update waits for one');
      say('restarting into the update');
      await restart(host, signal);
      return;
    }
    const { id, url, caPem, manifestSha256, version } = request;
    say(`installing ${version} from ${url}`);
    const order = { place: url, caPem, version, manifestSha256, mayBeOlder: false, requestId: id };
    await installUpdate(host, order, (percent, text) => say(`${percent} % ${text}`), signal);
  } catch (problem) {
    await takeAway(file, host);
    // It has been told as the state already, unless there was no getting so far.
    if (problem instanceof SurfacedError && problem.code === 'E_UPDATE_REQUEST') {
      const standing = stateOf(await readStanding(host, signal));
      await publish(host, { ...standing, detail: oneLine(problem.message), code: problem.code });
    }
    throw problem;
  }
}

/**
 * So that the same is not served for ever. A folder in the request's place is put aside and left: to empty it as root is to
 * follow names that its owner may change meanwhile.
 */
async function takeAway(file: string, { root }: Host): Promise<void> {
  await rm(file, { force: true }).catch(() =>
    rename(file, path.join(root, orderFolder, `refused-${randomUUID()}`)),
  );
}
