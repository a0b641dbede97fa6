/**
 * Whether a broker keeps surfaces apart, tried with the certificate of a surface that does not exist. What is not tried cannot
 * be known: other users, other certificates, and rules that change later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SurfacedError } from '../../errors.ts';
import type { MqttLine } from '../wire/mqtt-line.ts';
import { ctlTopic, surfaceFilters, upTopic } from '../wire/topics.ts';
import { type BrokerTls, connectTo } from './connect.ts';

export interface ProbeOptions {
  readonly url: string;
  readonly site: string;
  readonly gateway: {
    readonly tls: BrokerTls;
    readonly login: { readonly username: string; readonly password: string } | null;
    readonly clientId: string;
  };
  /** The surface that the probe is by its certificate, and another name that nobody has. */
  readonly probe: { readonly tls: BrokerTls; readonly surface: string; readonly other: string };
  /** For each thing that is tried, milliseconds. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** The surface that is tried out by the gateway at every connection, and the one in whose name it tries to speak. */
export const probeSurfaces = { surface: 'acl-probe', other: 'acl-probe-other' } as const;

/** After what is allowed has come, so long for what is not, which may take another way through the broker. */
const settleMs = 300;

const quietly = (): void => {};

/**
 * Tries to publish and to listen in the name of another surface.
 * @returns what could not be found out, one sentence each; empty: the broker refused all of it
 * @throws SurfacedError E_BROKER_ACL when the broker let something through, and those of {@link connectTo}
 */
export async function probeBroker(options: ProbeOptions): Promise<readonly string[]> {
  const { url, site, gateway, probe, patienceMs, signal } = options;
  const doubts: string[] = [];
  const heard = new Set<string>();
  const opened: MqttLine[] = [];
  const open = async (as: 'gateway' | 'probe', filters: readonly string[]): Promise<MqttLine> => {
    const line = await connectTo(url, as === 'gateway' ? gateway.tls : probe.tls, {
      clientId: as === 'gateway' ? `${gateway.clientId}-probe` : probe.surface,
      login: as === 'gateway' ? gateway.login : null,
      will: null,
      ...{ filters, deadlineMs: patienceMs, signal },
      onMessage: (topic) => void heard.add(`${as} ${topic}`),
      onClosed: quietly,
    });
    opened.push(line);
    return line;
  };
  const say = (line: MqttLine, topic: string): void =>
    line.publish(topic, Buffer.from('{}'), { qos: 1, isRetained: false }, quietly);
  const comes = async (what: string): Promise<boolean> => {
    for (let waitedMs = 0; waitedMs < patienceMs && !heard.has(what); waitedMs += 20) await delay(20);
    await delay(settleMs);
    return heard.has(what);
  };
  const own = upTopic(site, probe.surface, 'tele');
  const foreign = upTopic(site, probe.other, 'tele');
  const ownDown = ctlTopic(site, probe.surface);
  const foreignDown = ctlTopic(site, probe.other);
  const refuse = (what: string): never => {
    throw new SurfacedError('E_BROKER_ACL', `broker ${url}: ${what}`);
  };
  try {
    const listener = await open('gateway', [own, foreign]);
    // One after the other: NATS holds off a client id that is there already. A broker may close the connection for what is
    // forbidden, so what is allowed comes on one of its own.
    const thief = await open('probe', []);
    say(thief, foreign);
    await delay(settleMs);
    thief.discard();
    const honest = await open('probe', []);
    say(honest, own);
    if (!(await comes(`gateway ${own}`))) doubts.push('what a surface publishes does not reach the gateway');
    honest.discard();
    if (heard.has(`gateway ${foreign}`)) refuse('a surface can publish in the name of another');

    const subscriber = await open('probe', surfaceFilters(site, probe.surface)).catch(() => null);
    if (subscriber === null) doubts.push('a surface may not subscribe to its own topics');
    say(listener, ownDown);
    if (subscriber !== null && !(await comes(`probe ${ownDown}`)))
      doubts.push('what the gateway publishes does not reach a surface');
    subscriber?.discard();
    for (const filter of [foreignDown, '#']) {
      const spy = await open('probe', [filter]).catch(() => null);
      if (spy === null) continue;
      say(listener, foreignDown);
      await delay(2 * settleMs);
      spy.discard();
      if (heard.has(`probe ${foreignDown}`))
        refuse(`a surface can listen to what is for another, by ${filter}`);
    }
    return doubts;
  } finally {
    for (const line of opened) line.discard();
  }
}
