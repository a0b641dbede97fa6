/** Where first boot finds and puts things. */
import path from 'node:path';

/** Where the one-time token is while the system runs; also what the Device file says, whatever the root is. */
export const tokenPath = '/run/surfaced/token';

/** Files and folders; see image/README.md. */
export interface Places {
  /** The boot partition. */
  readonly boot: string;
  /** State that all versions share, on the data partition. */
  readonly shared: string;
  readonly deviceFile: string;
  /** Secrets at rest. */
  readonly secrets: string;
  readonly ssh: string;
  /** The name of the machine, for the next start. */
  readonly hostname: string;
  /** Link to the time zone. */
  readonly localtime: string;
  /** What came of the files, for the starts after. */
  readonly outcome: string;
  /** What does not outlive the start. */
  readonly run: string;
  readonly token: string;
  readonly status: string;
  readonly problem: string;
  /** Folder with the configuration of iwd. */
  readonly iwdConfig: string;
  /** Networks of iwd, in memory. */
  readonly iwdNetworks: string;
  /** The name of the running machine. */
  readonly kernelHostname: string;
  readonly groups: string;
  readonly isClockSynchronized: string;
}

/** All places below a root; `/` but in tests. */
export function placesIn(root: string): Places {
  const at = (file: string): string => path.join(root, file);
  return {
    boot: at('/boot/firmware'),
    shared: at('/data/shared'),
    deviceFile: at('/data/shared/surfaced/device.yaml'),
    secrets: at('/data/shared/secrets'),
    ssh: at('/data/shared/ssh'),
    hostname: at('/data/shared/hostname'),
    localtime: at('/data/shared/localtime'),
    outcome: at('/data/shared/first-boot/outcome.json'),
    run: at('/run/surfaced'),
    token: at(tokenPath),
    status: at('/run/surfaced/first-boot.json'),
    problem: at('/run/surfaced/problem.json'),
    iwdConfig: at('/run/surfaced/iwd'),
    iwdNetworks: at('/var/lib/iwd'),
    kernelHostname: at('/proc/sys/kernel/hostname'),
    groups: at('/etc/group'),
    isClockSynchronized: at('/run/systemd/timesync/synchronized'),
  };
}
