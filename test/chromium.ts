import { existsSync } from 'node:fs';

/** Where Debian's package puts the browser. */
export const chromiumPath = '/usr/bin/chromium';

/** A reason to skip tests that need a browser, or false. */
export const noChromium: string | false = existsSync(chromiumPath)
  ? false
  : `${chromiumPath} is not there (apt-get install chromium)`;

/** Without a sandbox, as tests may run as root, and without anything that reaches for the network. */
export const chromiumArguments: string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
