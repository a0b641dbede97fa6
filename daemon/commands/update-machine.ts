/**
 * Updates as the device daemon has them carried out: it writes a request, and a service of the image that may install takes it
 * and tells how that goes (update/request.ts). Where there is no such service, nothing can be updated from here.
 */
import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemTimers } from '../bridge/gateway/timers.ts';
import type { MachineState, UpdateMachine } from '../bridge/link/updater.ts';
import { bundlePath } from '../bridge/wire/messages.ts';
import { SurfacedError } from '../errors.ts';
import type { Log } from '../log.ts';
import { readState, requestFile, stateFile, type UpdateRequest, updateRequest } from '../update/request.ts';
import { watchFolder } from '../watch-folder.ts';

export { updateFolder } from '../update/request.ts';

/** The service answers a request within this, milliseconds, or does not run. */
const answerMs = 60_000;
/** Changes of a file are several events. */
const debounceMs = 50;

const noService: MachineState = {
  state: 'unsupported',
  version: null,
  detail: 'not the image: surfaced was installed here by package, and is updated by that',
};

/**
 * Watches the folder; it may appear later.
 * @param options.gatewayUrl where the gateway has its bundles
 */
export async function openUpdateMachine(options: {
  readonly folder: string;
  readonly gatewayUrl: string;
  readonly log: Log;
}): Promise<UpdateMachine & { close(): Promise<void> }> {
  const { folder, gatewayUrl, log } = options;
  const [request, state] = [requestFile, stateFile].map((file) => path.join(folder, path.basename(file)));
  let listener = (): void => {};
  let said: MachineState = noService;
  /** A request that the service has not answered yet. */
  let pending: { readonly id: string; readonly state: MachineState; cancel(): void } | null = null;
  let problem = '';

  const now = (): MachineState => pending?.state ?? said;
  const look = async (): Promise<void> => {
    const before = JSON.stringify(now());
    const found = await readState(state!);
    problem = '';
    if (found === null) said = noService;
    else {
      const { id, state: word, version, detail, code } = found;
      said = { state: word, version, detail };
      const isAnswer = pending !== null && pending.id === id;
      if (isAnswer || code === 'E_UPDATE_REQUEST') pending?.cancel();
      if (isAnswer) pending = null;
      else if (pending !== null && code === 'E_UPDATE_REQUEST')
        pending = { ...pending, state: { ...pending.state, state: 'failed', detail } };
    }
    if (JSON.stringify(now()) !== before) listener();
  };
  const complain = (error: unknown): void => {
    const { message } = error as Error;
    if (message !== problem) log.warn({ problem: message }, 'the state of updates cannot be read');
    problem = message;
  };
  await look().catch(complain);
  const watching = watchFolder({ folder, debounceMs, look, onError: complain });

  /** Puts a request where the service takes it, whole or not at all. */
  const send = async (wanted: UpdateRequest): Promise<void> => {
    const checked = updateRequest.safeParse(wanted);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      throw new SurfacedError('E_UPDATE_REQUEST', `${issue?.path.join('.')}: ${issue?.message}`);
    }
    const beside = path.join(folder, `.${wanted.id}`);
    try {
      await writeFile(beside, `${JSON.stringify(wanted)}\n`, { flag: 'wx', mode: 0o644 });
      await rename(beside, request!);
    } catch (cause) {
      await rm(beside, { force: true }).catch(complain);
      const { code } = cause as NodeJS.ErrnoException;
      throw new SurfacedError('E_UPDATE_REQUEST', `${request}: cannot be written (${code})`, { cause });
    }
  };
  return {
    get state() {
      return now();
    },
    onChange: (added) => {
      listener = added;
    },
    install: async ({ version, manifestSha256, caPem }) => {
      const id = randomUUID();
      const url = new URL(bundlePath(version), gatewayUrl).href;
      const waiting = { state: 'installing', version, detail: 'asked for' } as const;
      const giveUp = (): void => {
        if (pending?.id !== id) return;
        pending = {
          id,
          state: { ...waiting, state: 'failed', detail: 'the update service does not answer' },
          cancel,
        };
        listener();
      };
      const cancel = systemTimers.after(answerMs, giveUp);
      pending?.cancel();
      pending = { id, state: waiting, cancel };
      try {
        await send({ action: 'install', id, version, url, caPem, manifestSha256 });
      } catch (error) {
        cancel();
        pending = null;
        throw error;
      }
    },
    restart: () => send({ action: 'restart', id: randomUUID() }),
    close: async () => {
      pending?.cancel();
      await watching.close();
    },
  };
}
