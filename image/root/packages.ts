/**
 * What the image is made of: packages of Debian, what of them is left out, and the modules of its kernel that a surface can
 * meet. Sizes are those of Debian 13, unpacked.
 */

/** Packages of the root file system; what they depend on comes with them. Essential ones are named as well. */
export const rootPackages: readonly string[] = [
  'base-files bash coreutils dash findutils grep gzip libc-bin sed tar',
  'busybox fdisk mount util-linux zstd',
  'systemd systemd-sysv systemd-resolved systemd-timesyncd libnss-myhostname',
  'dbus kmod libpam-modules sudo tzdata udev',
  'linux-image-arm64 raspi-firmware u-boot-rpi firmware-brcm80211 wireless-regdb',
  'ca-certificates iproute2 iwd openssh-client openssh-server',
  'cryptsetup-bin dosfstools e2fsprogs libubootenv-tool rauc rauc-service',
  // Node of our own package is linked against these.
  'libgcc-s1 libstdc++6',
].flatMap((line) => line.split(' '));

/**
 * Packages that others depend on for what runs while packages are installed, which never happens here: apt is told that
 * they are there.
 */
export const absentPackages: readonly string[] = [
  'adduser base-passwd debconf debconf-2.0 debianutils dpkg init-system-helpers',
  'awk login.defs lsb-base mawk openssl passwd perl-base procps runit-helper',
  'sensible-utils sysvinit-utils ucf',
  // An initramfs of our own is made in boot/.
  'dracut initramfs-tools linux-base linux-initramfs-tool',
  // Old ciphers.
  'openssl-provider-legacy',
].flatMap((line) => line.split(' '));

/** Programs of busybox that people and scripts expect by name, in place of packages of their own. */
export const busyboxPrograms: readonly string[] = [
  'awk clear free hexdump kill less nc nslookup pidof ping ps reset top',
  'uptime vi watch wget which xxd',
].flatMap((line) => line.split(' '));

/** Never unpacked: documentation (copyrights stay), other languages, and what desktops and packagers use. */
export const excludedPaths: readonly string[] = [
  'apport bash-completion bug debconf dict doc-base fish gdb info initramfs-tools lintian locale man menu metainfo',
  'pam-configs pixmaps runit zsh',
]
  .flatMap((line) => line.split(' '))
  .map((name) => `/usr/share/${name}/*`);

/** Removed after unpacking, with all that is in it; `*` as in shells. Says why where it is not plain. */
export const unneededPaths: readonly string[] = [
  ...[
    'etc/cron.d',
    'etc/cron.daily',
    'etc/init.d',
    'etc/rc?.d',
    'etc/runit',
    'etc/sv',
    'etc/ufw',
    'etc/dhcp',
  ],
  ...['etc/apt', 'etc/dpkg', 'etc/kernel', 'etc/initramfs-tools', 'etc/initramfs', 'etc/selinux'],
  // Links to what other packages or Debian's scripts would make.
  ...['etc/modules-load.d/modules.conf', 'etc/rmt', 'usr/lib/environment.d/99-environment.conf'],
  'usr/share/zoneinfo/localtime',
  ...['etc/logrotate.d', 'etc/update-motd.d', 'usr/share/doc/systemd', 'usr/share/dpkg', 'usr/lib/lsb'],
  // Conversions between character sets: all is UTF-8.
  'usr/lib/aarch64-linux-gnu/gconv',
  // Names of devices and makers: nothing here asks for them.
  ...['usr/lib/udev/hwdb.d', 'usr/lib/systemd/catalog'],
  ...['usr/lib/dracut', 'usr/lib/kernel', 'usr/share/glib-2.0', 'usr/share/zoneinfo/right'],
  ...['usr/share/zoneinfo/posix', 'usr/lib/modules/*/source', 'usr/lib/modules/*/build'],
  // A slot is built whole: its own kernel comes as /boot/vmlinuz.
  ...['boot/config-*', 'boot/System.map-*'],
  // Cut-down, debugging and camera variants of the firmware, and U-Boot's symbols.
  ...['start_cd', 'start_db', 'start_x', 'start4cd', 'start4db', 'start4x'].flatMap((name) => [
    `usr/lib/raspi-firmware/${name}.elf`,
    `usr/lib/raspi-firmware/${name.replace('start', 'fixup')}.dat`,
  ]),
  'usr/lib/u-boot/*/uboot.elf',
  // Keys of hosts are of the card, not of the image.
  'etc/ssh/ssh_host_*',
];

