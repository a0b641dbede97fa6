import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { loadAuthority } from '../../../daemon/attest/authority/ca.ts';
import * as x509 from '../../../daemon/attest/authority/x509.ts';
import { createTokenCredentials } from '../../../daemon/attest/enrol/client.ts';
import { systemClock } from '../../../daemon/clock.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import { ekSha256, never, type Spoil, StandInProver, source, startFalseGateway } from './tpm-client-rig.ts';

/** A good answer, spoilt. */
// biome-ignore lint/suspicious/noExplicitAny: any part of an answer may be spoilt
const spoilt = (change: (answer: any) => unknown): Spoil => {
  return async ({ well }) => {
    const answer = structuredClone(await well());
    return { status: 200, body: change(answer) ?? answer };
  };
};

t.test('an answer to begin that is not one: nothing is proved', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  const changes: Record<string, Parameters<typeof spoilt>[0]> = {
    'no challenge': (answer) => void delete answer.challenge,
    'a challenge over another nonce': (answer) => {
      answer.nonce = '00'.repeat(32);
    },
    'a shorter nonce': (answer) => {
      answer.challenge.nonce = answer.challenge.nonce.slice(0, 40);
    },
    'SHA-1': (answer) => {
      answer.challenge.bank = 'sha1';
    },
    'a PCR that anybody can reset': (answer) => {
      answer.challenge.pcrs = [0, 16];
    },
    'a PCR that there is not': (answer) => {
      answer.challenge.pcrs = [-1];
    },
    'no PCR': (answer) => {
      answer.challenge.pcrs = [];
    },
    'PCRs in disorder': (answer) => {
      answer.challenge.pcrs = [8, 0];
    },
    'a PCR twice': (answer) => {
      answer.challenge.pcrs = [8, 8];
    },
    'a log that there is not': (answer) => {
      answer.challenge.logs.shadow = { bytes: 0, records: 0 };
    },
    'a position before its log': (answer) => {
      answer.challenge.logs.ima.bytes = -1;
    },
    'a credential that is no base64': (answer) => {
      answer.challenge.credential.blob = '!';
    },
    'another version': (answer) => {
      answer.v = 2;
    },
    text: () => 'good morning',
    'JSON of something else': () => [null],
    'more than is read': () => ({ v: 1, more: 'x'.repeat(20_000) }),
  };
  for (const [what, change] of Object.entries(changes)) {
    gateway.onBegin = spoilt(change);
    await t.rejects(
      source(t, gateway, { prover }).current(never()),
      { code: /^E_GATEWAY_(?:ANSWER|UNREACHABLE)$/ },
      what,
    );
  }
  t.notOk(prover.calls.includes('prove'));
  t.equal(gateway.finishes.length, 0);
  await gateway.allClosed();
});

t.test('an answer to finish that is not one: no credentials', async (t) => {
  const gateway = await startFalseGateway(t);
  const stranger = await startFalseGateway(t);
  const anothers = (await source(t, gateway).current(never())).certificatePem;
  const changes: Record<string, Parameters<typeof spoilt>[0]> = {
    'a certificate for another key': (answer) => {
      answer.certificate = anothers;
    },
    'no certificate': (answer) => {
      answer.certificate = 'nonsense';
    },
    'one that has run out': (answer) => {
      answer.notAfter = answer.now;
    },
    'a level that there is not': (answer) => {
      answer.level = 4;
    },
    'a trust that there is not': (answer) => {
      answer.trust = 'friend';
    },
    'a port that there is not': (answer) => {
      answer.broker.port = 0;
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    gateway.onFinish = spoilt(change);
    await t.rejects(source(t, gateway).current(never()), { code: 'E_GATEWAY_ANSWER' }, what);
  }
  gateway.onFinish = async ({ body, well }) => {
    const { publicKey } = new x509.Pkcs10CertificateRequest(body.csr);
    const claims = { trust: 'tpm', level: 2, ekSha256, evidence: 'ev-1' } as const;
    const issued = await stranger.authority.issue({ surface: 'desk', publicKey, lifeMs: 1000, ...claims });
    return { status: 200, body: { ...(await well()), certificate: issued.certificatePem } };
  };
  await t.rejects(source(t, gateway).current(never()), {
    code: 'E_GATEWAY_ANSWER',
    message: /not from the pinned CA/,
  });
  gateway.onFinish = spoilt((answer) => {
    answer.ca = 'another';
    answer.notAfter = answer.now + 1e13;
  });
  const warnings: Error[] = [];
  const warn = (warning: Error) => warnings.push(warning);
  process.on('warning', warn);
  t.match(
    (await source(t, gateway).current(never())).caPem,
    /BEGIN CERTIFICATE/,
    'the CA is that of the pin',
  );
  await new Promise(setImmediate);
  process.off('warning', warn);
  t.same(warnings, [], 'a life longer than any timer is no reason to renew at once');
  for (const reply of ['cut', 'text'] as const) {
    gateway.onFinish = () => (reply === 'cut' ? 'cut' : { status: 500, body: 'x' });
    await t.rejects(source(t, gateway).current(never()), {
      code: reply === 'cut' ? 'E_GATEWAY_UNREACHABLE' : 'E_GATEWAY_ANSWER',
      class: 'retry',
    });
  }
  await gateway.allClosed();
});

t.test('whatever the gateway says, it is one of our errors', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  const body = fc.oneof(
    fc.json(),
    fc.record(
      {
        v: fc.constant(1),
        session: fc.constant('ab'.repeat(32)),
        nonce: fc.constant('00'.repeat(32)),
        expiresInMs: fc.integer(),
        challenge: fc.anything(),
      },
      { requiredKeys: [] },
    ),
    fc.record({
      error: fc.record({ code: fc.string({ maxLength: 80 }), message: fc.string(), remedy: fc.string() }),
      pairing: fc.oneof(fc.constant(undefined), fc.anything()),
    }),
  );
  await fc.assert(
    fc.asyncProperty(body, fc.integer({ min: 200, max: 599 }), async (said, status) => {
      gateway.onBegin = () => ({ status, body: typeof said === 'string' ? said : safeJson(said) });
      const client = source(t, gateway, { prover });
      const error = await client.current(never()).catch((reason: unknown) => reason);
      client.stop();
      return error instanceof SurfacedError;
    }),
    { numRuns: 60 },
  );
  t.notOk(prover.calls.includes('prove'));
});

