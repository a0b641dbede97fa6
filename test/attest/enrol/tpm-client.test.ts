import { X509Certificate } from 'node:crypto';
import { getEventListeners } from 'node:events';
import t from 'tap';
import { fetchPinnedCa } from '../../../daemon/attest/enrol/pinned-gateway.ts';
import { pairingCode } from '../../../daemon/attest/evidence/pairing.ts';
import { SurfacedError } from '../../../daemon/errors.ts';
import { testClock } from './rig.ts';
import {
  ekSha256,
  hanging,
  heardLog,
  never,
  nextRenewed,
  refusal,
  StandInProver,
  source,
  startFalseGateway,
} from './tpm-client-rig.ts';

const serialOf = (pem: string): string => new X509Certificate(pem).serialNumber;
const salt = '00112233445566778899aabbccddeeff';
const quarantine = refusal('E_ENROL_QUARANTINE', { pairing: { salt } });

t.test('evidence becomes credentials, over one connection, for all who ask', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  const client = source(t, gateway, { prover });
  t.same(prover.calls, [], 'nothing before it is asked for');
  const [first, second] = await Promise.all([client.current(never()), client.current(never())]);
  t.equal(first, second);
  t.equal(await client.current(never()), first);
  t.match(first, {
    ...{ site: 'site', surface: 'desk', trust: 'tpm', level: 2 },
    broker: { host: '127.0.0.1', port: 8883 },
    privateKeyPem: /BEGIN PRIVATE KEY/,
  });
  t.same(prover.calls, ['claims', 'prove']);
  t.equal(gateway.connections(), 1);
  t.equal(gateway.begins[0]?.socket, gateway.finishes[0]?.socket);
  t.match(gateway.begins[0], { shown: null, body: { v: 1, kind: 'tpm', firmware: '1.2.3' } });
  t.match(gateway.begins[0]?.body.claims, { ekPublic: Buffer.from('ek').toString('base64') });
  await gateway.allClosed();
});

t.test('a renewal is fresh evidence over a connection that shows the certificate', async (t) => {
  const gateway = await startFalseGateway(t, { lifeMs: 2000 });
  const prover = new StandInProver();
  const client = source(t, gateway, { prover });
  const renewed = nextRenewed(client);
  const first = await client.current(never());
  const second = await renewed;
  t.not(second.privateKeyPem, first.privateKeyPem);
  t.equal(gateway.begins[1]?.shown, serialOf(first.certificatePem));
  t.equal(gateway.begins[1]?.body.kind, 'tpm');
  t.same(prover.calls, ['claims', 'prove', 'claims', 'prove']);
  t.notSame(prover.challenges[0]?.nonce, prover.challenges[1]?.nonce);
  t.equal(await client.current(never()), second);
  const again = nextRenewed(client);
  client.renew();
  t.not((await again).certificatePem, second.certificatePem, 'and whenever it is asked for');
  t.equal(getEventListeners(prover.signals.at(-1) as AbortSignal, 'abort').length, 0, 'nothing piles up');
});

t.test('evidence with all logs that may be sent', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  prover.logBytes = 8 * 1024 * 1024;
  t.equal((await source(t, gateway, { prover }).current(never())).surface, 'desk');
});

t.test('a new epoch, or a session that is over: it begins again at once, and once', async (t) => {
  for (const code of ['E_ENROL_EPOCH', 'E_ENROL_SESSION'] as const) {
    const gateway = await startFalseGateway(t);
    gateway.onFinish = (_, index) => (index === 0 ? refusal(code) : null);
    t.equal((await source(t, gateway).current(never())).surface, 'desk');
    t.equal(gateway.begins.length, 2);
    gateway.onFinish = () => refusal(code);
    await t.rejects(source(t, gateway).current(never()), { code });
    t.equal(gateway.begins.length, 4);
  }
});

t.test('a connection that ended while the TPM was at work is not followed by another one', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  let proofs = 0;
  prover.meanwhile = async (call) => {
    if (call !== 'prove' || ++proofs > 1) return;
    // Its end is closed only when the surface has closed its own.
    gateway.begins[0]?.socket.end();
    await gateway.allClosed();
  };
  t.equal((await source(t, gateway, { prover }).current(never())).surface, 'desk');
  t.equal(gateway.begins.length, 2, 'it began anew');
  t.equal(gateway.finishes.length, 1, 'and sent no evidence that is bound to another connection');
});

