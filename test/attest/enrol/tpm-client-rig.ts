/** The other ends of enrolment by TPM: a gateway that answers as a test wants, and a TPM that is none. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type Authority, loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { beginRequest, type FinishAnswer, finishRequest } from '../../../daemon/attest/enrol/messages.ts';
import { createTpmCredentials } from '../../../daemon/attest/enrol/tpm-client.ts';
import { channelBinding } from '../../../daemon/attest/evidence/binding.ts';
import {
  type Challenge,
  challengeJson,
  type Evidence,
  type KeyClaims,
} from '../../../daemon/attest/evidence/evidence.ts';
import type { Prover } from '../../../daemon/attest/evidence/prover.ts';
import { logStart } from '../../../daemon/attest/logs/log.ts';
import type { CredentialSource, Credentials } from '../../../daemon/attest/types.ts';
import { type Clock, systemClock } from '../../../daemon/clock.ts';
import { type ErrorCode, errorTable } from '../../../daemon/errors.ts';
import { type Log, silentLog } from '../../../daemon/log.ts';

export const ekSha256 = 'ab'.repeat(32);

/** What the gateway says to one request: a body, with its status; or nothing, for ever or with the connection cut. */
export type Reply = { readonly status: number; readonly body: unknown } | 'hang' | 'cut';

/** One request as it came. */
export interface Asked {
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at what was sent
  readonly body: any;
  readonly socket: TLSSocket;
  /** Serial number of the certificate that the connection shows. */
  readonly shown: string | null;
  /** What a gateway of good manners answers. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests spoil parts of it
  well(): Promise<any>;
}

/** Answers a request otherwise than well, unless it gives null. */
export type Spoil = (asked: Asked, index: number) => Reply | null | Promise<Reply | null>;

export interface FalseGateway {
  readonly url: string;
  readonly port: number;
  readonly authority: Authority;
  readonly begins: Asked[];
  readonly finishes: Asked[];
  /** Connections that were made so far. */
  readonly connections: () => number;
  /** Resolves when none is open. */
  allClosed(): Promise<void>;
  onBegin: Spoil;
  onFinish: Spoil;
  /** Resolves when so many requests of a kind have come. */
  arrived(kind: 'begins' | 'finishes', count: number): Promise<void>;
}

/** A refusal as the gateway writes it. */
export const refusal = (code: ErrorCode, more: object = {}): Reply => ({
  status: 409,
  body: { error: { code, message: `refused: ${code}`, remedy: errorTable[code].remedy }, ...more },
});

export const newChallenge = (): Challenge => ({
  nonce: randomBytes(32),
  credential: { blob: randomBytes(50), secret: randomBytes(256) },
  bank: 'sha256',
  pcrs: [0, 8, 10],
  logs: { firmware: logStart, ima: logStart, measured: logStart, systemd: logStart },
});

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** @param options.madeAt by its clock, all certificates of the gateway were made then */
export async function startFalseGateway(
  t: Test,
  options: { readonly madeAt?: number; readonly lifeMs?: number } = {},
): Promise<FalseGateway> {
  const { madeAt = Date.now(), lifeMs = 600_000 } = options;
  const clock = { now: () => madeAt, monotonic: () => 0 };
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock });
  const server = await authority.serverCertificate(['localhost', '127.0.0.1']);
  const open = new Map<TLSSocket, { session: string; nonce: Buffer }>();
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  const until = (isTrue: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = () => {
        if (!isTrue()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const sockets = new Set<TLSSocket>();
  let connections = 0;

  const beginWell = ({ socket, body }: Pick<Asked, 'socket' | 'body'>): object => {
    beginRequest.parse(body);
    const session = randomBytes(32).toString('hex');
    const challenge = newChallenge();
    const nonce = Buffer.from(challenge.nonce);
    open.set(socket, { session, nonce });
    const answer = { v: 1, session, nonce: nonce.toString('hex'), expiresInMs: 120_000 };
    return { ...answer, challenge: challengeJson(challenge) };
  };
  const finishWell = async ({ socket, body }: Pick<Asked, 'socket' | 'body'>): Promise<object> => {
    const { session, csr, evidence } = finishRequest.parse(body);
    const begun = open.get(socket);
    open.delete(socket);
    const { publicKey } = new x509.Pkcs10CertificateRequest(csr);
    const channel = socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0));
    const expected = [begun?.nonce ?? '', sha256(new Uint8Array(publicKey.rawData)), channel];
    const isBound = Buffer.concat(expected as Buffer[]).equals(Buffer.from(evidence?.attest ?? ''));
    if (begun?.session !== session || !isBound) throw new Error('not what was begun on this connection');
    const claims = { trust: 'tpm', level: 2, ekSha256, evidence: 'ev-1' } as const;
    const issued = await authority.issue({ surface: 'desk', publicKey, lifeMs, ...claims });
    return {
      ...{ v: 1, site: 'site', surface: 'desk', trust: 'tpm', level: 2 },
      certificate: issued.certificatePem,
      ca: authority.certificatePem,
      broker: { host: '127.0.0.1', port: 8883 },
      notAfter: madeAt + lifeMs,
      now: madeAt,
    } satisfies FinishAnswer;
  };

  const self: FalseGateway = {
    url: '',
    port: 0,
    authority,
    begins: [],
    finishes: [],
    connections: () => connections,
    allClosed: () => until(() => sockets.size === 0),
    onBegin: () => null,
    onFinish: () => null,
    arrived: (kind, count) => until(() => self[kind].length >= count),
  };
  const answer = async (request: IncomingMessage): Promise<Reply> => {
    const socket = request.socket as TLSSocket;
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body: unknown = JSON.parse(Buffer.concat(parts).toString());
    const shown = socket.getPeerX509Certificate()?.serialNumber ?? null;
    const isBegin = request.url === '/v1/attest/begin';
    const well = async () => (isBegin ? beginWell({ socket, body }) : finishWell({ socket, body }));
    const [list, spoil] = isBegin ? [self.begins, self.onBegin] : [self.finishes, self.onFinish];
    const asked: Asked = { body, socket, shown, well };
    list.push(asked);
    wake();
    return (await spoil(asked, list.length - 1)) ?? { status: 200, body: await well() };
  };
  const https = createServer(
    {
      ...{ key: server.privateKeyPem, cert: server.certificatePem, ca: authority.certificatePem },
      ...{ minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false },
    },
    (request, response) => {
      answer(request).then(
        (reply) => {
          if (reply === 'hang') return;
          if (reply === 'cut') {
            request.socket.destroy();
            return;
          }
          const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
          response.writeHead(reply.status, { 'content-type': 'application/json' }).end(text);
        },
        (error: Error) => {
          t.fail(error.message);
          request.socket.destroy();
        },
      );
    },
  );
  https.on('secureConnection', (socket: TLSSocket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      sockets.delete(socket);
      wake();
    });
  });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    https.close();
  });
  const { port } = https.address() as AddressInfo;
  return Object.assign(self, { port, url: `https://127.0.0.1:${port}` });
}

