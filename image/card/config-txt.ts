/**
 * `config.txt`, what the firmware of the Raspberry Pi is told. Facts: Raspberry Pi documentation, "config.txt"; which of
 * the settings Debian's firmware knows was looked up in its files. The firmware reads 98 characters of a line.
 */
import type { Overlay } from './boards.ts';

const settings = `# What the firmware of the Raspberry Pi is told. surfaced itself is set up in surfaced.yaml.

# 64 bit, and U-Boot, which chooses between the two systems on this card. It loads kernel and
# initramfs by itself.
arm_64bit=1
kernel=u-boot.bin
auto_initramfs=0
# Device trees have the names of Debian's kernel: bcm2837-rpi-3-b.dtb, not bcm2710-rpi-3-b.dtb.
upstream_kernel=1
# U-Boot does not start without its serial console, the mini UART on GPIO 14 and 15.
enable_uart=1
# MB for the graphics processor. Less than 32 would need the cut-down firmware, which is not on
# this card.
gpu_mem=32
# No rainbow picture, no warnings across the picture, no second of waiting.
disable_splash=1
avoid_warnings=1
boot_delay=0
# A board on top of the Pi brings no device tree of its own: those are made for another kernel,
# and nobody has checked it.
force_eeprom_read=0
# Seconds until the watchdog starts the Pi anew when the system does not come up. Debian 13's
# firmware does not know it yet and passes over it; while the system runs, systemd feeds the
# watchdog in any case.
kernel_watchdog_timeout=60
`;

/** The text of config.txt for these overlays, one line each; those that are off are comments. */
export function configText(overlays: readonly Overlay[]): string {
  const lines = overlays.map(
    ({ name, purpose, isOn }) => `# ${purpose}\n${isOn ? '' : '#'}dtoverlay=${name}\n`,
  );
  return [
    settings,
    '# Parts of the panel. Take the # away in front of dtoverlay to use one;',
    '# docs/build-a-surface.md has the wiring.\n',
    ...lines,
  ].join('\n');
}
