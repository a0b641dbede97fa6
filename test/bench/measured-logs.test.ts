/** What the benches measure with has to be what the readers take. */
import t from 'tap';
import { firmwareLog, imaFiles, imaList, imaPcr, joined, sha256 } from '../../bench/measured-logs.ts';
import { eventLogFormat, eventRecords } from '../../daemon/attest/logs/event-log.ts';
import { findImaPrefix, imaPrefixAtStart } from '../../daemon/attest/logs/ima-prefix.ts';
import { Replay } from '../../daemon/attest/logs/replay.ts';

t.test('a list of IMA is anchored in what it extends, as a whole and in parts', async (t) => {
  const list = [...imaList(5), ...imaFiles(5, 3)];
  let quoted: Buffer = Buffer.alloc(32);
  for (const { digest, pcr } of list) {
    t.equal(pcr, imaPcr);
    quoted = sha256(quoted, digest);
  }
  const found = findImaPrefix({
    bytes: joined(list),
    form: 'binary',
    pcr: imaPcr,
    bank: 'sha256',
    rule: 'own-hash',
    from: imaPrefixAtStart('sha256'),
    quoted,
  });
  t.match(found, {
    verdict: 'anchored',
    prefix: { position: { records: 8 }, wrongHashes: 0, violations: 0 },
  });
});

t.test('a firmware log replays to what its events extend, every PCR of the firmware', async (t) => {
  const { head, events } = firmwareLog(100);
  const bytes = joined(events, head);
  const format = eventLogFormat(bytes);
  t.equal(format.kind, 'crypto-agile');
  const replay = new Replay(['sha256'], null);
  const pcrs = new Map<number, Buffer>();
  for (const record of eventRecords(bytes.subarray(format.first.bytes), format, format.first))
    replay.event(record);
  for (const { pcr, digest } of events) pcrs.set(pcr, sha256(pcrs.get(pcr) ?? Buffer.alloc(32), digest));
  t.equal(events.length, 100);
  t.same([...pcrs.keys()].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  for (const [pcr, value] of pcrs) t.same(replay.value('sha256', pcr), value, `PCR ${pcr}`);
});
