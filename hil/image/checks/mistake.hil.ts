/**
 * A mistake in the maker's file, on the image itself: the panel says so, the report on the boot partition names the field,
 * and what is put right there is taken at the next start.
 */
import t from 'tap';
import { ensureToolbox } from '../../../image/toolbox/toolbox.ts';
import { builtCard } from '../built-card.ts';
import { CardDesk } from '../card-desk.ts';

t.setTimeout(2_400_000);

t.test('a mistake, its report, and what is put right', async (t) => {
  const toolbox = await ensureToolbox();
  const own = await CardDesk.lay({
    test: t,
    toolbox,
    card: builtCard(),
    policy: {},
    updates: null,
    certificateTtlSeconds: 600,
    bootFiles: {},
  });
  const { desk } = own;
  const right = await own.readBootFile('surfaced.yaml');
  await own.writeBootFile('surfaced.yaml', right.replace('https://', 'http://'));
  await own.powerOn(null);
  t.match(await desk.untilShown(/: E\d /), /E1 SURFACED\.YAML/, 'the panel names the file');
  // Written before the panel is told.
  await desk.powerCut();
  const report = await own.readBootFile('surfaced-report.txt');
  t.match(report, /gateway\.url/, 'the report names the field');

  await own.writeBootFile('surfaced.yaml', right);
  await own.powerOn(null);
  await desk.approve();
  await desk.untilLive(2);
  t.pass('put right, it comes in');
  await desk.powerCut();
});
