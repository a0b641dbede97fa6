/** What parts on lines and input devices are opened with, for tests: the lines and devices are the test's own. */
import type { PartIo, RawInput } from '../../../daemon/hw/chips/driver.ts';
import type { LineHandlers, LineRequest } from '../../../daemon/hw/gpio/lines.ts';
import type { InputHandlers } from '../../../daemon/hw/input/device.ts';

/** An input device that the test plays. */
export class FakeInput {
  handlers: InputHandlers | null = null;
  down = new Set<number>();
  isGone = false;
  isClosed = false;

  /** One report with these events. */
  send(...events: readonly (readonly [type: number, code: number, value: number])[]): void {
    this.handlers?.onEvents(events.map(([type, code, value]) => ({ type, code, value, at: 5 })));
  }
}

/** A machine with the lines of one request, and input devices by name. Time stands at 1. */
export class FakeHost {
  readonly inputs: RawInput[] = [];
  readonly problems: Error[] = [];
  readonly devices = new Map<string, FakeInput>();
  levels: boolean[] = [];
  areLevelsGone = false;
  request: LineRequest | null = null;
  lines: LineHandlers | null = null;
  isClosed = false;

  readonly io: PartIo = {
    time: { now: () => 1, pause: async () => {} },
    report: (inputs) => this.inputs.push(...inputs),
    fail: (problem) => this.problems.push(problem),
    openLines: async (request, handlers) => {
      this.request = request;
      this.lines = handlers;
      return {
        levels: () => {
          if (this.areLevelsGone) throw new Error('no levels');
          return this.levels;
        },
        close: async () => {
          this.isClosed = true;
        },
      };
    },
    openInput: async (name, handlers) => {
      const device = this.devices.get(name);
      if (device === undefined) throw new Error(`no device ${name}`);
      device.handlers = handlers;
      return {
        keysDown: () => {
          if (device.isGone) throw new Error('no keys');
          return device.down;
        },
        close: async () => {
          device.isClosed = true;
        },
      };
    },
  };

  /** Edges of one queue, as `17+` or `27-`. */
  edges(...words: readonly string[]): void {
    this.lines?.onEdges(
      words.map((word, index) => ({
        line: Number.parseInt(word, 10),
        isHigh: word.endsWith('+'),
        at: 10 + index,
      })),
    );
  }

  /** What was reported since the last call, in words: `knob +2`, `knob down`. */
  words(): string[] {
    return this.inputs.splice(0).map((input) => {
      if (input.type === 'turn') return `${input.control} ${input.pulses > 0 ? '+' : ''}${input.pulses}`;
      return input.type === 'switch' ? `${input.control} ${input.isDown ? 'down' : 'up'}` : input.type;
    });
  }
}
