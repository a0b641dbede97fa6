import fc from 'fast-check';
import t from 'tap';
import { licenceOf, packageListFormat, parsePackageList } from '../../../image/root/debian-packages.ts';
import { packageListsOf, rootSelection, statusOfAbsent } from '../../../image/root/extract.ts';
import { modulesToKeep } from '../../../image/root/modules.ts';
import {
  absentPackages,
  busyboxPrograms,
  excludedPaths,
  keptFiles,
  keptModules,
  rootPackages,
  unneededPaths,
} from '../../../image/root/packages.ts';

t.test('lists', async (t) => {
  for (const list of [rootPackages, absentPackages, busyboxPrograms, excludedPaths, unneededPaths])
    t.same([...new Set(list)], list, 'each entry once');
  for (const name of [...rootPackages, ...absentPackages]) t.match(name, /^[a-z0-9][a-z0-9.+-]+$/);
  t.same(
    rootPackages.filter((name) => absentPackages.includes(name)),
    [],
    'nothing is wanted and said to be there',
  );
  for (const name of ['nodejs', 'initramfs-tools', 'tpm2-tools', 'perl', 'python3'])
    t.notOk(rootPackages.includes(name), `${name} is not needed`);
  for (const pattern of unneededPaths) {
    t.notMatch(pattern, /^\/|\.\.|^\*|\s/, `${pattern} stays inside`);
    t.match(pattern, /^(?:etc|usr|boot)\/./);
  }
});

t.test('names that apt is told to be there', async (t) => {
  const status = statusOfAbsent(['perl-base', 'ucf'], 'arm64');
  t.match(status, /^Provides: perl-base \(= 99:99\), ucf \(= 99:99\)$/m);
  t.match(status, /^Status: install ok installed$/m);
  t.match(status, /[^\n]\n\n$/, 'one paragraph, ended');
});

t.test('state of the archive', async (t) => {
  const sum = 'a'.repeat(64);
  const line = (file: string) => ` ${sum}  12345 ${file}`;
  const release = [
    'Origin: Debian',
    'MD5Sum:',
    ` ${'b'.repeat(32)} 12 main/binary-arm64/Packages.xz`,
    'SHA256:',
    line('main/binary-amd64/Packages.xz'),
    line('non-free-firmware/binary-arm64/Packages.xz'),
    line('main/binary-arm64/Packages.xz'),
    line('main/binary-arm64/Packages.gz'),
    line('contrib/binary-arm64/Packages.xz'),
  ].join('\n');
  t.same(packageListsOf(release, rootSelection), [
    `main/binary-arm64/Packages.xz ${sum}`,
    `non-free-firmware/binary-arm64/Packages.xz ${sum}`,
  ]);
  t.same(packageListsOf('<html>not a release</html>', rootSelection), []);
});

t.test('list of what was unpacked', async (t) => {
  t.equal(packageListFormat.match(/\$\{/g)?.length, 5);
  t.same(parsePackageList('dash\t1-2\tarm64\tdash\t1-2\nbash\t5-2+b1\tarm64\tbash\t5-2\nx\t1\tall\ty\t1\n'), [
    { name: 'bash', version: '5-2+b1', architecture: 'arm64', source: 'bash (5-2)' },
    { name: 'dash', version: '1-2', architecture: 'arm64', source: 'dash' },
    { name: 'x', version: '1', architecture: 'all', source: 'y' },
  ]);
  for (const text of ['dash', 'dash\t1\tarm64\tdash', '\t1\tarm64\tdash\t1', 'a\tb\tc\td\te\tf'])
    t.throws(() => parsePackageList(text), /Not a line/);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        return parsePackageList(text).every((item) => item.name !== '' && item.version !== '');
      } catch (error) {
        return error instanceof Error && /Not a line/.test(error.message);
      }
    }),
  );
});

