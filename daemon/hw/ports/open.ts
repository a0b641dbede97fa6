import type { MidiPanelConfig } from '../../config/panel.ts';
import type { OpenPort } from './port.ts';
import { openPty } from './pty.ts';
import { openRawMidi } from './raw-midi.ts';
import { openSerial } from './serial.ts';

const loadKoffi = async () => (await import('koffi')).default;
const loadSerial = () => import('serialport');

/** The way to open the port that a config names; packages with native code are loaded only then. */
export function portOpener(port: MidiPanelConfig['port']): OpenPort {
  switch (port.type) {
    case 'raw-midi':
      return (path, handlers) => openRawMidi({ path, loadKoffi }, handlers);
    case 'serial':
      return (path, handlers) =>
        openSerial({ path, baudRate: port.baudRate, loadSerial, loadKoffi }, handlers);
    case 'pty':
      return (path, handlers) => openPty({ path, loadKoffi }, handlers);
  }
}
