/** `surfaced admission`: the registration of the admission endpoint. */
import type { Command } from 'commander';
import { type CommandLine, gatewayConfig, type Output, output } from './cli.ts';

/** Declares it. */
export function addAdmissionCommands(program: Command, { print }: CommandLine): void {
  program
    .command('admission')
    .description("the gateway's admission endpoint for the cluster")
    .command('manifest')
    .description('its ValidatingWebhookConfiguration, ready for kubectl apply')
    .addOption(gatewayConfig())
    .addOption(output())
    .addHelpText(
      'after',
      `
Apply it only when the gateway runs and the API server reaches it: what it names is refused while nobody answers. Print
and apply it again after each change of \`admission\` in the Gateway file. docs/admission.md tells more.

Example:
  surfaced admission manifest --config gateway.yaml | kubectl apply -f -`,
    )
    .action(async ({ config, output: form }: { config: string; output: Output }) => {
      const { admissionManifest } = await import('./admission-manifest.ts');
      print(await admissionManifest(config, form));
    });
}
