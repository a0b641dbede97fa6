/** A process that counts a knob as `surfaced device` does, through one of three kernel interfaces. Inside the rig. */
import { setTimeout as pause } from 'node:timers/promises';
import type { PartIo, PartSession } from '../../daemon/hw/chips/driver.ts';
import { gpioEncoder } from '../../daemon/hw/chips/gpio-encoder.ts';
import { rotaryEncoder } from '../../daemon/hw/chips/rotary-encoder.ts';
import type { OpenLines } from '../../daemon/hw/gpio/lines.ts';
import { lineOpener } from '../../daemon/hw/gpio/open.ts';
import { openSystemInput } from '../../daemon/hw/input/evdev.ts';
import { silentLog } from '../../daemon/log.ts';
import type { Interface } from '../gpio-edges.ts';
import { serve } from '../processes.ts';

/** What the reader has seen of one turn. */
export interface Reading {
  /** What the knob counts, clockwise positive. */
  readonly pulses: number;
  /** Edges that the kernel handed out; those of an input device are steps. */
  readonly edges: number;
  /** User and system time of the process, microseconds. */
  readonly cpuUs: number;
}

/** Nothing comes for this long: the queue is empty and what is on its way has come. */
const quietMs = 100;

let pulses = 0;
let edges = 0;
let session: PartSession | null = null;
let startedAt = process.cpuUsage();

const io = (openLines: OpenLines): PartIo => ({
  time: { now: () => performance.now(), pause },
  report: (inputs) => {
    for (const input of inputs) if (input.type === 'turn') pulses += input.pulses;
  },
  fail: (problem) => {
    throw problem;
  },
  openLines,
  openInput: (name, handlers) =>
    openSystemInput(name, {
      ...handlers,
      onEvents: (events) => {
        edges += events.length;
        handlers.onEvents(events);
      },
    }),
});

const counted =
  (openLines: OpenLines): OpenLines =>
  (request, handlers) =>
    openLines(request, {
      ...handlers,
      onEdges: (some) => {
        edges += some.length;
        handlers.onEdges(some);
      },
    });

/** The lines of both knobs are in hil/rig/panel.dts. */
async function open(via: Interface): Promise<PartSession> {
  if (via === 'rotary-encoder') {
    const config = { name: 'knob', device: 'rotary@11', pulsesPerDetent: 4, invert: true };
    return rotaryEncoder.open(config, io(lineOpener({ via: 'character-device' }, silentLog)));
  }
  const config = gpioEncoder.schema.parse({ name: 'knob', a: 5, b: 6, bias: 'pull-down' });
  return gpioEncoder.open(config, io(counted(lineOpener({ via }, silentLog))));
}

serve({
  start: async (via: Interface) => {
    session = await open(via);
    pulses = 0;
    edges = 0;
    startedAt = process.cpuUsage();
  },
  stop: async (): Promise<Reading> => {
    for (let before = -1; before !== edges; ) {
      before = edges;
      await pause(quietMs);
    }
    const { user, system } = process.cpuUsage(startedAt);
    const reading = { pulses, edges, cpuUs: user + system };
    await session?.close();
    session = null;
    return reading;
  },
});