/** JSON knows no bigints. */
const safeJson = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? '';

t.test('a gateway that is not the pinned one is sent nothing of the TPM', async (t) => {
  const gateway = await startFalseGateway(t);
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: systemClock });
  const client = source(t, { url: gateway.url, authority });
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_PIN' });
  t.equal(gateway.begins.length, 0);
});

t.test('a gateway that is away, and is back', async (t) => {
  const gateway = await startFalseGateway(t);
  // In front of it: takes connections and does what it is told.
  let isAway = true;
  const near = new Set<Socket>();
  const front = createServer((socket) => {
    near.add(socket);
    socket.on('error', () => undefined).once('close', () => near.delete(socket));
    if (isAway) return socket.destroy();
    const far = connect(gateway.port, '127.0.0.1');
    far.on('error', () => socket.destroy());
    return socket.pipe(far).pipe(socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.teardown(() => {
    for (const socket of near) socket.destroy();
    front.close();
  });
  const url = `https://localhost:${(front.address() as AddressInfo).port}`;
  const prover = new StandInProver();
  const client = source(t, gateway, { url, prover });
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_UNREACHABLE', class: 'retry' });
  t.same(prover.calls, ['claims'], 'the TPM first: it may need longer than a gateway waits');
  isAway = false;
  t.equal((await client.current(never())).surface, 'desk');
});

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

t.test('stop while it connects to somebody who says nothing, with a token as well', async (t) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    sockets.push(socket);
    silent.emit('accepted');
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const authority = await loadAuthority({ stateDir: t.testdir(), site: 'site', clock: systemClock });
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const config = { url, caPin: authority.pin };
  const token = 'abcdef.0123456789abcdefghijklmnopqrstuv';
  const common = { config, clock: systemClock, random: () => 0, log: silentLog };
  for (const client of [source(t, { url, authority }), createTokenCredentials({ ...common, token })]) {
    const accepted = once(silent, 'accepted');
    const rejected = t.rejects(client.current(never()), { message: /not needed any more/ });
    await accepted;
    const closed = once(sockets.at(-1) as Socket, 'close');
    const before = timers();
    client.stop();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    t.ok(timers() < before, 'at once, not when it would have given up');
    await rejected;
    await closed;
  }
});

t.test('an attempt that nobody waits for any more goes on for the next one', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  let release = () => {};
  const isAt = new Promise<void>((at) => {
    prover.meanwhile = (call) =>
      new Promise((resolve) => {
        release = resolve;
        if (call === 'claims') at();
        else resolve();
      });
  });
  const client = source(t, gateway, { prover });
  const leaving = new AbortController();
  const left = client.current(leaving.signal);
  await isAt;
  leaving.abort(new Error('left'));
  await t.rejects(left, { message: 'left' });
  const stayed = client.current(never());
  release();
  t.equal((await stayed).surface, 'desk');
  t.equal(gateway.begins.length, 1);
});