/** A prover without a TPM; its evidence tells what it was bound to. */
export class StandInProver implements Prover {
  ekSha256: string | null = null;
  readonly calls: string[] = [];
  readonly challenges: Challenge[] = [];
  readonly signals: AbortSignal[] = [];
  /** Most calls that were under way at a time. */
  mostAtOnce = 0;
  isClosed = false;
  /** Bytes of the IMA list that it sends. */
  logBytes = 100;
  /** Awaited in each call, with its name; what it throws the call throws. */
  meanwhile: (call: 'claims' | 'prove', signal: AbortSignal) => Promise<void> = async () => {};
  #underWay = 0;

  claims(signal: AbortSignal): Promise<KeyClaims> {
    return this.#call('claims', signal, () => {
      this.ekSha256 = ekSha256;
      const [ekPublic, akPublic] = [Buffer.from('ek'), Buffer.from('ak')];
      return { ekPublic, akPublic, ekCertificate: null, ekChain: [] };
    });
  }

  prove(
    challenge: Challenge,
    bound: { readonly keySha256: Uint8Array; readonly channel: Uint8Array },
    signal: AbortSignal,
  ): Promise<Evidence> {
    return this.#call('prove', signal, () => {
      this.challenges.push(challenge);
      return {
        secret: randomBytes(32),
        attest: Buffer.concat([challenge.nonce, bound.keySha256, bound.channel]),
        signature: randomBytes(70),
        pcrs: new Map(challenge.pcrs.map((pcr) => [pcr, randomBytes(32)])),
        logs: {
          firmware: null,
          ima: { from: logStart, bytes: Buffer.alloc(this.logBytes) },
          measured: null,
          systemd: null,
        },
      };
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  async #call<Value>(name: 'claims' | 'prove', signal: AbortSignal, value: () => Value): Promise<Value> {
    this.calls.push(name);
    this.signals.push(signal);
    this.#underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    try {
      signal.throwIfAborted();
      await this.meanwhile(name, signal);
      return value();
    } finally {
      this.#underWay -= 1;
    }
  }
}

/** Hangs until the signal fires. */
export const hanging = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

export const source = (
  t: Test,
  gateway: Pick<FalseGateway, 'url' | 'authority'>,
  options: { prover?: Prover; clock?: Clock; log?: Log; url?: string } = {},
): CredentialSource => {
  const { prover = new StandInProver(), clock = systemClock, log = silentLog, url = gateway.url } = options;
  const config = { url, caPin: gateway.authority.pin };
  const made = createTpmCredentials({ config, prover, firmware: '1.2.3', clock, random: () => 0, log });
  t.teardown(() => made.stop());
  return made;
};

/** A log that can be waited for. */
export function heardLog(): { log: Log; until(words: string): Promise<void>; lines(): string } {
  let lines = '';
  let look = () => {};
  const write = (line: string) => {
    lines += line;
    look();
  };
  return {
    log: pino({ level: 'debug' }, { write }),
    until: (words) =>
      new Promise((resolve) => {
        look = () => {
          if (lines.includes(words)) resolve();
        };
        look();
      }),
    lines: () => lines,
  };
}

/** The next renewed credentials; subscribe before what leads to them. */
export const nextRenewed = (of: CredentialSource): Promise<Credentials> =>
  new Promise((resolve) => {
    const end = of.onRenewed((credentials) => {
      end();
      resolve(credentials);
    });
  });

export const never = (): AbortSignal => AbortSignal.timeout(60_000);
