import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { factoryReset } from '../../daemon/commands/factory-reset.ts';
import { SurfacedError } from '../../daemon/errors.ts';
import { checkImage } from '../../daemon/first-boot/boot-partition.ts';
import { MemoryDisk } from '../first-boot/memory-disk.ts';

t.test('word is left for the next start, then it starts', async (t) => {
  const disk = new MemoryDisk();
  const happened: string[] = [];
  const reset = (answer: boolean) =>
    factoryReset({
      disk,
      boot: '/boot/firmware',
      whileWritable: async (work) => {
        happened.push('rw');
        const value = await work();
        happened.push('ro');
        return value;
      },
      ask: async (question) => {
        happened.push(question.slice(0, 5));
        return answer;
      },
      reboot: async () => {
        happened.push(`reboot, ${disk.text('/boot/firmware/factory-reset')?.trim()}`);
      },
    });
  t.equal(await reset(false), false);
  t.same(happened, ['Erase']);
  t.same(disk.all(), {});
  t.equal(await reset(true), true);
  t.same(happened.slice(1), ['Erase', 'rw', 'ro', 'reboot, asked for by surfaced']);
});

t.test('a boot partition that cannot be written: no restart', async (t) => {
  const locked = new SurfacedError('E_FIRST_BOOT', 'it is locked');
  const parts = {
    disk: new MemoryDisk(),
    boot: '/boot/firmware',
    whileWritable: () => Promise.reject(locked),
    ask: async () => true,
    reboot: async () => {
      t.fail('it starts');
    },
  };
  await t.rejects(factoryReset(parts), locked);
});

t.test('only on the image', async (t) => {
  const root = t.testdir({});
  await t.rejects(checkImage(root), { code: 'E_NOT_IMAGE' });
  mkdirSync(path.join(root, 'run/surfaced/boot'), { recursive: true });
  writeFileSync(path.join(root, 'run/surfaced/boot/slot'), 'a\n');
  await t.resolves(checkImage(root));
});
