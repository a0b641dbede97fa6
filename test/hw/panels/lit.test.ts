import t from 'tap';
import { isLit } from '../../../daemon/hw/panels/table.ts';
import { dimmed, palette, white } from '../../../daemon/surface/palette.ts';

t.test('on and off of simple lights follow the levels of the surface', async (t) => {
  for (const [colour, hue] of Object.entries(palette)) {
    t.ok(isLit(hue), `${colour}: bound`);
    t.ok(isLit(dimmed(hue, 0.4)), `${colour}: bound and locked`);
    t.notOk(isLit(dimmed(hue, 0.15)), `${colour}: stale`);
  }
  t.ok(isLit(dimmed(white, 0.3)), 'there is another bank');
  t.notOk(isLit([0, 0, 0]), 'nothing');
});
