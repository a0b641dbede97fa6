import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import t from 'tap';
import { WebSocket } from 'ws';
import { SurfacedError } from '../../../daemon/errors.ts';
import { silentLog } from '../../../daemon/log.ts';
import type { HealthReport } from '../../../hil/sim/panel/messages.ts';
import { createSimPanel } from '../../../hil/sim/panel/panel.ts';
import { PageSocket } from '../../../hil/sim/panel/socket.ts';
import { connect, startRig, well } from './rig.ts';

const pageFiles = { 'index.html': '<!doctype html><title>panel</title>', 'main.js': '', 'main.css': '' };

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

async function get(port: number, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const request = http.get({ host: '127.0.0.1', port, path, headers, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** Status of a refused WebSocket. */
async function refusal(port: number, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers });
  socket.on('error', () => {});
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, http.IncomingMessage];
  socket.terminate();
  return response.statusCode ?? 0;
}

t.test('/healthz lists the parts, 200 when all are up, 503 else', async (t) => {
  let report: () => HealthReport = () => well;
  const { server } = await startRig({ health: () => report() });
  t.teardown(() => server.close());
  const up = await get(server.port, '/healthz');
  t.equal(up.status, 200);
  t.same(JSON.parse(up.body), well);

  const ill = { ok: false, parts: { cluster: { ok: false, detail: 'refused' } } };
  report = () => ill;
  const down = await get(server.port, '/healthz');
  t.equal(down.status, 503);
  t.same(JSON.parse(down.body), ill);

  report = () => {
    throw new Error('no idea');
  };
  const unknown = await get(server.port, '/healthz');
  t.equal(unknown.status, 503, 'an error is never "well"');
  t.match(JSON.parse(unknown.body), { ok: false, parts: { health: { detail: 'no idea' } } });
});

t.test('serves the page with headers that let it run nothing else', async (t) => {
  const { server } = await startRig({ pageDir: t.testdir(pageFiles) });
  t.teardown(() => server.close());
  t.equal(server.url, `http://127.0.0.1:${server.port}/`);
  for (const path of ['/', '/main.js', '/nothing', '/..%2f..%2fetc%2fpasswd']) {
    const answer = await get(server.port, path);
    if (path === '/' || path === '/main.js') t.equal(answer.status, 200, path);
    else t.match(answer.status, /^4/, path);
    const policy = String(answer.headers['content-security-policy']);
    t.match(policy, "default-src 'none'", path);
    t.match(policy, "frame-ancestors 'none'", path);
    t.notMatch(policy, 'unsafe', path);
    t.equal(answer.headers['x-content-type-options'], 'nosniff', path);
    t.equal(answer.headers['referrer-policy'], 'no-referrer', path);
    t.notMatch(answer.body, 'root:', path);
  }
});

t.test('a page that is not built is said to be, with the remedy', async (t) => {
  const { server } = await startRig({ pageDir: t.testdir({}) });
  t.teardown(() => server.close());
  const answer = await get(server.port, '/');
  t.equal(answer.status, 503);
  t.match(answer.body, /E_PANEL_PAGE.*npm run build/s);
  t.equal((await get(server.port, '/healthz')).status, 200, 'the rest works');
});

t.test('answers under names of this machine only', async (t) => {
  const { server } = await startRig({ pageDir: t.testdir(pageFiles) });
  t.teardown(() => server.close());
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '[::1]:8080']) {
    t.equal((await get(server.port, '/healthz', { host })).status, 200, host);
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', '127.0.0.1:80@evil']) {
    const answer = await get(server.port, '/healthz', { host });
    t.not(answer.status, 200, `"${host}"`);
    t.notMatch(answer.body, 'parts', `"${host}"`);
  }
  const origin = `http://evil.example:${server.port}`;
  t.equal(await refusal(server.port, { origin, host: `evil.example:${server.port}` }), 421);
});

t.test('takes a WebSocket from its own pages only', async (t) => {
  const { server, panel } = await startRig();
  t.teardown(() => server.close());
  t.equal(await refusal(server.port, {}), 403, 'no origin');
  for (const origin of [
    'http://evil.example',
    `http://localhost:${server.port}`,
    'http://127.0.0.1:1',
    'null',
  ]) {
    t.equal(await refusal(server.port, { origin }), 403, origin);
  }
  const client = await connect(server);
  t.equal(panel.pageCount, 1);
  t.match(await client.inbox.find(({ type }) => type === 'facts'), {
    facts: { cluster: { isSimulated: true } },
    health: well,
  });
});

t.test('no more pages than anyone opens', async (t) => {
  const { server } = await startRig();
  t.teardown(() => server.close());
  for (let page = 0; page < 16; page++) await connect(server);
  t.equal(await refusal(server.port, { origin: `http://127.0.0.1:${server.port}` }), 503);
});

