/** A surface for tests of installations, with a RAUC that runs the handlers of the image. */
import type { Test } from 'tap';
import type { InstallOrder } from '../../daemon/update/install.ts';
import type { UpdateState } from '../../daemon/update/request.ts';
import { FakeHost } from './fake-host.ts';

export const signal = new AbortController().signal;
export const manifestSha256 = 'ef'.repeat(32);
export const imageSha256 = 'cd'.repeat(32);
export const info = (version: string): string =>
  JSON.stringify({
    ...{ compatible: 'surfaced-pi-arm64', version, hash: manifestSha256, format: 'verity' },
    images: [{ rootfs: { checksum: imageSha256, size: 4096 } }],
  });

/** A surface on 1.2.0; its rauc has handlers, as the real one, and says what the real one says. */
export function surface(t: Test, version = '1.3.0'): FakeHost {
  const host = new FakeHost('1.2.0');
  t.teardown(() => host.end());
  host.answers.set('rauc info', () => ({ stdout: info(version) }));
  host.answers.set('rauc install', (onLine) => {
    const transaction = /--transaction-id=(\S+)/.exec(host.ran.at(-1) ?? '')?.[1] ?? '';
    const env = host.sandbox.environment(version, { RAUC_TRANSACTION_ID: transaction });
    onLine?.('installing');
    onLine?.(' 20% Checking bundle done.');
    const { status } = host.sandbox.handler('pre-install', env);
    if (status !== 0) {
      const error = `Pre-install handler error: Child process exited with code ${status}`;
      return { code: 1, text: `100% Installing failed.\nLastError: ${error}\nInstalling \`x\` failed\n` };
    }
    onLine?.(' 60% Copying image to rootfs.1');
    const after = host.sandbox.handler('post-install', env);
    onLine?.('100% Installing done.');
    return { code: after.status ?? 1, text: after.said };
  });
  return host;
}
export const order = (more: Partial<InstallOrder> = {}): InstallOrder => ({
  ...{
    place: '/media/x.raucb',
    caPem: null,
    version: null,
    manifestSha256: null,
    mayBeOlder: false,
    requestId: null,
  },
  ...more,
});
export const stateIn = (host: FakeHost): UpdateState =>
  JSON.parse(host.sandbox.read('run/surfaced/update/state.json'));
export const silent = (): void => undefined;