t.test('a TPM that is not known: the code to compare, until it is let in', async (t) => {
  const gateway = await startFalseGateway(t);
  gateway.onBegin = (_, index) => (index < 2 ? quarantine : null);
  const heard = heardLog();
  const prover = new StandInProver();
  const client = source(t, gateway, { prover, log: heard.log });
  const codes: (string | null)[] = [];
  client.onPairing((code) => codes.push(code));
  t.same(codes, [], 'nothing to tell before');
  const waiting = client.current(never());
  await gateway.arrived('begins', 2);
  const expected = pairingCode(Buffer.from(salt, 'hex'), ekSha256, gateway.authority.pin);
  t.same(codes, [expected]);
  t.match(expected, /^\d{4}-\d{4}$/);
  let later: string | null = null;
  client.onPairing((code) => {
    later = code;
  })();
  t.equal(later, expected, 'who comes later is told at once');
  t.match(heard.lines(), expected, 'a surface without any light has it in its log');
  const impatient = new AbortController();
  const left = client.current(impatient.signal);
  impatient.abort(new Error('no time'));
  await t.rejects(left, { message: 'no time' });
  t.equal((await waiting).surface, 'desk');
  t.same(codes, [expected, null]);
  t.same(prover.calls, ['claims', 'claims', 'claims', 'prove'], 'nothing is proved to who does not know it');
});

t.test('the code goes when something else is wrong', async (t) => {
  const gateway = await startFalseGateway(t);
  gateway.onBegin = (_, index) => (index === 0 ? quarantine : refusal('E_SURFACE_REVOKED'));
  const client = source(t, gateway);
  const codes: (string | null)[] = [];
  client.onPairing((code) => codes.push(code));
  await t.rejects(client.current(never()), { code: 'E_SURFACE_REVOKED' });
  t.equal(codes.length, 2);
  t.equal(codes[1], null);
  gateway.onBegin = () => refusal('E_ENROL_QUARANTINE');
  await t.rejects(
    client.current(never()),
    { code: 'E_ENROL_QUARANTINE' },
    'nothing to compare without a salt',
  );
  gateway.onBegin = () => refusal('E_ENROL_QUARANTINE', { pairing: { salt, code: '1111-1111' } });
  await t.rejects(client.current(never()), { code: 'E_GATEWAY_ANSWER' }, 'a code is not taken from anybody');
  t.equal(codes.length, 2);
});

t.test('evidence that is refused: the certificate serves to its end, then all begins anew', async (t) => {
  const gateway = await startFalseGateway(t);
  const clock = testClock(Date.now());
  const heard = heardLog();
  const client = source(t, gateway, { clock, log: heard.log });
  const first = await client.current(never());
  gateway.onFinish = () => refusal('E_ENROL_EVIDENCE');
  client.renew();
  await heard.until('E_ENROL_EVIDENCE');
  t.equal(await client.current(never()), first, 'it still holds');
  gateway.onFinish = () => null;
  const recovered = await nextRenewed(client);
  t.not(recovered, first, 'tried again by itself, after the policy was mended');
  gateway.onFinish = () => refusal('E_SURFACE_REVOKED');
  client.renew();
  await heard.until('E_SURFACE_REVOKED');
  clock.advance(600_001);
  await t.rejects(client.current(never()), { code: 'E_SURFACE_REVOKED' }, 'revoked while running');
  gateway.onFinish = () => null;
  const anew = await client.current(never());
  t.not(anew, recovered);
  t.equal(gateway.begins.at(-1)?.shown, null, 'without a certificate, without a token');
});

t.test('a TPM that is away, and is back', async (t) => {
  const gateway = await startFalseGateway(t);
  const prover = new StandInProver();
  const heard = heardLog();
  const client = source(t, gateway, { prover, log: heard.log });
  const away = async () => {
    throw new SurfacedError('E_TPM_OPEN', 'nobody answers');
  };
  prover.meanwhile = away;
  await t.rejects(client.current(never()), { code: 'E_TPM_OPEN', class: 'retry' });
  t.equal(gateway.connections(), 0);
  prover.meanwhile = async () => {};
  const first = await client.current(never());
  prover.meanwhile = away;
  client.renew();
  await heard.until('E_TPM_OPEN');
  t.equal(await client.current(never()), first);
  prover.meanwhile = async () => {};
  t.not(await nextRenewed(client), first);
  prover.meanwhile = async (call) => {
    if (call === 'prove') throw new SurfacedError('E_TPM', 'TPM2_Quote: failure');
  };
  await t.rejects(source(t, gateway, { prover }).current(never()), { code: 'E_TPM' });
  await gateway.allClosed();
});

