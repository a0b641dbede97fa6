#!/usr/bin/env node
/** The command line: parses, starts one role, turns errors into exit codes (0 done, 1 failed, 2 usage). */
import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import type { DemoOptions } from '../hil/demo.ts';
import { SurfacedError } from './errors.ts';
import { createLog, type LogLevel } from './log.ts';

/** A role must have ended this long after the first signal, milliseconds. */
const stopLimitMs = 1900;

const { version } = createRequire(import.meta.url)(
  import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json',
) as { version: string };

interface Running {
  stop(): Promise<void>;
}

/** Runs a role until SIGINT or SIGTERM; a second signal, or a stop that takes too long, ends at once. */
async function runRole(start: () => Promise<Running>): Promise<void> {
  let isStopping = false;
  let role: Running | null = null;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => process.exit(1), stopLimitMs).unref();
    const code = signal === 'SIGINT' || signal === 'SIGTERM' || signal === 'SIGHUP' ? 0 : 1;
    if (role === null) process.exit(code);
    role.stop().then(
      () => process.exit(code),
      (error: unknown) => fail(error),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  role = await start();
}

/** Prints an error with its remedy and ends with its exit code. */
function fail(error: unknown): never {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof SurfacedError) {
    process.stderr.write(`surfaced: ${error.message}\n  ${error.code}: ${error.remedy}\n`);
    if (error.class === 'fatal' && error.cause instanceof Error)
      process.stderr.write(`  ${error.cause.stack}\n`);
    process.exit(error.class === 'usage' ? 2 : 1);
  }
  process.stderr.write(`surfaced: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

const port = (value: string): number => {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 0 && number <= 65535) return number;
  throw new SurfacedError('E_USAGE', `--port: expected a number from 0 to 65535, got "${value}"`);
};
const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];

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

program
  .command('demo')
  .description('everything on this machine: a panel in the browser, gateway, broker and a simulated cluster')
  .option('--kubeconfig <file>', 'use a real cluster; only the targets that bindings name are touched')
  .option('--context <name>', 'context in the kubeconfig')
  .option(
    '--bind <namespace/kind/name[:min-max]>',
    'bind the next free control to this target; may be repeated',
    collect,
    [],
  )
  .option('--surface <file>', 'take the bindings from this ControlSurface file')
  .option('--device <file>', 'use the real panel that this Device file describes')
  .option('--port <number>', "port of the panel's page", port, 8080)
  .action(async (options: Omit<DemoOptions, 'version' | 'log'>) => {
    process.stderr.write('surfaced: starting the demo\n');
    const { startDemo, demoBanner } = await import('../hil/demo.ts');
    const log = await logFor('warn');
    await runRole(async () => {
      const demo = await startDemo({ ...options, version, log });
      process.stdout.write(demoBanner(demo));
      return demo;
    });
  });

program
  .command('device')
  .description("the Pi's daemon")
  .requiredOption('--config <file>', 'Device file')
  .action(async (options: { config: string }) => {
    const { runDevice } = await import('./commands/device.ts');
    await runRole(() => runDevice(options.config, version, logFor));
  });

program
  .command('gateway')
  .description('the gateway: broker, enrolment and Kubernetes client in one process')
  .requiredOption('--config <file>', 'Gateway file')
  .action(async (options: { config: string }) => {
    const { runGateway } = await import('./commands/gateway.ts');
    await runRole(() => runGateway(options.config, logFor));
  });

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}
