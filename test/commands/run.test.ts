import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

const run = new URL('../../daemon/commands/run.ts', import.meta.url).href;

/** Runs a role in a process of its own; `body` is what happens once it runs. */
async function runs(body: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const script = `import { runRole } from ${JSON.stringify(run)};
    const stop = async () => { await new Promise(setImmediate); process.stdout.write('panel dark'); };
    await runRole(async () => ({ stop }));
    setInterval(() => {}, 1000);
    ${body}`;
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
