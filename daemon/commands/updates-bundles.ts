/** `surfaced updates add`, `references` and `list`: what a gateway offers, and that its policy takes it first. */
import { createHash } from 'node:crypto';
import { copyFile, open, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { referenceOfVersion, takes } from '../attest/policy/acceptance.ts';
import type { Reference } from '../attest/policy/reference-set.ts';
import { readSigners, readSigningKey, signSet, verifySet } from '../attest/policy/signature.ts';
import { openPolicies } from '../attest/policy/store.ts';
import type { PolicyStore } from '../attest/policy/types.ts';
import { syncFolder } from '../attest/state-files.ts';
import { type Offer, openUpdatesFolder, type UpdatesFolder } from '../bridge/rollout/folder.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import type { ControlSurface, GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { bundleReader, policyGate } from '../gateway-updates.ts';
import { silentLog } from '../log.ts';
import { type Bundle, checkBundle, readBundle } from '../update/bundle.ts';
import { besideOf, fileError, putInPlace, writeBeside } from '../whole-files.ts';
import type { Output } from './cli.ts';
import { columns } from './columns.ts';
import { readRegistry } from './read-registry.ts';

/** A Gateway file that offers updates. */
export type UpdatingGateway = GatewayConfig & { readonly updates: NonNullable<GatewayConfig['updates']> };

/** @throws SurfacedError E_CFG_READ, E_CFG_INVALID, also when the file says nothing of updates */
export async function loadUpdatingGateway(file: string): Promise<UpdatingGateway> {
  const config = await loadConfig('Gateway', file);
  const { updates } = config;
  if (updates !== undefined) return { ...config, updates };
  throw new SurfacedError(
    'E_CFG_INVALID',
    `${file}: updates: required here: name a folder for bundles and the CA of their signers (docs/rollout.md)`,
  );
}

/** What the gateway sees, looked at once. The work must not keep what is open. */
export async function withUpdates<Value>(
  config: UpdatingGateway,
  work: (seen: {
    readonly folder: UpdatesFolder;
    readonly policies: PolicyStore;
    readonly surfaces: readonly ControlSurface[];
  }) => Promise<Value>,
): Promise<Value> {
  const read = await bundleReader(config.updates, systemClock);
  const folder = await openUpdatesFolder({ folder: config.updates.folder, readBundle: read, log: silentLog });
  try {
    const { surfaces } = await readRegistry(config);
    return await withPolicies(config, (policies) => work({ folder, policies, surfaces }));
  } finally {
    await folder.close();
  }
}

async function withPolicies<Value>(
  { policy }: GatewayConfig,
  work: (policies: PolicyStore) => Promise<Value>,
): Promise<Value> {
  const policies = await openPolicies({
    folder: policy.references ?? null,
    signers: policy.signers,
    acceptUnsigned: policy.acceptUnsigned,
    clock: systemClock,
    log: silentLog,
  });
  try {
    return await work(policies);
  } finally {
    await policies.close();
  }
}

/**
 * Adds a bundle: all of it is checked, then its reference set put into force, then the bundle offered; in this order,
 * because a surface that runs it before policy takes it would be locked out.
 * @param options.key private key that signs the set; null: it is in force already, or counts unsigned
 * @throws SurfacedError E_UPDATE_BUNDLE, E_UPDATE_SIGNER, E_UPDATE_DATA, E_ROLLOUT, E_POLICY_SET, E_CFG_READ, E_CFG_INVALID
 */
export async function addBundle(options: {
  readonly bundle: string;
  readonly gatewayConfigPath: string;
  readonly key: string | null;
  readonly output: Output;
  readonly signal: AbortSignal;
}): Promise<string> {
  const { bundle: source, key, output, signal } = options;
  const config = await loadUpdatingGateway(options.gatewayConfigPath);
  const trusted = (await readFileOr(config.updates.trustedSigners)).toString('latin1');
  const bundle = await readBundle(source, { trusted, at: new Date(systemClock.now()) });
  process.stderr.write(`surfaced: checking ${bundle.bytes} bytes of ${bundle.version}\n`);
  await checkBundle(source, bundle, signal);
  const set = referenceOfVersion(bundle.references, `${source}: references`);
  const setFile = await putIntoForce({ config, bundle, set, key });
  const file = path.join(config.updates.folder, `${bundle.version}.raucb`);
  const isNew = await offer({ source, file, bundle, trusted, signal });
  const gate = {
    version: bundle.version,
    manifestSha256: bundle.manifestSha256,
    references: bundle.references,
  };
  const blocked = await withUpdates(config, async ({ policies, surfaces }) => {
    const obstacleOf = policyGate(policies, systemClock);
    const here: Offer = { ...gate, file, bytes: bundle.bytes, signer: bundle.signer.name };
    return surfaces.flatMap((surface) => {
      const obstacle = obstacleOf(surface, here);
      return obstacle === null ? [] : [{ surface: surface.metadata.name, obstacle }];
    });
  });
  const { name, version } = set;
  if (output === 'json')
    return `${JSON.stringify(
      {
        version: bundle.version,
        file,
        isNew,
        signer: bundle.signer,
        set: { name, version, file: setFile },
        blocked,
      },
      null,
      2,
    )}\n`;
  const setWords =
    setFile === null ? 'not written: in force, or the gateway has no policy.references' : setFile;
  return [
    `Bundle:         ${file}${isNew ? '' : ' (was there)'}`,
    `Signed by:      ${bundle.signer.name}`,
    `Reference set:  ${name} version ${version}, ${setWords}`,
    ...blocked.map(({ surface, obstacle }) => `Not for ${surface}: ${obstacle}`),
    `Next:           surfaced updates roll ${bundle.version} --config ${options.gatewayConfigPath} --surfaces ...`,
    '',
  ].join('\n');
}

/**
 * Sees to it that the gateway takes the set; returns the file that was written, null: none had to be.
 * @throws SurfacedError E_ROLLOUT, E_POLICY_SET
 */
async function putIntoForce(options: {
  readonly config: UpdatingGateway;
  readonly bundle: Bundle;
  readonly set: Reference;
  readonly key: string | null;
}): Promise<string | null> {
  const { config, bundle, set, key } = options;
  const { references, acceptUnsigned } = config.policy;
  if (references === undefined) return null;
  const isInForce = (): Promise<string[] | null> =>
    withPolicies(config, async (policies) =>
      policies.inForce(set.name, systemClock.now()).some((known) => takes(known, set))
        ? null
        : policies.problems().map(({ message }) => message),
    );
  if ((await isInForce()) === null) return null;
  const file = path.join(references, `${set.name}-${bundle.version}.yaml`);
  if (key === null && !acceptUnsigned)
    throw new SurfacedError(
      'E_ROLLOUT',
      `the reference set of ${bundle.version} is not in force: give --key with the private key of a policy signer; ` +
        `or sign what \`surfaced updates references\` prints elsewhere, and put it and its .sig there as ${file}`,
    );
  const bytes = Buffer.from(bundle.references);
  const there = await readFile(file).catch(() => null);
  if (there !== null && !there.equals(bytes))
    throw new SurfacedError('E_ROLLOUT', `${file}: is there already, and is another set; look at both`);
  const place = { like: references, mode: 0o644 };
  if (key !== null) {
    const signature = signSet(bytes, await readSigningKey(key));
    verifySet(bytes, Buffer.from(signature), await readSigners(config.policy.signers));
    // First: the gateway never sees the set without it.
    await writeBeside(`${file}.sig`, { ...place, text: signature }, 'E_ROLLOUT');
  }
  await writeBeside(file, { ...place, text: bundle.references }, 'E_ROLLOUT');
  const problems = await isInForce();
  if (problems === null) return file;
  const why = problems.length === 0 ? 'it is not valid now' : problems.join('; ');
  // A set that does not count is a problem of the gateway's policy: it does not stay.
  if (there === null) for (const name of [file, `${file}.sig`]) await rm(name, { force: true });
  throw new SurfacedError('E_ROLLOUT', `${file}: its set does not come into force: ${why}`);
}

/** Copies the bundle to where surfaces fetch it; false: it is there. */
async function offer(options: {
  readonly source: string;
  readonly file: string;
  readonly bundle: Bundle;
  readonly trusted: string;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  const { source, file, bundle, trusted, signal } = options;
  const at = new Date(systemClock.now());
  if (await stat(file).catch(() => null)) {
    const there = await readBundle(file, { trusted, at });
    if (there.manifestSha256 === bundle.manifestSha256) return false;
    throw new SurfacedError(
      'E_ROLLOUT',
      `${file}: is there already, and is another bundle of ${bundle.version}; a version is one content for ever`,
    );
  }
  const beside = besideOf(file);
  try {
    await copyFile(source, beside);
    const handle = await open(beside, 'r+');
    await handle.sync().finally(() => handle.close());
    // What was checked is what is offered, whatever happened to the source meanwhile.
    await checkBundle(beside, bundle, signal);
    const copy = await readBundle(beside, { trusted, at });
    if (copy.manifestSha256 !== bundle.manifestSha256) throw new Error('changed while it was copied');
    await putInPlace({ beside, file, like: path.dirname(file), mode: 0o644 });
    await syncFolder(path.dirname(file));
    return true;
  } catch (cause) {
    await rm(beside, { force: true });
    throw cause instanceof SurfacedError ? cause : fileError('E_ROLLOUT', file, cause);
  }
}

const readFileOr = (file: string): Promise<Buffer> =>
  readFile(file).catch((cause: unknown) => {
    throw fileError('E_CFG_READ', `updates.trustedSigners: ${file}`, cause);
  });

/** The reference set in a bundle, as it was signed with it. @throws SurfacedError */
export async function showReferences(gatewayConfigPath: string, bundle: string): Promise<string> {
  const config = await loadUpdatingGateway(gatewayConfigPath);
  const read = await bundleReader(config.updates, systemClock);
  return (await read(bundle)).references;
}

/** Bundles with who signed them and whom policy keeps from them. @throws SurfacedError */
export async function listUpdates(gatewayConfigPath: string, output: Output): Promise<string> {
  const config = await loadUpdatingGateway(gatewayConfigPath);
  return withUpdates(config, async ({ folder, policies, surfaces }) => {
    const obstacleOf = policyGate(policies, systemClock);
    const offers = folder.offers().map(({ references, ...rest }) => ({
      ...rest,
      referencesSha256: createHash('sha256').update(references).digest('hex'),
      blocked: surfaces
        .filter((surface) => obstacleOf(surface, { ...rest, references }) !== null)
        .map(({ metadata }) => metadata.name),
    }));
    const rollouts = folder.rollouts().map(({ metadata, spec }) => ({ name: metadata.name, ...spec }));
    const problems = folder.problems();
    if (output === 'json') return `${JSON.stringify({ bundles: offers, rollouts, problems }, null, 2)}\n`;
    const bundleRows = offers.map(({ version, bytes, signer, blocked }) => [
      version,
      `${(bytes / 1_000_000).toFixed(1)} MB`,
      signer,
      blocked.length === 0 ? '-' : blocked.join(', '),
    ]);
    const rolloutRows = rollouts.map(
      ({ name, version, surfaces: names, atOnce, stopAfterFailures, isPaused }) => [
        name,
        version,
        names === undefined ? 'all' : `${names.length}`,
        `${atOnce}`,
        `${stopAfterFailures}`,
        isPaused ? 'yes' : 'no',
      ],
    );
    return [
      columns([['BUNDLE', 'SIZE', 'SIGNED BY', 'NOT TAKEN BY THE POLICY OF'], ...bundleRows]),
      columns([['ROLLOUT', 'VERSION', 'SURFACES', 'AT ONCE', 'STOPS AFTER', 'PAUSED'], ...rolloutRows]),
      problems.map(({ source, message }) => `${source}: ${message}\n`).join(''),
    ]
      .filter((part) => part !== '')
      .join('\n');
  });
}