/** Files in these folders stay when one of the patterns fits their path below the folder. */
export const keptFiles: Readonly<Record<string, readonly RegExp[]>> = {
  // Radios of Raspberry Pi 3, Zero 2 W, 4 and 5; the second folder has what the first one links to.
  'usr/lib/firmware/brcm': [
    /^brcmfmac434(?:30|30a0|30b0|36|36s|55|56)-sdio\.(?:bin|clm_blob|txt|raspberrypi,.*|Raspberry.*)$/,
  ],
  'usr/lib/firmware/cypress': [/^cyfmac43(?:430|455)-sdio\./],
  // Device trees of all boards that Debian knows are 56 MB.
  'usr/lib/linux-image-*': [/^broadcom\/bcm(?:2711|2712|2837)-rpi-/],
};

/**
 * Kernel modules that a surface can need, by their path below `kernel/`, on a Raspberry Pi or in QEMU's machine `virt`; what
 * these need stays as well. Much is built into the kernel: serial ports, PCIe, GPIO and pins, spidev, IPv6.
 */
export const keptModules: readonly RegExp[] = [
  /^(?:arch|crypto|lib)\//,
  // autofs: systemd asks for it at each start, and complains where it is not.
  /^fs\/(?:autofs|exfat|ext4|fat|fuse|nls|overlayfs|squashfs)\//,
  /^net\/(?:8021q|dns_resolver|rfkill|wireless)\//,
  // Storage: cards, sticks, and the devices below bundles.
  /^drivers\/block\/(?:loop|nbd|virtio_blk|zram\/)/,
  /^drivers\/md\/dm-/,
  /^drivers\/mmc\/host\/(?:bcm2835|sdhci|sdhci-iproc|sdhci-pltfm)\./,
  /^drivers\/scsi\/sd_mod/,
  // The board.
  /^drivers\/char\/(?:hw_random\/(?:bcm2835|iproc|virtio)|tpm\/)/,
  /^drivers\/(?:cpufreq|pwm|reset)\/.*raspberrypi/,
  /^drivers\/pwm\/pwm-bcm2835/,
  /^drivers\/nvmem\/nvmem-rmem/,
  /^drivers\/(?:regulator\/(?:fixed|gpio-regulator)|thermal\/broadcom\/)/,
  /^drivers\/rtc\/rtc-(?:abx80x|m41t80|pcf|rs5c372|rv8803|rx8025)/,
  /^drivers\/virtio\/virtio_(?:balloon|input|mmio)/,
  /^drivers\/watchdog\/(?:bcm2835_wdt|i6300esb|softdog)/,
  // Network: cable, USB and radio.
  /^drivers\/net\/ethernet\/broadcom\/genet\//,
  /^drivers\/net\/(?:mdio\/mdio-bcm-unimac|phy\/(?:bcm7xxx|broadcom|microchip|realtek|smsc))\./,
  /^drivers\/net\/usb\/(?:asix|aqc111|ax88179_178a|cdc_ether|cdc_ncm|lan78xx|r8152|r8153_ecm|rndis_host|smsc\d+xx)\./,
  /^drivers\/net\/(?:virtio_net\.|wireless\/broadcom\/brcm80211\/brcmfmac\/)/,
  // Panels.
  /^drivers\/(?:gpio\/gpio-viperboard|i2c\/i2c-dev|i2c\/busses\/i2c-(?:bcm2835|gpio|tiny-usb)|i2c\/muxes\/)/,
  /^drivers\/(?:hid\/(?:hid-generic|hid-multitouch|uhid|usbhid\/usbhid)|input\/(?:evdev|joydev|keyboard\/gpio_keys|misc\/uinput))\./,
  /^drivers\/leds\/(?:leds-gpio|leds-pwm|trigger\/)/,
  /^drivers\/spi\/spi-(?:bcm2835|bcm2835aux|gpio)\./,
  /^drivers\/usb\/(?:class\/cdc-acm|dwc2\/|serial\/|storage\/(?:uas|usb-storage))/,
  /^drivers\/usb\/host\/(?:ehci|ohci|xhci)-(?:pci|plat|platform|plat-hcd)\./,
  /^sound\/(?:core|usb)\//,
];
