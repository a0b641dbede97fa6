/** What the initramfs does with the data partition, with functions in place of the programs that touch it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const library = fileURLToPath(new URL('../../../image/boot/initramfs/lib/surfaced/data.sh', import.meta.url));

/** What is done, a line each. */
function mountData({
  check,
  repair,
  mounts,
  isResetWanted = false,
}: {
  /** Exit codes of e2fsck. */
  readonly check: number;
  readonly repair: number;
  /** Exit codes of mount, one call after the other; the last one stays. */
  readonly mounts: readonly number[];
  readonly isResetWanted?: boolean;
}): string[] {
  const script = `
    set -u
    e2fsck_log=/dev/null
    . ${library}
    e2fsck() { [ "$1" = -p ] && return ${check}; return ${repair}; }
    is_reset_wanted() { ${isResetWanted}; }
    end_reset() { echo end of reset; }
    codes='${mounts.join(' ')}'
    mount() {
      code=\${codes%% *}
      codes=\${codes#* }
      return $code
    }
    mke2fs() { echo made; }
    note() { echo "note: $*"; }
    resize2fs() { echo resized; }
    # Blocks, and their size, of a file system as large as its partition.
    od() { case $2 in -tu4) [ "$3" = -j1028 ] && echo 1000 || echo 2 ;; esac; }
    sectors() { echo 8000; }
    sync() { :; }
    mkdir() { :; }
    say() { :; }
    warn() { :; }
    stop() { echo "stop: $*"; exit 0; }
    stop_slot() { echo "stop slot: $*"; exit 0; }
    partition=mmcblk0p
    mount_data
    echo mounted
  `;
  const { stdout, stderr, status } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  t.same([status, stderr], [0, '']);
  return stdout.trim().split('\n');
}

t.test('data stays where it can', async (t) => {
  t.same(mountData({ check: 0, repair: 99, mounts: [0] }), ['mounted']);
  t.same(mountData({ check: 1, repair: 99, mounts: [0] }), ['mounted'], 'repaired');
  t.same(mountData({ check: 4, repair: 1, mounts: [0] }), ['mounted'], 'repaired in the second pass');
  const anew = 'note: data partition made anew: it had no file system that could be repaired';
  for (const repair of [4, 8, 12, 15])
    t.same(
      mountData({ check: 8, repair, mounts: [0] }),
      ['made', anew, 'mounted'],
      `e2fsck ends with ${repair}`,
    );
  t.same(mountData({ check: 0, repair: 0, mounts: [32, 0] }), [
    'made',
    'note: data partition made anew: its file system could not be mounted',
    'mounted',
  ]);
  t.same(mountData({ check: 0, repair: 0, mounts: [32] }), [
    'made',
    'stop: the data partition cannot be mounted',
  ]);
});

t.test('a program that does not run is no reason to throw data away', async (t) => {
  // Wrong use, a library that is missing, no such program, killed.
  for (const code of [16, 128, 127, 126, 137, 139]) {
    t.same(mountData({ check: code, repair: code, mounts: [0] }), ['mounted'], `ends with ${code}`);
    t.same(
      mountData({ check: code, repair: code, mounts: [32] }),
      ['stop slot: the data partition can be neither checked nor mounted'],
      `ends with ${code}, and nothing can be mounted`,
    );
  }
});

t.test('a reset makes it anew, whatever is on it', async (t) => {
  t.same(mountData({ check: 127, repair: 127, mounts: [0], isResetWanted: true }), [
    'made',
    'end of reset',
    'note: data partition made anew: reset to the state of a new card',
    'mounted',
  ]);
});
