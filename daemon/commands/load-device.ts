/** Device files, with what only the drivers can say about a panel. */
import { loadChecked } from '../config/load.ts';
import type { DeviceConfig } from '../config/schema.ts';
import { panelFindings } from '../hw/panels.ts';

/** Reads a Device file; everything that is wrong with it is in one error. @throws SurfacedError E_CFG_READ, E_CFG_INVALID */
export function loadDevice(file: string): Promise<DeviceConfig> {
  return loadChecked('Device', file, ({ panel }) =>
    panelFindings(panel).map((finding) => ({ ...finding, path: ['panel', ...finding.path] })),
  );
}
