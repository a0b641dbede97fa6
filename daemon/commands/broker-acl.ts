/** `surfaced broker acl`: what an external broker has to be told. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { addressOf, gatewayUser } from '../bridge/external/connect.ts';
import { probeSurfaces } from '../bridge/external/probe.ts';
import { segmentPattern } from '../bridge/wire/topics.ts';
import { loadConfig } from '../config/load.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { type BrokerKind, brokerFiles } from './broker-acl-text.ts';
import { readRegistry } from './read-registry.ts';

export interface AclRequest {
  readonly gatewayConfigPath: string;
  readonly broker: BrokerKind;
  /** CNs of the gateways' certificates; empty: that of the certificate that the Gateway file names. */
  readonly gatewayUsers: readonly string[];
  /** Where the broker has its files. */
  readonly folder: string;
  /** Null: all files, each under its name. */
  readonly file: string | null;
}

/** @throws SurfacedError E_USAGE, E_BROKER_IDENTITY, and those of the Gateway file and the registry */
export async function printAcl(request: AclRequest): Promise<string> {
  const config = await loadConfig('Gateway', request.gatewayConfigPath);
  const { broker } = config;
  const gateways = await usersOf(request, broker);
  const registry = await readRegistry(config);
  const port = broker.mode === 'external' ? addressOf(broker.urls[0] ?? '').port : 8883;
  const files = brokerFiles(request.broker, {
    ...{ site: config.site, gateways, folder: request.folder },
    surfaces: [
      ...registry.surfaces.filter(({ spec }) => !spec.isRevoked).map(({ metadata }) => metadata.name),
      probeSurfaces.surface,
    ],
    listen: { host: '0.0.0.0', port },
  });
  if (request.file === null)
    return Object.entries(files)
      .map(([name, text]) => `==> ${name} <==\n${text}`)
      .join('\n');
  const text = files[request.file];
  if (text === undefined)
    throw new SurfacedError(
      'E_USAGE',
      `--file: ${request.broker} has no ${request.file}, only ${Object.keys(files).join(', ')}`,
    );
  return text;
}

async function usersOf(
  { gatewayUsers, gatewayConfigPath }: AclRequest,
  broker: GatewayConfig['broker'],
): Promise<readonly string[]> {
  const surfaceLike = gatewayUsers.find((user) => segmentPattern.test(user));
  if (surfaceLike !== undefined)
    throw new SurfacedError(
      'E_BROKER_IDENTITY',
      `--gateway-user: ${surfaceLike} is a name that a surface may have, which would then have the rights of a gateway`,
    );
  const strange = gatewayUsers.find((user) => !/^[A-Za-z0-9_.-]{1,64}$/.test(user));
  if (strange !== undefined)
    throw new SurfacedError(
      'E_USAGE',
      `--gateway-user: ${strange} has other characters than letters, digits, _, . and -`,
    );
  if (gatewayUsers.length > 0) return gatewayUsers;
  if (broker.mode === 'external' && broker.certificate !== undefined) {
    const file = path.resolve(path.dirname(gatewayConfigPath), broker.certificate);
    const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new SurfacedError('E_CFG_READ', `broker.certificate: ${file} cannot be read`, { cause });
    });
    const user = gatewayUser(pem);
    if (user !== null) return [user];
  }
  throw new SurfacedError(
    'E_USAGE',
    'name the CN of each gateway by --gateway-user, or its certificate by broker.certificate in the Gateway file',
  );
}
