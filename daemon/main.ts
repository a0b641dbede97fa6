#!/usr/bin/env node
/** The command line: parses, and starts one role or does one thing. Each command loads only what it needs. */
import { Command, Option } from 'commander';
import type { DemoOptions } from '../hil/demo.ts';
import { addAdmissionCommands } from './commands/admission.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addBrokerCommands } from './commands/broker.ts';
import {
  type CommandLine,
  collect,
  gatewayConfig,
  type Output,
  output,
  wholeNumber,
} from './commands/cli.ts';
import { addEnrollCommands } from './commands/enroll-commands.ts';
import { addFactoryResetCommand } from './commands/factory-reset.ts';
import { addFirstBootCommands } from './commands/first-boot.ts';
import { addMeasureCommands } from './commands/measure.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { calledOff, fail, runOnce, runRole } from './commands/run.ts';
import { addSecretCommands } from './commands/secret.ts';
import { addSurfacesCommands } from './commands/surfaces-commands.ts';
import { addUpdateCommands } from './commands/update.ts';
import { addUpdatesCommands } from './commands/updates.ts';
import { createLog, type LogLevel } from './log.ts';
import { version } from './version.ts';

const program = new Command('surfaced')
  .description('A physical control surface for Kubernetes: turn a knob, scale a workload, see the Pods.')
  .version(version)
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addOption(
    new Option('--log-level <level>', 'lowest level that is logged, over that of the config').choices([
      'error',
      'warn',
      'info',
      'debug',
    ]),
  );

const logFor = async (level: LogLevel) =>
  createLog(program.opts<{ logLevel?: LogLevel }>().logLevel ?? level);
const print = (text: string): void => {
  process.stdout.write(text);
};
/** For commands that files of their own declare. */
const commandLine: CommandLine = { logFor, print };

program
  .command('demo')
  .description('everything on this machine: a panel in the browser, gateway, broker and a simulated cluster')
  .option('--kubeconfig <file>', 'use a real cluster; only the targets that bindings name are touched')
  .option('--context <name>', 'context in that kubeconfig; left out: its current one')
  .addOption(
    new Option(
      '--bind <namespace/kind/name[:min-max]>',
      'bind the next free control to this target; may be repeated',
    )
      .argParser(collect)
      .default([], 'what the simulated cluster has'),
  )
  .addOption(
    new Option('--surface <file>', 'take the bindings from this ControlSurface file').conflicts('bind'),
  )
  .option('--device <file>', 'use the real panel that this Device file describes')
  .addOption(
    new Option('--identity <kind>', 'how the surface proves itself; token: without attestation')
      .choices(['tpm', 'token'])
      .default('tpm', 'tpm, a software TPM (swtpm)'),
  )
  .option('--port <number>', "port of the panel's page; 0 picks a free one", wholeNumber(0, 65_535), 8080)
  .addHelpText(
    'after',
    `
Examples:
  surfaced demo
  surfaced demo --kubeconfig ~/.kube/config --bind shop/deployment/cart:1-8 --bind shop/sts/db
  surfaced demo --device docs/examples/launchpad.yaml`,
  )
  .action(async (options: Omit<DemoOptions, 'version' | 'log'>) => {
    process.stderr.write('surfaced: starting the demo\n');
    const { startDemo } = await import('../hil/demo.ts');
    const { demoBanner } = await import('../hil/demo-banner.ts');
    const log = await logFor('warn');
    await runRole(async (signal) => {
      const demo = await startDemo({ ...options, version, log }, signal);
      print(demoBanner(demo));
      return demo;
    });
  });

program
  .command('device')
  .description("the Pi's daemon")
  .requiredOption('--config <file>', 'Device file')
  .action(async ({ config }: { config: string }) => {
    const { runDevice } = await import('./commands/device.ts');
    const { updateFolder: updates } = await import('./commands/update-machine.ts');
    await runRole((signal) => runDevice({ file: config, firmware: version, updates, logFor, signal }));
  });

