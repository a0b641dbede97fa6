/** `surfaced update`: updates of a surface that runs the SD-card image. */
import type { Command } from 'commander';
import { SurfacedError } from '../errors.ts';
import type { Host } from '../update/host.ts';
import type { Standing } from '../update/standing.ts';
import { type CommandLine, type Output, output } from './cli.ts';
import { runOnce } from './run.ts';

/** Declares them. */
export function addUpdateCommands(program: Command, { print }: CommandLine): void {
  const update = program
    .command('update')
    .description('updates of a surface that runs the SD-card image: how they stand, installing one');
  update
    .command('status')
    .description('which version runs from which slot, and what became of the last update; needs root')
    .addOption(output())
    .action(({ output: form }: { output: Output }) =>
      once(async (host, signal) => print(await showStatus(host, form, signal))),
    );
  update
    .command('install <bundle>')
    .description('installs a bundle, a file or an https URL, into the slot that does not run; needs root')
    .option('--tls-ca <file>', 'PEM of the CA that the server is of; left out: those that this system knows')
    .option('--allow-downgrade', 'also one that is older than what runs')
    .option('--restart', 'start the system anew when it is installed')
    .addHelpText(
      'after',
      `
What runs is not touched. The next start tries the new version; if it is not healthy there, the system goes back by itself.

Examples:
  surfaced update install /media/surfaced-1.2.0.raucb
  surfaced update install --restart --tls-ca gateway.pem https://gateway.example:8443/v1/updates/1.2.0.raucb`,
    )
    .action((bundle: string, flags: InstallFlags) =>
      once((host, signal) => install(host, bundle, flags, signal)),
    );
  update
    .command('confirm')
    .description('says that the update on trial is good, without waiting for the self-tests; needs root')
    .action(() => once(async (host, signal) => say(await confirmTrial(host, signal))));
  addServices(update);
}

/** What units of the image call. */
function addServices(update: Command): void {
  const hidden = (
    name: string,
    work: (host: Host, signal: AbortSignal, argument: string) => Promise<void>,
  ): void => {
    update
      .command(name, { hidden: true })
      .action((argument: string) => once((host, signal) => work(host, signal, argument)));
  };
  hidden('publish', async (host, signal) => {
    const { publish, readStanding, stateOf } = await import('../update/standing.ts');
    await publish(host, stateOf(await readStanding(host, signal)));
  });
  hidden('serve', async (host, signal) => {
    const { serveRequest } = await import('../update/serve.ts');
    await serveRequest(host, say, signal);
  });
  hidden('health', async (host, signal) => {
    const { judgeTrial } = await import('../update/health.ts');
    const reason = await judgeTrial(host, signal);
    say(
      reason === null
        ? 'this update stays, or there was none on trial'
        : `this update is given up: ${reason}`,
    );
  });
  hidden('usb <folder>', async (host, signal, folder) => {
    const { readStanding } = await import('../update/standing.ts');
    const { bundleOnStick } = await import('../update/usb.ts');
    const found = await bundleOnStick(host, { folder, standing: await readStanding(host, signal) }, say);
    if (found === null) return;
    say(`installing ${found.bundle.version} from ${found.file}`);
    await install(host, found.file, { restart: true }, signal);
  });
}

interface InstallFlags {
  readonly tlsCa?: string;
  readonly allowDowngrade?: true;
  readonly restart?: true;
}

const say = (text: string): void => void process.stderr.write(`surfaced: ${text}\n`);

const once = (work: (host: Host, signal: AbortSignal) => Promise<void>): Promise<never> =>
  runOnce(async (signal) => {
    const { systemHost } = await import('../update/host.ts');
    if (process.getuid?.() !== 0)
      throw new SurfacedError('E_UPDATE_SYSTEM', 'only root may do this: use sudo');
    await work(systemHost, signal);
    return 0;
  });

async function install(host: Host, bundle: string, flags: InstallFlags, signal: AbortSignal): Promise<void> {
  const { installUpdate } = await import('../update/install.ts');
  const { isUrl, placeOf } = await import('../update/rauc.ts');
  const { bundleUrl } = await import('../update/request.ts');
  const { restart } = await import('../update/standing.ts');
  const { readBounded } = await import('../config/read-bounded.ts');
  if (isUrl(bundle) && !bundleUrl.safeParse(bundle).success)
    throw new SurfacedError('E_USAGE', `${bundle}: bundles are fetched by https only`);
  const caPem =
    flags.tlsCa === undefined ? null : (await readBounded(flags.tlsCa, 64 * 1024)).toString('utf8');
  const order = {
    ...{ place: placeOf(bundle), caPem, version: null, manifestSha256: null, requestId: null },
    mayBeOlder: flags.allowDowngrade === true,
  };
  let shown = '';
  const progress = (percent: number, text: string): void => {
    const line = `${String(percent).padStart(3)} % ${text}`;
    if (line !== shown) say(line);
    shown = line;
  };
  const version = await installUpdate(host, order, progress, signal);
  if (flags.restart !== true) {
    say(`${version} is installed; the next start tries it`);
    return;
  }
  say(`${version} is installed; restarting`);
  await restart(host, signal);
}

/**
 * Makes the update on trial the one that stays.
 * @returns what came of it, a sentence
 * @throws SurfacedError E_UPDATE_SYSTEM
 */
export async function confirmTrial(host: Host, signal: AbortSignal): Promise<string> {
  const { markRunning, publish, readStanding, stateOf } = await import('../update/standing.ts');
  const { running, pending } = await readStanding(host, signal);
  if (pending !== 'trial') return `${running.version} is not on trial`;
  await markRunning(host, running, 'good', signal);
  await publish(host, stateOf(await readStanding(host, signal)));
  return `${running.version} stays`;
}

/** How updates stand, for people or as JSON. @throws SurfacedError E_UPDATE_SYSTEM */
export async function showStatus(host: Host, form: Output, signal: AbortSignal): Promise<string> {
  const { readStanding } = await import('../update/standing.ts');
  const { slotStatus } = await import('../update/rauc.ts');
  const standing = await readStanding(host, signal);
  const slots = await slotStatus(host, signal);
  if (form === 'json') return `${JSON.stringify({ ...standing, slots }, null, 2)}\n`;
  const { running } = standing;
  const lines = [`running  ${running.version} from slot ${running.slot}`, `update   ${inWords(standing)}`];
  for (const { name, version, installedAt, isWhole } of slots) {
    const what =
      version === null
        ? 'nothing that an update has written'
        : `${version}, installed ${installedAt ?? 'some time'}`;
    lines.push(`slot ${name}   ${what}${isWhole ? '' : ', not whole'}`);
  }
  return `${lines.join('\n')}\n`;
}

function inWords({ running, pending, last, outcome, reason }: Standing): string {
  // What was noted of it may be gone with the data partition.
  if (pending === 'trial') return `${running.version} runs on trial`;
  if (pending === 'waits' && outcome !== 'waits') return 'one is installed, waits for a restart';
  if (last === null || outcome === null || outcome === 'trial') return 'none yet';
  const words = {
    waits: 'installed, waits for a restart',
    stays: 'runs and stays',
    left: `was left again: ${reason}`,
  } as const;
  return `${last.version} ${words[outcome]}`;
}
