/** The simulated cluster as a process of its own: `tsx hil/sim/cluster/main.ts --workloads demo`. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { createLog } from '../../../daemon/log.ts';
import { startSimCluster } from './cluster.ts';

interface Flags {
  readonly port: string;
  readonly dir?: string;
  readonly workloads: 'demo' | 'none';
  readonly seed: string;
}

const program = new Command('sim-cluster')
  .description('A simulation of a Kubernetes cluster: enough of the API for the gateway and for kubectl.')
  .option('--port <number>', 'port on 127.0.0.1; 0 takes a free one', '0')
  .option('--dir <folder>', 'where the kubeconfig goes; a new temporary folder unless named')
  .addOption(new Option('--workloads <set>', 'what runs in it').choices(['demo', 'none']).default('demo'))
  .option('--seed <number>', 'seed of names and jitter', '1')
  .action(async (flags: Flags) => {
    const log = await createLog('info');
    log.warn('this is a simulation of a cluster: nothing runs in it');
    const cluster = await startSimCluster({
      port: Number(flags.port),
      dir: flags.dir ?? (await mkdtemp(join(tmpdir(), 'sim-cluster-'))),
      log,
      workloads: flags.workloads,
      timing: {},
      seed: Number(flags.seed),
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
    const line = JSON.stringify({ url: cluster.url, kubeconfig: cluster.kubeconfigPath });
    process.stdout.write(`${line}\n`);
  });

await program.parseAsync();