program
  .command('monitor')
  .description(
    'every control of a panel live in the terminal, and a light for what is touched; needs no gateway',
  )
  .requiredOption('--config <file>', 'Device file')
  .addOption(output())
  .action(async ({ config, output: form }: { config: string; output: Output }) => {
    const { runMonitor } = await import('./commands/monitor.ts');
    await runRole((signal) => runMonitor(config, form, process.stdout, logFor, signal));
  });

program
  .command('calibrate')
  .description(
    'finds the ends of the faders while you move them, and keeps them for device, demo and monitor',
  )
  .requiredOption('--config <file>', 'Device file')
  .addOption(
    new Option('--control <name...>', 'only these faders; may be repeated').default(
      [],
      'all faders of the panel',
    ),
  )
  .addOption(output())
  .addHelpText(
    'after',
    `
Writes the file that panel.calibration of the Device file names: calibration.yaml beside it, when nothing else is said.
Stop the device first: two programs cannot read one panel. Exit code 1: nothing was written.

Examples:
  surfaced calibrate --config device.yaml
  surfaced calibrate --config device.yaml --control fader1`,
  )
  .action(
    async ({ config, control, output: form }: { config: string; control: string[]; output: Output }) => {
      const { runCalibrate } = await import('./commands/calibrate.ts');
      await runOnce(async (signal) => {
        const io = { input: process.stdin, screen: process.stderr, signal };
        const options = { config, controls: control, output: form };
        const { text, isWritten } = await runCalibrate(options, io, logFor);
        print(text);
        return isWritten ? 0 : 1;
      });
    },
  );

program
  .command('doctor')
  .description(
    'checks buses, parts, lines, ports, TPM, clock and gateway, and says what to do; changes nothing',
  )
  .option('--config <file>', 'Device file; left out: lists what this machine has')
  .addOption(output())
  .action(async ({ config, output: form }: { config?: string; output: Output }) => {
    const { runDoctor } = await import('./commands/doctor.ts');
    const { text, exitCode } = await runDoctor(config ?? null, form);
    print(text);
    // At once: a transfer that hangs in the kernel would hold the process.
    process.exit(exitCode);
  });

program
  .command('gateway')
  .description('broker, enrolment and Kubernetes client in one process')
  .addOption(gatewayConfig())
  .option('--name <name>', 'name of this gateway, over that in the file: each of several has its own')
  .action(async ({ config, name }: { config: string; name?: string }) => {
    const { runGateway } = await import('./commands/gateway.ts');
    await runRole((signal) => Promise.race([runGateway(config, name ?? null, logFor), calledOff(signal)]));
  });

program
  .command('rbac <file>')
  .description('the least Kubernetes rights that a ControlSurface file needs, ready for kubectl apply')
  .option('--user-prefix <prefix>', 'cluster.userPrefix of the gateway', 'surfaced:surface:')
  .option('--group <name>', 'cluster.group of the gateway', 'surfaced:surfaces')
  .option(
    '--account <namespace/name>',
    'ServiceAccount of the gateway, which gets what it needs for this surface; none: only what the surface needs',
    'surfaced/surfaced-gateway',
  )
  .action(async (file: string, options: { userPrefix: string; group: string; account: string }) => {
    const { loadConfig } = await import('./config/load.ts');
    const { parseAccount, rbacManifest } = await import('./commands/rbac.ts');
    const account = parseAccount(options.account);
    print(rbacManifest(await loadConfig('ControlSurface', file), options, account));
  });

addAdmissionCommands(program, commandLine);
addAuditCommands(program, commandLine);
addBrokerCommands(program, commandLine);
addEnrollCommands(program, commandLine);
addFactoryResetCommand(program, commandLine);
addFirstBootCommands(program, commandLine);
addMeasureCommands(program, commandLine);
addPolicyCommands(program, commandLine);
addSecretCommands(program, commandLine);
addSurfacesCommands(program, commandLine);
addUpdatesCommands(program, commandLine);
addUpdateCommands(program, commandLine);

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}