t.test('one proof at a time, whoever asks and whatever runs out', async (t) => {
  const gateway = await startFalseGateway(t);
  const clock = testClock(Date.now());
  const prover = new StandInProver();
  const client = source(t, gateway, { prover, clock });
  const first = await client.current(never());
  let release = () => {};
  const isProving = new Promise<void>((proving) => {
    prover.meanwhile = (call) =>
      new Promise((resolve) => {
        if (call === 'claims') return resolve();
        release = resolve;
        return proving();
      });
  });
  const renewed: string[] = [];
  client.onRenewed(({ certificatePem }) => renewed.push(certificatePem));
  client.renew();
  await isProving;
  clock.advance(600_001);
  client.renew();
  const asked = client.current(never());
  prover.meanwhile = async () => {};
  const again = gateway.arrived('finishes', 3);
  release();
  t.not(await asked, first, 'what was under way is enough');
  await again;
  t.equal(prover.mostAtOnce, 1);
  t.equal(renewed[0], (await asked).certificatePem);
});

t.test(
  'no clock of this machine is asked, neither a wrong one here nor the ends of certificates',
  async (t) => {
    const today = await startFalseGateway(t);
    for (const year of ['1970-01-01', '2100-01-01']) {
      const clock = testClock(Date.parse(year));
      const client = source(t, today, { clock });
      const first = await client.current(never());
      clock.advance(599_000);
      t.equal(await client.current(never()), first, 'as long as the gateway said');
      clock.advance(1001);
      t.not(await client.current(never()), first, 'and no longer');
    }
    // To a machine whose clock is in the year 2100, the certificates of today look as those of 2005 do today.
    const old = await startFalseGateway(t, { madeAt: Date.parse('2005-01-01') });
    const client = source(t, old);
    const { certificatePem } = await client.current(never());
    t.ok(Date.parse(new X509Certificate(certificatePem).validTo) < Date.now());
    t.equal(await client.current(never()).then(({ surface }) => surface), 'desk');
    const seen = {
      address: { host: '127.0.0.1', port: old.port },
      pin: old.authority.pin,
      timeoutMs: 10_000,
    };
    await t.rejects(fetchPinnedCa({ ...seen, now: Date.now() }), {
      code: 'E_GATEWAY_CERTIFICATE',
      message: /clock of this machine/,
    });
    t.match(await fetchPinnedCa({ ...seen, now: Date.parse('2005-06-01') }), /BEGIN CERTIFICATE/);
  },
);

t.test('stop in the middle of anything leaves no connection and no timer', async (t) => {
  const gateway = await startFalseGateway(t);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const places: Record<string, (prover: StandInProver, at: () => void) => void> = {
    claims: (prover, at) => {
      prover.meanwhile = (_, signal) => {
        at();
        return hanging(signal);
      };
    },
    begin: (_, at) => {
      gateway.onBegin = () => {
        at();
        return 'hang';
      };
    },
    prove: (prover, at) => {
      prover.meanwhile = (call, signal) => {
        if (call === 'claims') return Promise.resolve();
        at();
        return hanging(signal);
      };
    },
    finish: (_, at) => {
      gateway.onFinish = () => {
        at();
        return 'hang';
      };
    },
    'a pause while it waits for a person': (_, at) => {
      gateway.onBegin = () => {
        setImmediate(at);
        return quarantine;
      };
    },
  };
  for (const [place, prepare] of Object.entries(places)) {
    gateway.onBegin = () => null;
    gateway.onFinish = () => null;
    const prover = new StandInProver();
    const before = timers();
    const client = source(t, gateway, { prover });
    const reached = new Promise<void>((at) => prepare(prover, at));
    const waiting = client.current(never());
    const rejected = t.rejects(waiting, { message: /not needed any more/ }, place);
    await reached;
    client.stop();
    await rejected;
    await gateway.allClosed();
    await new Promise(setImmediate);
    t.ok(timers() <= before, place);
    t.equal(getEventListeners(prover.signals[0] as AbortSignal, 'abort').length <= 1, true, place);
    await t.rejects(client.current(never()), /not needed any more/);
    client.stop();
  }
  t.equal(gateway.finishes.length, 1);
});
