import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

const daemon = (file: string): string =>
  JSON.stringify(new URL(`../../daemon/${file}`, import.meta.url).href);

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a role in a process of its own; `body` is what happens once it runs. */
const runs = (body: string): Promise<Ended> =>
  runsScript(`import { runRole } from ${daemon('commands/run.ts')};
    const stop = async () => { await new Promise(setImmediate); process.stdout.write('panel dark'); };
    await runRole(async () => ({ stop }));
    setInterval(() => {}, 1000);
    ${body}`);

/** Runs the device on a panel that is lit while it starts, which takes for ever; `lit` is what happens then. */
const starts = (lit: string): Promise<Ended> =>
  runsScript(`import { runRole } from ${daemon('commands/run.ts')};
    import { startDevice } from ${daemon('device.ts')};
    import { systemClock } from ${daemon('clock.ts')};
    import { silentLog } from ${daemon('log.ts')};
    const panel = {
      spec: { model: 'fake', controls: [], matrix: { width: 1, height: 1 }, roles: {} },
      state: { isOpen: false, problem: null },
      start: () => new Promise((resolve) => { setInterval(() => {}, 1000); ${lit} }),
      show: () => {},
      stop: async () => { await new Promise(setImmediate); process.stdout.write('panel dark'); },
    };
    const credentials = {
      current: () => { process.stdout.write('asked for credentials'); return new Promise(() => {}); },
      onRenewed: () => () => {}, renew: () => {}, stop: () => {},
    };
    const surface = { settleMs: 150, longestMoveMs: 500, isLockedAtStart: false, lockAfterIdleMs: 0 };
    await runRole((signal) => startDevice({
      panel, credentials, surface, firmware: '', updates: null, clock: systemClock, random: () => 0, log: silentLog, signal,
    }));`);

async function runsScript(script: string): Promise<Ended> {
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script]);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

t.test('a signal stops the role, exit 0', async (t) => {
  t.match(await runs("process.kill(process.pid, 'SIGTERM');"), { code: 0, stdout: 'panel dark', stderr: '' });
});

t.test('a defect ends the process with exit 1, but the role is stopped first', async (t) => {
  const thrown = await runs("setImmediate(() => { throw new Error('defect'); });");
  t.match(thrown, { code: 1, stdout: 'panel dark', stderr: /surfaced: Error: defect\n/ });
  const rejected = await runs("Promise.reject(new Error('defect'));");
  t.match(rejected, { code: 1, stdout: 'panel dark', stderr: /surfaced: Error: defect\n/ });
});

t.test('what comes while a device starts leaves the panel dark as well', async (t) => {
  const terminated = await starts("setTimeout(() => process.kill(process.pid, 'SIGTERM'), 1);");
  t.match(terminated, { code: 0, stdout: /^panel dark$/, stderr: '' });
  const thrown = await starts("setTimeout(() => { throw new Error('defect'); }, 1);");
  t.match(thrown, { code: 1, stdout: /^panel dark$/, stderr: /surfaced: Error: defect\n/ });
  const failed = await starts("throw new Error('no such panel');");
  t.match(failed, { code: 1, stdout: /^panel dark$/, stderr: /no such panel/ });
});

t.test(
  'a start that has lit nothing ends with the reason of its signal; one that hangs is left',
  async (t) => {
    const role = (start: string): Promise<Ended> =>
      runsScript(`import { calledOff, runRole } from ${daemon('commands/run.ts')};
      setTimeout(() => process.kill(process.pid, 'SIGTERM'), 1);
      setInterval(() => {}, 1000);
      await runRole(${start});`);
    const calledOff = await role('(signal) => Promise.race([new Promise(() => {}), calledOff(signal)])');
    t.match(calledOff, { code: 0, stdout: '', stderr: '' });
    t.match(await role('() => new Promise(() => {})'), { code: 1 });
  },
);
