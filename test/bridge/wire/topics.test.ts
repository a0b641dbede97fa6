import fc from 'fast-check';
import t from 'tap';
import {
  ackTopic,
  ctlTopic,
  gatewayStatusTopic,
  maxSlots,
  parseTopic,
  segmentPattern,
  slotTopic,
  surfaceFilters,
  upTopic,
} from '../../../daemon/bridge/wire/topics.ts';

const segment = fc.stringMatching(segmentPattern);

t.test('every topic that is built reads back as it was built', async () => {
  fc.assert(
    fc.property(segment, segment, fc.integer({ min: 0, max: maxSlots - 1 }), (site, surface, slot) => {
      const same = (topic: string, expected: object): boolean =>
        JSON.stringify(Object.entries(parseTopic(topic) ?? {}).sort()) ===
        JSON.stringify(Object.entries(expected).sort());
      return (
        (['status', 'birth', 'cmd', 'tele', 'certificate'] as const).every((leaf) =>
          same(upTopic(site, surface, leaf), { site, surface, direction: 'up', leaf }),
        ) &&
        same(ackTopic(site, surface), { site, surface, direction: 'down', leaf: 'ack' }) &&
        same(ctlTopic(site, surface), { site, surface, direction: 'down', leaf: 'ctl' }) &&
        same(slotTopic(site, surface, slot), { site, surface, direction: 'down', leaf: 'slot', slot }) &&
        same(gatewayStatusTopic(site, surface), {
          site,
          gateway: surface,
          direction: 'gateway',
          leaf: 'status',
        })
      );
    }),
  );
});

t.test('anything else is null and never throws', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (topic) => {
      parseTopic(topic);
      return true;
    }),
  );
  const pieces = fc.array(
    fc.constantFrom(
      'surfaced',
      'v1',
      'v2',
      '_gw',
      'desk',
      'up',
      'down',
      'slot',
      'cmd',
      'status',
      '0',
      '63',
      '64',
      '+',
      '#',
      '',
      '$SYS',
      'De sk',
      'a.b',
      '\u0000',
    ),
    { maxLength: 9 },
  );
  fc.assert(
    fc.property(pieces, (segments) => {
      const address = parseTopic(segments.join('/'));
      return address === null || segments.every((each) => /^[a-z0-9_-]+$/.test(each));
    }),
    { numRuns: 2000 },
  );
  for (const topic of [
    '',
    'surfaced/v1/site/desk/up/cmd/',
    '/surfaced/v1/site/desk/up/cmd',
    'surfaced/v1/site/desk/up/cmd\n',
    'surfaced/v1/site/desk\u0000/up/cmd',
    'surfaced/v1/site/-desk/up/cmd',
    'surfaced/v1/site/desk/down/slot/64',
    'surfaced/v1/site/desk/down/slot/01',
    'surfaced/v1/site/desk/down/slot/-1',
    'surfaced/v1/site/desk/down/slot/1e1',
    'surfaced/v1/site/desk/down/slot',
    'surfaced/v1/site/_gw/gw/up/status',
    'surfaced/v2/site/desk/up/cmd',
    `surfaced/v1/site/${'a'.repeat(64)}/up/cmd`,
  ]) {
    t.equal(parseTopic(topic), null, JSON.stringify(topic));
  }
});

t.test('filters of a surface are not topics', async (t) => {
  for (const filter of surfaceFilters('site', 'desk')) t.equal(parseTopic(filter), null);
});
