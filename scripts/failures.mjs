// `npm run failures`: gateways, broker and API server are hit while knobs are turned; see hil/failures/README.md.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { checkNode, fail, installPackages, installPrograms, root } from './setup.mjs';

const usage = `Usage: npm run failures -- [options]

Each round kills, freezes or cuts off one of gateway, broker and API server while knobs are turned, then counts.

  --broker NAME     mosquitto, rabbitmq or nats of Debian (mosquitto)
  --gateways N      2 or 3 (2)
  --rounds N        nine hit everything once (9)
  --seed S          the same seed is the same plan (1)
  --surfaces N      (6)
  --lease SECONDS   shards.durationSeconds of the gateways, from 5 on (15)
  --longest SECONDS a freeze or a cut lasts 5 s up to this (30)
  --until TIME      no round is begun after it, such as 2026-01-31T18:00:00Z
  --help            this text
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
if (process.platform !== 'linux') fail('brokers and signals are those of Linux');
checkNode();
installPackages();
const brokers = {
  mosquitto: { mosquitto: 'mosquitto' },
  nats: { 'nats-server': 'nats-server' },
  rabbitmq: { rabbitmqctl: 'rabbitmq-server' },
};
const at = args.indexOf('--broker');
const name = at < 0 ? 'mosquitto' : args[at + 1];
installPrograms(
  brokers[name] ?? fail(`--broker: one of ${Object.keys(brokers).join(', ')}`),
  'there is no broker',
);
// Not synchronous: a signal must reach the run, which ends what it has started.
const run = spawn(process.execPath, ['--import=tsx', path.join('hil', 'failures', 'main.ts'), ...args], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => run.kill(signal));
run.on('exit', (code) => process.exit(code ?? 1));