t.test('licences', async (t) => {
  const head = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n';
  t.equal(
    licenceOf(
      `${head}Files: *\nLicense: GPL-2+ or MIT\n text of it\n\nFiles: a\nLicense: Expat\n\nLicense: Expat\n words\n`,
    ),
    'GPL-2+ or MIT; Expat',
  );
  t.equal(licenceOf('This is free software.\nLicense: GPL\n'), null, 'prose');
  t.equal(licenceOf(head), null);
  t.equal(licenceOf(''), null);
  fc.assert(fc.property(fc.string(), (text) => licenceOf(`${head}${text}`) !== ''));
});

t.test('modules', async (t) => {
  const list = `kernel/drivers/net/usb/smsc95xx.ko.xz: kernel/drivers/net/usb/usbnet.ko.xz
kernel/drivers/net/usb/usbnet.ko.xz: kernel/drivers/net/mii.ko.xz
kernel/drivers/net/mii.ko.xz:
kernel/drivers/media/x.ko.xz: kernel/drivers/media/y.ko.xz
kernel/drivers/media/y.ko.xz:
`;
  t.same([...modulesToKeep(list, [/^drivers\/net\/usb\/smsc/])].toSorted(), [
    'kernel/drivers/net/mii.ko.xz',
    'kernel/drivers/net/usb/smsc95xx.ko.xz',
    'kernel/drivers/net/usb/usbnet.ko.xz',
  ]);
  t.throws(() => modulesToKeep(list, [/^drivers\/net\//, /^sound\//]), /no module that fits \^sound/);

  const isKept = (name: string) => keptModules.some((pattern) => pattern.test(name));
  for (const name of [
    'drivers/char/tpm/tpm_tis_spi.ko.xz',
    'drivers/block/nbd.ko.xz',
    'drivers/md/dm-verity.ko.xz',
    'drivers/mmc/host/sdhci-iproc.ko.xz',
    'drivers/net/ethernet/broadcom/genet/genet.ko.xz',
    'drivers/net/usb/lan78xx.ko.xz',
    'drivers/net/wireless/broadcom/brcm80211/brcmfmac/brcmfmac.ko.xz',
    'drivers/spi/spi-bcm2835.ko.xz',
    'drivers/usb/serial/ftdi_sio.ko.xz',
    'drivers/watchdog/i6300esb.ko.xz',
    'fs/autofs/autofs4.ko.xz',
    'fs/squashfs/squashfs.ko.xz',
    'sound/usb/snd-usb-audio.ko.xz',
  ])
    t.ok(isKept(name), name);
  for (const name of [
    'drivers/media/usb/uvc/uvcvideo.ko.xz',
    'drivers/gpu/drm/vc4/vc4.ko.xz',
    'drivers/infiniband/core/ib_core.ko.xz',
    'drivers/staging/x.ko.xz',
    'fs/btrfs/btrfs.ko.xz',
    'net/bluetooth/bluetooth.ko.xz',
    'sound/pci/hda/x.ko.xz',
  ])
    t.notOk(isKept(name), name);
});

t.test('firmware and device trees', async (t) => {
  const isKept = (folder: string, name: string) => keptFiles[folder]?.some((pattern) => pattern.test(name));
  t.ok(isKept('usr/lib/firmware/brcm', 'brcmfmac43455-sdio.raspberrypi,4-model-b.txt'));
  t.ok(isKept('usr/lib/firmware/brcm', 'brcmfmac43430-sdio.bin'));
  t.notOk(isKept('usr/lib/firmware/brcm', 'brcmfmac4356-pcie.bin'));
  t.notOk(isKept('usr/lib/firmware/brcm', 'brcmfmac43455-sdio.pine64,rockpro64-v2.0.txt'));
  t.ok(isKept('usr/lib/linux-image-*', 'broadcom/bcm2837-rpi-zero-2-w.dtb'));
  t.notOk(isKept('usr/lib/linux-image-*', 'qcom/apq8016-sbc.dtb'));
});
