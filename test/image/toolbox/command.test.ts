import t from 'tap';
import { runCommand } from '../../../image/toolbox/command.ts';
import { aptSources, hostPrograms, toolboxPackages } from '../../../image/toolbox/toolbox.ts';

const options = { input: null, env: { PATH: process.env.PATH ?? '' }, cwd: '/' };

t.test('output and input', async (t) => {
  t.equal(await runCommand('title', ['cat'], { ...options, input: 'hällo\n' }), 'hällo\n');
  // More than a pipe holds, to a command that reads nothing.
  t.equal(await runCommand('title', ['true'], { ...options, input: 'x'.repeat(1_000_000) }), '');
});

t.test('failures say what the command said last', async (t) => {
  const code = { code: 'E_IMAGE_STEP' };
  const script = 'yes long | head -c 9000 >&2; echo the end >&2; exit 3';
  const failure = runCommand('title', ['sh', '-c', script], options);
  await t.rejects(failure, { ...code, message: /^title ended with 3\. [\s\S]*the end$/ });
  const { message } = (await failure.catch((error) => error)) as Error;
  t.ok(message.length < 3000);
  await t.rejects(runCommand('title', ['/nowhere/x'], options), { ...code, message: /cannot be started/ });
  await t.rejects(runCommand('title', ['sh', '-c', 'kill -9 $$'], options), {
    ...code,
    message: /ended with SIGKILL/,
  });
});

t.test('packages and sources of the toolbox', async (t) => {
  t.same([...new Set(toolboxPackages)], toolboxPackages, 'each one once');
  for (const name of toolboxPackages) t.match(name, /^[a-z0-9][a-z0-9.+-]+$/);
  t.ok('mmdebstrap' in hostPrograms);
  t.same(aptSources({ debian: 'http://a/debian', security: 'http://b/debian-security' }, '/k', 'main x'), [
    'deb [signed-by=/k] http://a/debian trixie main x',
    'deb [signed-by=/k] http://b/debian-security trixie-security main x',
  ]);
});
