/**
 * The peer of controls on GPIO lines: `bare-gpio.ts LINE` takes one line of the first chip, and for each edge writes when
 * it was read to stdout, on the clock that all processes share. One blocking read after the other, as gpiomon does it.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { decodeLineDescriptor, encodeLineRequest, eventBytes, gpioIoctl } from '../../daemon/hw/gpio/uapi.ts';
import { ioctlOf } from '../../daemon/hw/kernel/ioctl.ts';
import { sharedNow } from '../processes.ts';

const line = Number(process.argv[2]);
const chip = openSync('/dev/gpiochip0', 'r+');
const request = encodeLineRequest({
  lines: [line],
  bias: 'pull-down',
  isActiveLow: false,
  debounceUs: null,
  consumer: 'bare',
});
const { default: koffi } = await import('koffi');
ioctlOf(koffi)(chip, gpioIoctl.getLines, request);
const descriptor = decodeLineDescriptor(request);
const event = Buffer.alloc(eventBytes);
writeSync(1, 'open\n');
for (;;) {
  readSync(descriptor, event, 0, eventBytes, null);
  writeSync(1, `${sharedNow()}\n`);
}
