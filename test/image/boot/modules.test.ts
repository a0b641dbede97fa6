import t from 'tap';
import { modulesInOrder } from '../../../image/boot/modules.ts';

const dependencies = `kernel/fs/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/jbd2.ko.xz
kernel/fs/jbd2.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/md/dm-verity.ko.xz: kernel/lib/crc16.ko.xz kernel/md/dm_mod.ko.xz
kernel/md/dm_mod.ko.xz:
`;

t.test('each module behind what it needs, each once; what is built in is not there', async (t) => {
  const root = t.testdir({
    usr: {
      lib: {
        modules: {
          '6.12.1': { 'modules.dep': dependencies, 'modules.builtin': 'kernel/mmc/mmc_block.ko\n' },
        },
      },
    },
  });
  t.same(await modulesInOrder(root, '6.12.1', ['mmc-block', 'ext4', 'dm_verity']), [
    'kernel/fs/jbd2.ko.xz',
    'kernel/lib/crc16.ko.xz',
    'kernel/fs/ext4.ko.xz',
    'kernel/md/dm_mod.ko.xz',
    'kernel/md/dm-verity.ko.xz',
  ]);
  await t.rejects(modulesInOrder(root, '6.12.1', ['vfat']), {
    code: 'E_IMAGE_STEP',
    message: /no module vfat/,
  });
  await t.rejects(modulesInOrder(root, '6.13.0', ['ext4']), { code: 'E_IMAGE_STEP', message: /6\.13\.0/ });
});
