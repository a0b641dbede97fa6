/** First boot on a disk in memory, and what makers put on the boot partition. */
import type { Tpm } from '../../daemon/attest/tpm2/index.ts';
import { type FirstBootParts, type FirstBootResult, firstBoot } from '../../daemon/first-boot/first-boot.ts';
import { placesIn } from '../../daemon/first-boot/places.ts';
import { type Facts, writeReport } from '../../daemon/first-boot/report.ts';
import type { MemoryDisk } from './memory-disk.ts';

export const places = placesIn('/');
export const boot = (name: string): string => `/boot/firmware/${name}`;
export const token = 'abc123.0123456789abcdefghijklmnopqrstuv';
export const password = 'correct horse';
export const publicKey =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVs0w4xkXjHkTtUzZ0hF9o3o2rL8mHj6Lr2F0dWl8wT me@desk';

export const deviceText = (identity: string): string => `apiVersion: surfaced.dev/v1alpha1
kind: Device
# from the gateway
gateway:
  url: https://gateway.example:8443
  caPin: sha256:${'0a'.repeat(32)}
identity: ${identity}
panel:
  preset: launchpad-mini-mk3
  port: { type: raw-midi, path: 'hw:1,0,1' }
`;
export const withToken = deviceText(`{ token: ${token} }`);
export const withTpm = deviceText('{ tpm: {} }');

export const preseedText = `config_version = "1.0"

[system]
hostname = "desk"

[ssh]
enabled = true
password_authentication = false
authorized_keys = [
  "${publicKey}",
]

[wlan]
ssid = "Caf\u00e9"
password = "${password}"
password_encrypted = false
hidden = true
country = "DE"

[locale]
keymap = "de"
timezone = "Europe/Berlin"
`;

export const facts: Facts = {
  version: '1.2.3',
  at: Date.UTC(2026, 0, 2, 3, 4),
  isClockSynchronized: true,
  hostname: 'desk',
  addresses: ['192.0.2.7 (eth0)'],
  hasTpm: false,
  panel: null,
  pairingCode: null,
  identity: 'token',
};

/** What first boot is made of. */
export function partsOf(disk: MemoryDisk, changes: Partial<FirstBootParts> = {}): FirstBootParts {
  const tpm: Tpm | null = null;
  return {
    disk,
    places,
    tpm,
    setHostname: async (name) => disk.put(places.kernelHostname, `${name}\n`),
    whileWritable: (work) => work(),
    group: null,
    version: '1.2.3',
    now: () => 0,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** A start of the machine: first boot, and the report. */
export async function start(
  disk: MemoryDisk,
  changes: Partial<FirstBootParts> = {},
): Promise<FirstBootResult & { readonly isReported: boolean }> {
  const parts = partsOf(disk, changes);
  const result = await firstBoot(parts);
  const isReported = await writeReport({
    disk,
    folder: places.boot,
    status: result.status,
    facts,
    ekSha256: async () => null,
    whileWritable: parts.whileWritable,
  });
  return { ...result, isReported };
}
