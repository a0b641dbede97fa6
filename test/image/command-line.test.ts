/** What `npm run image` says to options that there are not, before it installs or builds anything. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const program = fileURLToPath(new URL('../../scripts/image.mjs', import.meta.url));

t.test('options that are not good', async (t) => {
  for (const [words, message] of [
    [['--output'], '--output needs a value'],
    [['--output='], '--output needs a value'],
    [['--version', '--again'], '--version needs a value'],
    [['--nonsense'], 'unknown option --nonsense'],
    [['--again', 'more'], 'unknown option more'],
  ] as const) {
    // No programs: what goes on all the same gets nowhere.
    const env = { PATH: '/nonexistent' };
    const { status, stderr } = spawnSync(process.execPath, [program, ...words], { encoding: 'utf8', env });
    t.equal(status, 1, words.join(' '));
    t.match(stderr, `surfaced: ${message}`);
  }
});
