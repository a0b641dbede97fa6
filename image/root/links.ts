/** Links of the image that are ours. Here and not among the files: tools that read the tree follow links, out of it. */

/** Path in the image -> what it links to. */
export const links: Readonly<Record<string, string>> = {
  'etc/default/locale': '../locale.conf',
  'etc/mtab': '../proc/self/mounts',
  'etc/resolv.conf': '../run/systemd/resolve/stub-resolv.conf',
  // State of the card, see image/README.md; they dangle until it is there.
  'etc/hostname': '../data/shared/hostname',
  'etc/localtime': '../data/shared/localtime',
  'etc/surfaced/calibration.yaml': '../../data/shared/surfaced/calibration.yaml',
  'etc/surfaced/device.yaml': '../../data/shared/surfaced/device.yaml',
  // The signed list of radio channels: the kernel of Debian knows Debian's key.
  'usr/lib/firmware/regulatory.db': 'regulatory.db-debian',
  'usr/lib/firmware/regulatory.db.p7s': 'regulatory.db.p7s-debian',
  // Nobody logs in on a console, or from the host of a virtual machine.
  'etc/systemd/system-generators/systemd-getty-generator': '/dev/null',
  'etc/systemd/system-generators/systemd-ssh-generator': '/dev/null',
  // It would write below /root and /etc.
  'etc/tmpfiles.d/provision.conf': '/dev/null',
  // Started by who waits for the time only; Debian's own wish would have the whole start wait.
  'usr/lib/systemd/system/time-sync.target.wants/systemd-time-wait-sync.service':
    '../systemd-time-wait-sync.service',
};

/** Links that lead nowhere in the image as it is built, with what makes their target while it runs. */
export const danglingLinks: Readonly<Record<string, string>> = {
  'etc/hostname': 'first boot',
  'etc/localtime': 'first boot; UTC without it',
  'etc/mtab': 'the kernel',
  'etc/resolv.conf': 'systemd-resolved',
  'etc/surfaced/calibration.yaml': 'surfaced calibrate',
  'etc/surfaced/device.yaml': 'first boot',
};
