import t from 'tap';
import { brokerSchema, shardsSchema } from '../../daemon/config/brokers.ts';

const messages = (value: unknown): string[] =>
  (brokerSchema.safeParse(value).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

t.test('a file without a mode is the embedded broker, as before', async (t) => {
  const embedded = { mode: 'embedded', listen: '0.0.0.0:8883', maxConnections: 1200 };
  t.same(brokerSchema.parse({}), embedded);
  t.same(brokerSchema.parse({ listen: '127.0.0.1:0' }), { ...embedded, listen: '127.0.0.1:0' });
});

t.test('an external broker needs a way to know the gateway, and whole pairs', async (t) => {
  const external = { mode: 'external', urls: ['mqtts://mqtt.example:8883', 'mqtts://[::1]'], ca: 'ca.pem' };
  t.same(messages({ ...external, certificate: 'a', key: 'b' }), []);
  t.same(messages({ ...external, username: 'a', passwordFile: 'b' }), []);
  t.match(messages(external), [/certificate: give a certificate or a username/]);
  t.match(messages({ ...external, certificate: 'a' }), [/key: certificate and key belong together/]);
  t.match(messages({ ...external, username: 'a' }), [/passwordFile: username and passwordFile/]);
  for (const url of ['mqtt://a:1883', 'mqtts://a:1/x', 'mqtts://u:p@a', 'mqtts://a?x'])
    t.match(messages({ ...external, urls: [url], username: 'a', passwordFile: 'b' }), [/^urls\.0/], url);
});

t.test('shards', async (t) => {
  t.same(shardsSchema.parse({}), { count: 16, namespace: 'surfaced', durationSeconds: 15 });
  t.equal(shardsSchema.parse(undefined), undefined);
  t.equal(shardsSchema.safeParse({ count: 15 }).success, false);
  t.equal(shardsSchema.safeParse({ count: 65 }).success, false);
});
