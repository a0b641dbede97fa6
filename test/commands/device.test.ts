import t from 'tap';
import { surfaceOptions } from '../../daemon/commands/device.ts';
import { type DeviceConfig, deviceSchema } from '../../daemon/config/schema.ts';
import type { PanelSpec } from '../../daemon/surface/types.ts';

const settings = (input: Partial<DeviceConfig['surface']>): DeviceConfig['surface'] =>
  deviceSchema.shape.surface.parse(input);
const bare: PanelSpec = { model: 'bare', controls: [], matrix: null, roles: {} };
const withKey: PanelSpec = { ...bare, roles: { lock: 'lock' } };

t.test('a panel that locks needs a key to unlock it', async (t) => {
  for (const input of [{ isLockedAtStart: true }, { lockAfterIdleSeconds: 60 }]) {
    t.throws(() => surfaceOptions(settings(input), bare, 'surfaced.yaml'), {
      code: 'E_CFG_INVALID',
      message: `surfaced.yaml: surface.${Object.keys(input)[0]}: needs a control in panel.roles.lock`,
    });
    t.doesNotThrow(() => surfaceOptions(settings(input), withKey, 'surfaced.yaml'));
  }
  t.same(surfaceOptions(settings({}), bare, 'surfaced.yaml'), {
    settleMs: 150,
    longestMoveMs: 500,
    isLockedAtStart: false,
    lockAfterIdleMs: 0,
  });
});
