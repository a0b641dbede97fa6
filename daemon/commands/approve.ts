/**
 * `surfaced surfaces approve`: binds the endorsement key of a TPM to the name of one surface, in its file or its object. A
 * running gateway sees the change, and lets the surface in at its next attempt.
 */
import type { Quarantined } from '../attest/trust/types.ts';
import { type Approval, type Approved, approveIn, checkName } from '../bridge/registry/approve-file.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import type { Output } from './cli.ts';
import { readTrust } from './known-surfaces.ts';
import { folderOf } from './read-registry.ts';

export { approveIn };

export interface ApproveOptions extends Omit<Approval, 'ekSha256'> {
  readonly gatewayConfigPath: string;
  /** Which TPM: the code that its panel shows, or the hash of its key. */
  readonly which: { readonly code: string } | { readonly ek: string };
  readonly output: Output;
}

/** @throws SurfacedError E_USAGE for a code that nobody or more than one shows; as {@link approveIn} */
export async function approveSurface(options: ApproveOptions): Promise<string> {
  const { gatewayConfigPath, which, output, ...approval } = options;
  const config = await loadConfig('Gateway', gatewayConfigPath);
  if (config.registry.cluster) return approveInCluster(config, options);
  const ekSha256 =
    'ek' in which ? readHash(which.ek) : keyWithCode((await readTrust(config))?.quarantine ?? [], which.code);
  const approved = await approveIn(folderOf(config), { ...approval, ekSha256 });
  return wordsOf(options.name, ekSha256, approved, output);
}

function wordsOf(name: string, ekSha256: string, approved: Approved, output: Output): string {
  if (output === 'json') return `${JSON.stringify({ name, ekSha256, ...approved }, null, 2)}\n`;
  const { files, isRevoked, assertedLevel, policy } = approved;
  const notes = [
    `Surface ${name} is approved with the TPM ${ekSha256} (${files.join(', ')}).`,
    `You assert level ${assertedLevel} for how it boots. Reference values: ${policy ?? 'none, so nothing above level 0 is claimed'}.`,
    isRevoked ? `It is still revoked: surfaced surfaces revoke ${name} --undo lets it act.` : null,
  ];
  return notes.map((note) => (note === null ? '' : `${note}\n`)).join('');
}

/** The same where the surfaces are in the cluster: the request of the TPM is decided, and the gateway carries that out. */
async function approveInCluster(config: GatewayConfig, options: ApproveOptions): Promise<string> {
  const { which, name, level, policy, isReplacing, output } = options;
  checkName(name);
  const { waitingOf, withCluster } = await import('./cluster-registry.ts');
  return withCluster(config, async (objects) => {
    const requests = (await objects.requests()).filter(({ facts }) => facts.ekSha256 !== '');
    const ekSha256 = 'ek' in which ? readHash(which.ek) : keyWithCode(requests.map(waitingOf), which.code);
    const request = requests.find(({ facts }) => facts.ekSha256 === ekSha256);
    const approval = { surface: name, ekSha256, level, policy, isReplacing };
    if (request) {
      if ((await objects.decide(request, approval)) === null)
        return `Approval of ${name} is written into the request ${request.name}; the gateway has not carried it out yet: does it run?\n`;
    } else {
      const outcome = await objects.approve(approval);
      if (outcome.kind === 'refused') throw new SurfacedError('E_USAGE', outcome.message);
    }
    const { surfaces } = await objects.surfaces();
    const spec = surfaces.find(({ metadata }) => metadata.name === name)?.spec;
    const approved: Approved = {
      files: [`ControlSurface ${config.registry.cluster?.namespace}/${name}`],
      isRevoked: spec?.isRevoked ?? false,
      assertedLevel: spec?.tpm?.assertedLevel ?? 0,
      policy: spec?.policy ?? null,
    };
    return wordsOf(name, ekSha256, approved, output);
  });
}

/** The key whose panel shows this code. @throws SurfacedError E_USAGE */
export function keyWithCode(quarantine: readonly Quarantined[], code: string): string {
  const digits = code.replace(/[\s–-]/g, '');
  if (!/^\d{8}$/.test(digits))
    throw new SurfacedError('E_USAGE', `code: expected eight digits such as 4821-9037, got "${code}"`);
  const shown = quarantine.filter(({ pairingCode }) => pairingCode.replace('-', '') === digits);
  const [only] = shown;
  if (only && shown.length === 1) return only.ekSha256;
  throw new SurfacedError(
    'E_USAGE',
    only
      ? `${shown.length} TPMs show the code ${only.pairingCode}; name one with --ek: ${shown.map(({ ekSha256 }) => ekSha256).join(', ')}`
      : `no TPM with the code ${code} waits for approval; surfaced surfaces list shows those that do`,
  );
}

function readHash(text: string): string {
  const hex = text.replace(/^sha256:|[\s:]/gi, '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  throw new SurfacedError('E_USAGE', `ek: expected SHA-256 in hex, 64 digits, got "${text}"`);
}
