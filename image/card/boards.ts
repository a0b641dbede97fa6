/**
 * Boards that the image is for: what lies on the firmware partition for each, and which overlays there are. A profile is
 * a set of boards that one card starts on.
 */

/** A board of a profile. */
export interface Board {
  readonly name: string;
  /** Its device tree, as Debian's kernel package and, with `upstream_kernel=1`, the firmware name it. */
  readonly deviceTree: string;
  /** Tag by which Raspberry Pi Imager knows boards of its kind. */
  readonly imagerTag: string;
}

/** An overlay of `overlays/`, named as its file. */
export interface Overlay {
  readonly name: string;
  /** What it is for, half a sentence; in config.txt and the guide. */
  readonly purpose: string;
  /** Loaded unless the maker says otherwise. */
  readonly isOn: boolean;
}

/** What one card is for. */
export interface BoardProfile {
  readonly name: string;
  readonly title: string;
  readonly boards: readonly Board[];
  readonly overlays: readonly Overlay[];
  /** Files of Debian's package raspi-firmware. */
  readonly firmware: readonly string[];
  /** What stands against building it, a sentence each; empty: it is built. */
  readonly missing: readonly string[];
}

/**
 * The full firmware, not the cut-down one (`start_cd.elf`) that `gpu_mem=16` would take: that one shows nothing on HDMI
 * (raspberrypi/firmware issue 1486) and did not start a Compute Module 4 (issue 1809). Saving 16 MB is not worth it.
 */
const firmware = ['bootcode.bin', 'start.elf', 'fixup.dat', 'start4.elf', 'fixup4.dat'] as const;

/** Debian's kernel and firmware: what is built and tested. */
const debian: BoardProfile = {
  name: 'debian',
  title: 'Raspberry Pi 3, 4 and Zero 2 W',
  boards: [
    { name: 'Raspberry Pi 3 Model B', deviceTree: 'bcm2837-rpi-3-b.dtb', imagerTag: 'pi3-64bit' },
    { name: 'Raspberry Pi 3 Model B+', deviceTree: 'bcm2837-rpi-3-b-plus.dtb', imagerTag: 'pi3-64bit' },
    { name: 'Raspberry Pi 3 Model A+', deviceTree: 'bcm2837-rpi-3-a-plus.dtb', imagerTag: 'pi3-64bit' },
    { name: 'Raspberry Pi Zero 2 W', deviceTree: 'bcm2837-rpi-zero-2-w.dtb', imagerTag: 'pi3-64bit' },
    { name: 'Raspberry Pi 4 Model B', deviceTree: 'bcm2711-rpi-4-b.dtb', imagerTag: 'pi4-64bit' },
    { name: 'Raspberry Pi 400', deviceTree: 'bcm2711-rpi-400.dtb', imagerTag: 'pi4-64bit' },
    { name: 'Compute Module 4', deviceTree: 'bcm2711-rpi-cm4-io.dtb', imagerTag: 'pi4-64bit' },
  ],
  overlays: [
    { name: 'header', purpose: 'names of the buses of the header, the same on every board', isOn: true },
    { name: 'tpm-slb9670', purpose: 'TPM (SLB 9670, SLB 9672) on SPI-0, chip select 1', isOn: true },
    { name: 'spidev-ce0', purpose: 'a part of the panel on SPI-0, chip select 0', isOn: false },
    { name: 'i2c1-400k', purpose: 'I2C at 400 kHz, for light matrices; not with seesaw parts', isOn: false },
    { name: 'serial-midi', purpose: 'MIDI sockets on GPIO 14 and 15; Bluetooth is off then', isOn: false },
    {
      name: 'gpio-key-22',
      purpose: 'a button on GPIO 22 behind a kernel driver, as an example',
      isOn: false,
    },
    { name: 'rtc-ds3231', purpose: 'clock with a battery DS3231 on I2C', isOn: false },
    { name: 'rtc-ds1307', purpose: 'clock with a battery DS1307 on I2C', isOn: false },
    { name: 'rtc-pcf85063', purpose: 'clock with a battery PCF85063A on I2C', isOn: false },
  ],
  firmware,
  missing: [],
};

/** Raspberry Pi's own kernel and firmware, for the Pi 5: described, never run, and so not built. */
const pi5: BoardProfile = {
  name: 'pi5',
  title: 'Raspberry Pi 5',
  boards: [{ name: 'Raspberry Pi 5', deviceTree: 'bcm2712-rpi-5-b.dtb', imagerTag: 'pi5-64bit' }],
  // Raspberry Pi's kernel brings its own: tpm-slb9670, spi0-1cs, i2c-rtc and what dtparam switches.
  overlays: [],
  // Its second stage is in the board's own flash; no file of raspi-firmware is used.
  firmware: [],
  missing: [
    "Debian 13's kernel has no driver for the SD card of a Pi 5 (MMC_SDHCI_BRCMSTB is not set) and a device tree without its header: it needs linux-image-rpi-2712 from Raspberry Pi's archive, https://archive.raspberrypi.com/debian, which no machine that builds this image has reached.",
    "U-Boot is not known to start there with that kernel's device tree. The firmware of a Pi 5 can choose between slots by itself (tryboot), with kernel and initramfs of each slot on the firmware partition; the updates that would write them there are not written.",
    'Nothing of it was run on a Pi 5, and QEMU has no such machine.',
  ],
};

/** All profiles, by name. */
export const boardProfiles = { debian, pi5 } satisfies Readonly<Record<string, BoardProfile>>;
