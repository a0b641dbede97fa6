import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { openUpdateMachine } from '../../daemon/commands/update-machine.ts';
import { silentLog } from '../../daemon/log.ts';
import { readRequest, type UpdateState } from '../../daemon/update/request.ts';

const idle: UpdateState = { state: 'idle', version: null, detail: '', progress: null, code: null, id: null };
const caPem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const wanted = { version: '1.2.0', manifestSha256: 'ab'.repeat(32), caPem };

async function open(t: Test, folder: string) {
  const machine = await openUpdateMachine({ folder, gatewayUrl: 'https://gateway:8443', log: silentLog });
  t.teardown(() => machine.close());
  const waiting = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(waiting));
  const looks = new Set<() => void>();
  machine.onChange(() => {
    for (const look of looks) look();
  });
  const until = (isTrue: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!isTrue()) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
    });
  const publish = (state: UpdateState | string): void => {
    const file = path.join(folder, 'state.json');
    writeFileSync(`${file}.new`, typeof state === 'string' ? state : JSON.stringify(state));
    renameSync(`${file}.new`, file);
  };
  return { machine, until, publish };
}

t.test('a request is written whole, and the state follows what the service says of it', async (t) => {
  const folder = t.testdir({ 'state.json': JSON.stringify(idle) });
  const { machine, until, publish } = await open(t, folder);
  t.match(machine.state, { state: 'idle' });
  await machine.install(wanted);
  t.match(machine.state, { state: 'installing', version: '1.2.0', detail: 'asked for' }, 'at once');
  const request = await readRequest(path.join(folder, 'request.json'));
  t.match(request, { action: 'install', ...wanted, url: 'https://gateway:8443/v1/updates/1.2.0.raucb' });
  publish({ ...idle, state: 'installing', version: '1.2.0', detail: '40 %', id: request?.id ?? null });
  await until(() => machine.state.detail === '40 %');
  publish({ ...idle, state: 'installed', version: '1.2.0', detail: 'waits', id: request?.id ?? null });
  await until(() => machine.state.state === 'installed');
  rmSync(path.join(folder, 'request.json'));
  await machine.restart();
  t.match(JSON.parse(readFileSync(path.join(folder, 'request.json'), 'utf8')), { action: 'restart' });
});

t.test('a request that the service does not understand has failed', async (t) => {
  const folder = t.testdir({ 'state.json': JSON.stringify(idle) });
  const { machine, until, publish } = await open(t, folder);
  await machine.install(wanted);
  publish({ ...idle, detail: 'url: not one', code: 'E_UPDATE_REQUEST' });
  await until(() => machine.state.state === 'failed');
  t.match(machine.state, { version: '1.2.0', detail: 'url: not one' });
});

t.test('without the service nothing can be updated, and it is asked for nothing', async (t) => {
  const folder = t.testdir({});
  const { machine, until, publish } = await open(t, path.join(folder));
  t.match(machine.state, { state: 'unsupported', detail: /installed here by package/ });
  publish(idle);
  await until(() => machine.state.state === 'idle');
  publish('{');
  publish({ ...idle, state: 'trial', version: '1.2.0' });
  await until(() => machine.state.state === 'trial');
  const gone = await openUpdateMachine({
    folder: path.join(folder, 'none'),
    gatewayUrl: 'https://gateway',
    log: silentLog,
  });
  t.teardown(() => gone.close());
  await t.rejects(gone.install(wanted), { code: 'E_UPDATE_REQUEST', message: /ENOENT/ });
  t.match(gone.state, { state: 'unsupported' }, 'what could not be asked for is not under way');
  await t.rejects(gone.install({ ...wanted, caPem: 'no certificate' }), { message: /caPem/ });
});
