/** `surfaced doctor`, the network: whether the gateway is reached and is the one that the config pins. Spends no token. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressOf, fetchPinnedCa, type GatewayAddress } from '../attest/enrol/pinned-gateway.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { SurfacedError } from '../errors.ts';
import { type Check, checksOf, type Look, messageOf } from '../hw/doctor/report.ts';

/** Longest wait for each step on the way to the gateway, milliseconds. */
export const stepMs = 5000;

/** The network as the doctor uses it; tests make one up. Every step ends within its time. */
export interface Network {
  /** Addresses of this machine, without those of the loopback. */
  addresses(): readonly string[];
  /** Addresses of a host. */
  lookup(host: string): Promise<readonly string[]>;
  /** Connects and closes again. */
  connect(address: GatewayAddress): Promise<void>;
  /** Rejects when the other end is not the gateway of the pin. */
  checkPin(address: GatewayAddress, pin: string): Promise<void>;
}

/** The network of this machine. */
export const systemNetwork: Network = {
  addresses: () =>
    Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).flatMap(({ address, internal }) =>
        // Every interface gives itself an address of its link.
        internal || address.startsWith('fe80:') ? [] : [address],
      ),
    ),
  lookup: (host) =>
    within(stepMs, async () => (await lookup(host, { all: true })).map(({ address }) => address)),
  connect: ({ host, port }) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      const end = (settle: () => void) => {
        socket.destroy();
        settle();
      };
      socket.setTimeout(stepMs, () => end(() => reject(new Error(`no answer within ${stepMs / 1000} s`))));
      socket.once('error', (error) => end(() => reject(error)));
      socket.once('connect', () => end(resolve));
    }),
  checkPin: async (address, pin) => {
    await fetchPinnedCa({ address, pin, now: Date.now(), timeoutMs: stepMs });
  },
};

async function within<T>(ms: number, run: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks at the machine's own addresses. */
export function lookAtNetwork(network: Network, isNeeded: boolean): Look {
  const { ok, fault, skipped } = checksOf('network');
  const addresses = network.addresses();
  const say = isNeeded ? fault : skipped;
  const check =
    addresses.length > 0
      ? ok('addresses', addresses.join(', '))
      : say('addresses', 'this machine has none', 'Plug the network cable in, or set the Wi-Fi up.');
  return { checks: [check], found: { networkAddresses: addresses } };
}

/** Goes the way to the gateway step by step; what follows a step that failed is left out. Never rejects. */
export async function lookAtGateway(
  network: Network,
  gateway: NonNullable<DeviceConfig['gateway']> | null,
): Promise<Look> {
  const { ok, fault, skipped } = checksOf('gateway');
  const checks: Check[] = [];
  const look = { checks, found: {} };
  if (gateway === null) {
    checks.push(skipped('gateway', 'no config names one', null));
    return look;
  }
  const address = addressOf(gateway.url);
  const where = `${address.host}:${address.port}`;
  try {
    if (isIP(address.host) === 0)
      checks.push(ok('name', `${address.host} is ${(await network.lookup(address.host)).join(', ')}`));
  } catch (error) {
    checks.push(
      fault(
        'name',
        `${address.host}: ${messageOf(error)}`,
        'Check `gateway.url` and the name server (`getent hosts`), or write the address in place of the name.',
      ),
    );
    return look;
  }
  try {
    await network.connect(address);
    checks.push(ok('connection', `${where} answers`));
  } catch (error) {
    checks.push(
      fault(
        'connection',
        `${where}: ${messageOf(error)}`,
        'Check that the gateway runs, that `gateway.url` has the port of its `enrol.listen`, and that no firewall is in between.',
      ),
    );
    return look;
  }
  try {
    await network.checkPin(address, gateway.caPin);
    checks.push(ok('CA pin', 'the gateway shows the CA that the config pins'));
  } catch (error) {
    const remedy = error instanceof SurfacedError ? error.remedy : null;
    checks.push(fault('CA pin', messageOf(error), remedy));
  }
  return look;
}
