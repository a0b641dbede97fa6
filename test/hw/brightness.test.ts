import t from 'tap';
import { brightnessAt, isNight } from '../../daemon/hw/brightness.ts';

const night = { from: '22:00', to: '06:30', brightness: 0.1 };
const at = (hours: number, minutes: number, year = 2026): Date => new Date(year, 6, 1, hours, minutes);

t.test('the night goes over midnight', async (t) => {
  t.notOk(isNight(night, at(21, 59)));
  t.ok(isNight(night, at(22, 0)));
  t.ok(isNight(night, at(0, 0)));
  t.ok(isNight(night, at(6, 29)));
  t.notOk(isNight(night, at(6, 30)));
});

t.test('or lies within one day', async (t) => {
  const siesta = { ...night, from: '13:00', to: '15:00' };
  t.notOk(isNight(siesta, at(12, 59)));
  t.ok(isNight(siesta, at(13, 0)));
  t.notOk(isNight(siesta, at(15, 0)));
  t.notOk(isNight({ ...night, from: '13:00', to: '13:00' }, at(13, 0)), 'a night of no length');
});

t.test('a clock that is not set knows no night', async (t) => {
  t.notOk(isNight(night, at(23, 0, 2023)));
  t.ok(isNight(night, at(23, 0, 2024)));
  t.notOk(isNight(night, new Date(Number.NaN)));
});

t.test('the night never makes it brighter', async (t) => {
  t.equal(brightnessAt(0.6, night, at(23, 0).getTime()), 0.1);
  t.equal(brightnessAt(0.05, night, at(23, 0).getTime()), 0.05);
  t.equal(brightnessAt(0.6, { ...night, brightness: 0 }, at(23, 0).getTime()), 0);
  t.equal(brightnessAt(0.6, night, at(12, 0).getTime()), 0.6);
  t.equal(brightnessAt(0.6, null, at(23, 0).getTime()), 0.6);
});