t.test('what no page sends closes that page and no other', async (t) => {
  const { server, events } = await startRig();
  t.teardown(() => server.close());
  const good = await connect(server);
  const broken: readonly (readonly [name: string, data: string | Buffer, code: number])[] = [
    ['not JSON', '{"type":', 1008],
    ['wrong shape', '{"type":"position","control":"fader1"}', 1008],
    ['out of range', '{"type":"position","control":"fader1","value":1.01}', 1008],
    ['not a number', '{"type":"turn","control":"encoder1","pulses":1e99}', 1008],
    ['unknown field', '{"type":"press","control":"arm","index":0}', 1008],
    ['unknown control', '{"type":"press","control":"self-destruct"}', 1008],
    ['wrong kind', '{"type":"press","control":"fader1"}', 1008],
    ['a prototype', '{"type":"press","control":"__proto__"}', 1008],
    ['binary', Buffer.from('{"type":"press","control":"arm"}'), 1008],
    ['too long', ' '.repeat(600), 1009],
  ];
  const before = events.all.length;
  for (const [name, data, code] of broken) {
    const bad = await connect(server);
    bad.socket.send(data);
    t.equal(await bad.closed, code, name);
  }
  t.equal(events.all.length, before, 'none of it acted');
  good.send({ type: 'turn', control: 'encoder1', pulses: 1 });
  t.ok(await events.find(({ type }) => type === 'turn'), 'the good page still works');
});

t.test('a page that floods is closed', async (t) => {
  const { server, events } = await startRig();
  t.teardown(() => server.close());
  const flood = await connect(server);
  for (let count = 0; count < 5000; count++) flood.send({ type: 'turn', control: 'encoder1', pulses: 1 });
  t.equal(await flood.closed, 1008);
  t.ok(events.all.length < 4000, `${events.all.length} got through`);
});

t.test('what a page held is let go when it goes', async (t) => {
  const { server, events } = await startRig();
  t.teardown(() => server.close());
  const page = await connect(server);
  page.send({ type: 'press', control: 'arm' });
  page.send({ type: 'touch', control: 'fader1', isTouched: true });
  await events.find((event) => event.type === 'touch' && event.isTouched);
  page.socket.terminate();
  t.match(await events.find(({ type }) => type === 'release'), { control: 'arm' });
  t.match(await events.find((event) => event.type === 'touch' && !event.isTouched), { control: 'fader1' });
});

t.test('facts are sent again when they change, with a sign of life', async (t) => {
  let report = well;
  const { server } = await startRig({ health: () => report });
  t.teardown(() => server.close());
  const { inbox } = await connect(server);
  await inbox.find(({ type }) => type === 'facts');
  await inbox.find(({ type }) => type === 'beat');
  t.equal(inbox.all.filter(({ type }) => type === 'facts').length, 1, 'not sent again unchanged');
  report = { ok: false, parts: { panel: { ok: false, detail: 'away' } } };
  t.ok(await inbox.find((message) => message.type === 'facts' && !message.health.ok));
});

t.test('a page that gives no sign of life is given up', async (t) => {
  const panel = createSimPanel();
  const socket = Object.assign(new EventEmitter(), {
    OPEN: 1,
    readyState: 1,
    bufferedAmount: 0,
    pings: 0,
    isTerminated: false,
    send() {},
    close() {},
    ping() {
      socket.pings += 1;
    },
    terminate() {
      socket.isTerminated = true;
      socket.emit('close');
    },
  });
  let gone = 0;
  const onGone = () => {
    gone += 1;
  };
  const page = new PageSocket({ socket: socket as unknown as WebSocket, panel, log: silentLog, onGone });
  const facts = { cluster: { isSimulated: true, name: '' }, kubeconfigPath: null, namespace: null };
  const trust = { isAttested: false, level: null, sentence: '', pairingCode: null, ekSha256: null };
  const beat = () => page.beat({ ...facts, trust, versions: {} }, well);
  for (let count = 0; count < 20; count++) {
    beat();
    socket.emit('pong');
  }
  t.equal(socket.pings, 20);
  t.notOk(socket.isTerminated, 'it answers');
  for (let count = 0; count < 5; count++) beat();
  t.notOk(socket.isTerminated, 'it may be late');
  beat();
  t.ok(socket.isTerminated);
  t.equal(gone, 1);
  t.equal(panel.pageCount, 0);
});

t.test('a taken port is an error with a remedy', async (t) => {
  const { server, panel } = await startRig();
  t.teardown(() => server.close());
  const error = await startRig({ port: server.port, panel }).then(
    () => null,
    (reason: unknown) => reason,
  );
  t.type(error, SurfacedError);
  t.match(error, { code: 'E_PANEL_PORT', message: new RegExp(String(server.port)), remedy: /--port/ });
});

t.test('closes with pages and half requests open', async (t) => {
  const { server, panel } = await startRig({ pageDir: t.testdir(pageFiles) });
  const page = await connect(server);
  // One that never reads the close frame, one in the middle of a request, one kept alive.
  const deaf = await connect(server);
  deaf.socket.pause();
  const half = net.connect(server.port, '127.0.0.1');
  half.on('error', () => {});
  half.write('GET / HTTP/1.1\r\nHost: localhost\r\n');
  const kept = http.get({ port: server.port, host: '127.0.0.1', agent: new http.Agent({ keepAlive: true }) });
  const [response] = (await once(kept, 'response')) as [http.IncomingMessage];
  response.resume();
  kept.on('error', () => {});
  await server.close();
  await page.closed;
  t.equal(panel.pageCount, 0);
  deaf.socket.terminate();
  half.destroy();
  kept.destroy();
});
