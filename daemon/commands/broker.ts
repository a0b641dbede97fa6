/** `surfaced broker`: what external brokers need. */
import { type Command, Option } from 'commander';
import type { BrokerKind } from './broker-acl-text.ts';
import { type CommandLine, collect, gatewayConfig } from './cli.ts';

interface Flags {
  readonly config: string;
  readonly broker: BrokerKind;
  readonly gatewayUser: readonly string[];
  readonly folder: string;
  readonly file?: string;
}

/** Declares the commands. */
export function addBrokerCommands(program: Command, { print }: CommandLine): void {
  program
    .command('broker')
    .description('an MQTT broker of your own')
    .command('acl')
    .description('print the listener and the access rules that the broker needs')
    .addOption(
      // The list of broker-acl-text.ts, which is loaded only when it is needed.
      new Option('--broker <kind>', 'which broker')
        .choices(['mosquitto', 'emqx', 'rabbitmq', 'nats', 'hivemq', 'vernemq'])
        .makeOptionMandatory(),
    )
    .addOption(gatewayConfig())
    .option(
      '--gateway-user <name>',
      "CN of a gateway's certificate, e.g. _gw-1; may be repeated",
      collect,
      [],
    )
    .option('--folder <path>', 'where the broker has its files', '/etc/surfaced-broker')
    .option('--file <name>', 'print only this file')
    .addHelpText(
      'after',
      `
NATS and RabbitMQ have no patterns: print their files again when a surface is added.

Examples:
  surfaced broker acl --broker mosquitto --gateway-user _gw-1 --gateway-user _gw-2 --config gateway.yaml
  surfaced broker acl --broker nats --gateway-user _gw-1 --file nats.conf --config gateway.yaml`,
    )
    .action(async ({ config, broker, gatewayUser, folder, file }: Flags) => {
      const { printAcl } = await import('./broker-acl.ts');
      const request = { gatewayConfigPath: config, broker, gatewayUsers: gatewayUser, folder };
      print(await printAcl({ ...request, file: file ?? null }));
    });
}
