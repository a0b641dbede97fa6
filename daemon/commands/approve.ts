/**
 * `surfaced surfaces approve`: binds the endorsement key of a TPM to the name of one surface, in its file or its object. A
 * running gateway sees the change, and lets the surface in at its next attempt.
 */
import type { Quarantined } from '../attest/trust/types.ts';
import type { Level } from '../attest/types.ts';
import { openFolderRegistry } from '../bridge/registry/folder.ts';
import { loadConfig } from '../config/load.ts';
import { apiVersion, type GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Output } from './cli.ts';
import { readTrust } from './known-surfaces.ts';
import { folderOf } from './read-registry.ts';
import { addSurfaceFile, changeSurface } from './registry-files.ts';

/** What an operator decides about a surface. */
export interface Approval {
  readonly name: string;
  /** Hex of SHA-256 of the endorsement key's SubjectPublicKeyInfo. */
  readonly ekSha256: string;
  /** What is asserted about how it boots; null: as the file has it, 0 when it has nothing. */
  readonly level: Level | null;
  /** Name of its reference sets; null: as the file has it. */
  readonly policy: string | null;
  /** Whether another key may be replaced. */
  readonly isReplacing: boolean;
}

/** What came of it. */
export interface Approved {
  readonly files: readonly string[];
  readonly isRevoked: boolean;
  readonly assertedLevel: number;
  readonly policy: string | null;
}

/**
 * Writes an approval into the registry folder of a gateway; makes a file when the surface has none.
 * @param folder null: there is none
 * @throws SurfacedError E_USAGE when the name has another key or the key has another name, E_REGISTRY, E_CFG_INVALID
 */
export async function approveIn(folder: string | null, approval: Approval): Promise<Approved> {
  if (folder === null)
    throw new SurfacedError('E_REGISTRY', 'the surfaces of this gateway are in the cluster, not in a folder');
  const { name, ekSha256, level, policy, isReplacing } = approval;
  checkName(name);
  const registry = await openFolderRegistry({ folder, log: silentLog });
  const surfaces = registry.list();
  await registry.close();
  const owner = surfaces.find(
    ({ metadata, spec }) => spec.tpm?.ekSha256 === ekSha256 && metadata.name !== name,
  );
  if (owner)
    throw new SurfacedError(
      'E_USAGE',
      `this TPM is already approved as "${owner.metadata.name}"; one key is one surface`,
    );
  const known = surfaces.find(({ metadata }) => metadata.name === name);
  const earlier = known?.spec.tpm?.ekSha256;
  if (earlier !== undefined && earlier !== ekSha256 && !isReplacing)
    throw new SurfacedError(
      'E_USAGE',
      `surface "${name}" has another TPM (endorsement key ${earlier}); --replace puts this one in its place`,
    );

  const files = await changeSurface({
    folder,
    name,
    change: (document) => {
      document.setIn(['spec', 'tpm', 'ekSha256'], ekSha256);
      if (level !== null) document.setIn(['spec', 'tpm', 'assertedLevel'], level);
      if (policy !== null) document.setIn(['spec', 'policy'], policy);
    },
  });
  if (files.length === 0) {
    const tpm = { ekSha256, ...(level === null ? {} : { assertedLevel: level }) };
    const spec = { tpm, ...(policy === null ? {} : { policy }) };
    const surface = { apiVersion, kind: 'ControlSurface', metadata: { name }, spec };
    files.push(await addSurfaceFile(folder, surface, name));
  }
  return {
    files,
    isRevoked: known?.spec.isRevoked ?? false,
    assertedLevel: level ?? known?.spec.tpm?.assertedLevel ?? 0,
    policy: policy ?? known?.spec.policy ?? null,
  };
}

function checkName(name: string): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    throw new SurfacedError('E_USAGE', `name: expected a name of a-z, 0-9 and dashes, got "${name}"`);
}

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
