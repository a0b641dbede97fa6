/** What does not hang on a bus: the machine itself, the packages with native code, and the clock. */
import type { LookContext } from './context.ts';
import { groupsOf, type NativePackage, textOf } from './machine.ts';
import { type Check, checksOf, type Look, messageOf } from './report.ts';
import { wantedPackages } from './wants.ts';

const allPackages: ReadonlyMap<NativePackage, string> = new Map([
  ['i2c-bus', 'I2C buses'],
  ['koffi', 'MIDI, GPIO lines and input devices'],
  ['serialport', 'serial ports'],
  ['onoff', 'GPIO lines through sysfs'],
]);

/** Looks at what the machine is and what its firmware is told. Never rejects. */
export async function lookAtMachine({ machine, boot }: LookContext): Promise<Look> {
  const { ok, skipped, warning } = checksOf('machine');
  const model = await textOf(machine, '/proc/device-tree/model');
  const kernel = await textOf(machine, '/proc/sys/kernel/osrelease');
  const groups = await groupsOf(machine);
  const { name } = machine.user;
  const who =
    name === 'root'
      ? 'root, who may use everything: whether the user of the daemon may is not seen (`sudo -u` that user)'
      : `${name}, in the groups ${groups.join(', ')}`;
  const linux = kernel === null ? '' : `, Linux ${kernel}`;
  const checks = [
    model === null
      ? skipped('model', `no device tree that names it${linux}`, null)
      : ok('model', `${model}${linux}`),
    ok('user', who),
  ];
  if (boot === null) checks.push(skipped('config.txt', 'not below /boot: no Raspberry Pi firmware', null));
  else
    checks.push(
      ok(
        'config.txt',
        boot.lines.length === 0 ? `${boot.path}: no overlays` : `${boot.path}: ${boot.lines.join('; ')}`,
      ),
    );
  for (const { name, value, line } of boot?.ignored ?? [])
    checks.push(
      warning(
        'dtparam',
        `line ${line} of ${boot?.path}: \`dtparam=${name}=${value}\` does nothing`,
        'The device trees here (`upstream_kernel=1`) are those of Linux itself and have no parameters: use an overlay that the image has, as docs/image.md lists them.',
      ),
    );
  return {
    checks,
    found: {
      model,
      user: { name, groups },
      bootConfig: boot === null ? null : { path: boot.path, lines: boot.lines },
    },
  };
}

/** Packages that are compiled when they are installed; the others bring what they need for usual machines. */
const compiledPackages: readonly NativePackage[] = ['i2c-bus', 'onoff'];

/** Looks whether the packages that are needed can be loaded; without a config, all. Never rejects. */
export async function lookAtPackages({ machine, wants }: LookContext): Promise<Look> {
  const { ok, warning, fault, skipped } = checksOf('packages');
  const wanted = wants === null ? allPackages : wantedPackages(wants);
  if (wanted.size === 0) return { checks: [skipped('packages', 'the panel needs none', null)], found: {} };
  const checks: Check[] = [];
  for (const [name, use] of wanted) {
    try {
      await machine.loadPackage(name);
      checks.push(ok(name, `for ${use}`));
    } catch (error) {
      const say = wants === null ? warning : fault;
      const [first = ''] = messageOf(error).split('\n');
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
      checks.push(
        say(
          name,
          `${isMissing ? 'not installed' : `cannot be loaded: ${first}`}; it is for ${use}`,
          isMissing
            ? `Install with \`npm install --include=optional\`${compiledPackages.includes(name) ? ', after gcc, make and Python (`sudo apt install build-essential python3`): without them npm leaves it out silently' : ''}.`
            : `Build it for this machine: \`npm rebuild ${name}\`; that needs a C compiler, make and Python.`,
        ),
      );
    }
  }
  return { checks, found: {} };
}

/** Before this no version of surfaced was made, and after that certificates end; Unix milliseconds. */
const earliest = Date.UTC(2025, 0, 1);
const latest = Date.UTC(2100, 0, 1);
const dayMs = 86_400_000;

/** Looks whether the clock can be right, and whether it follows a server. Never rejects. */
export async function lookAtClock({ machine }: LookContext): Promise<Look> {
  const { ok, warning, fault, skipped } = checksOf('clock');
  const now = machine.now();
  const text = new Date(now).toISOString();
  const isSynchronized = await machine.isSynchronized();
  // Files of a package can be dated far back, but not ahead.
  const least = Math.max(earliest, machine.builtAt) - dayMs;
  const isPossible = now >= least && now < latest;
  const set = 'Set it: `sudo timedatectl set-ntp true` with a network, or fit a clock with a battery.';
  const checks = [
    isPossible
      ? ok('time', text)
      : fault(
          'time',
          `${text} cannot be: ${now < latest ? `this version was installed on ${new Date(least + dayMs).toISOString().slice(0, 10)}` : 'no certificate is valid so late'}`,
          set,
        ),
  ];
  if (isSynchronized === null)
    checks.push(skipped('time server', 'nothing tells whether the clock follows one', null));
  else
    checks.push(
      isSynchronized
        ? ok('time server', 'the clock follows one')
        : warning('time server', 'the clock follows none', `${set} Certificates and commands carry times.`),
    );
  return { checks, found: { clock: { now: text, isSynchronized } } };
}
