/** Live streams whose readers go, or whose right to look cannot be asked about. */
import { once } from 'node:events';
import { request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import fastify from 'fastify';
import t from 'tap';
import type { Door } from '../../daemon/web/door.ts';
import { LiveStreams } from '../../daemon/web/live.ts';
import type { Session } from '../../daemon/web/sessions.ts';
import type { PageSources } from '../../daemon/web/sources.ts';
import { addStreams } from '../../daemon/web/streams.ts';

const session: Session = {
  user: { name: 'vera', uid: '', groups: [], extra: {} },
  formToken: '',
  endsAt: Number.POSITIVE_INFINITY,
};

t.test('whoever has gone while Kubernetes was asked holds no place', async (t) => {
  const streams = new LiveStreams(
    () => '',
    () => t.fail('an error'),
  );
  t.teardown(() => streams.close());
  const app = fastify();
  t.teardown(() => app.close());
  let admitted = (): void => {};
  let asked: Promise<void> = Promise.resolve();
  const gone = new Promise<void>((resolve) => {
    app.server.on('request', (_request, response) => response.once('close', resolve));
  });
  const arrived = new Promise<void>((resolve) => {
    const door: Pick<Door, 'admit' | 'isStillIn'> = {
      admit: () => {
        resolve();
        const answer = new Promise<Session>((answered) => {
          admitted = () => answered(session);
        });
        asked = answer.then(() => {});
        return answer;
      },
      isStillIn: async () => true,
    };
    const sources: Pick<PageSources, 'surface'> = { surface: () => ({}) as never };
    addStreams(app as never, { door: door as Door, streams, sources: sources as PageSources });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const asking = request({ host: '127.0.0.1', port, path: '/events?surfaces=desk' });
  asking.on('error', () => {});
  asking.end();
  await arrived;
  asking.destroy();
  await gone;
  admitted();
  await asked;
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(streams.count, 0);
});

/** A response that keeps what is written. */
function written(): { readonly response: ServerResponse; text(): string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (data) => {
    text += String(data);
  });
  return { response: stream as unknown as ServerResponse, text: () => text };
}

t.test('a right that is gone ends a stream, an API server that is away only breaks it', async (t) => {
  const errors: unknown[] = [];
  const streams = new LiveStreams(
    () => '',
    (error) => errors.push(error),
  );
  t.teardown(() => streams.close());
  const [denied, unknown] = [written(), written()];
  const both = [denied, unknown].map(({ response }) => once(response, 'close'));
  const add = (response: ServerResponse, isStillAllowed: () => Promise<boolean>): void =>
    streams.add({ response, user: 'vera', names: [], isStillAllowed });
  add(denied.response, async () => false);
  add(unknown.response, async () => {
    throw new Error('away');
  });
  await Promise.all(both);
  t.match(denied.text(), /event: over/, 'the page asks for itself again, and is told why');
  t.notMatch(unknown.text(), /over/, 'the page stays, says that it is old, and tries again');
  t.match(errors, [{ message: 'away' }]);
  t.equal(streams.count, 0);
});
