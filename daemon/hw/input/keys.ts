import type { InputDevice, InputHandlers, OpenInput } from './device.ts';
import { eventType } from './events.ts';

/** Keys of an input device to follow. */
export interface KeysOptions {
  readonly openInput: OpenInput;
  /** Name or path of the device. */
  readonly device: string;
  readonly codes: readonly number[];
  /** Milliseconds of `performance.now()`. */
  readonly now: () => number;
  /** Tells each key's first state, then each change. */
  readonly onKey: (code: number, isDown: boolean, at: number) => void;
  readonly onLost: (problem: Error) => void;
}

/** Follows keys of a kernel input device; after a loss they are asked for and only differences are told. */
export async function followKeys(options: KeysOptions): Promise<InputDevice> {
  const { codes, now, onKey, onLost } = options;
  const states = new Map<number, boolean>();
  const tell = (code: number, isDown: boolean, at: number) => {
    if (states.get(code) === isDown) return;
    states.set(code, isDown);
    onKey(code, isDown, at);
  };
  let device: InputDevice | null = null;
  const ask = (opened: InputDevice) => {
    const down = opened.keysDown();
    for (const code of codes) tell(code, down.has(code), now());
  };
  const handlers: InputHandlers = {
    onEvents: (events) => {
      for (const { type, code, value, at } of events) {
        // Value 2 is the repetition of a key that is held.
        if (type === eventType.key && codes.includes(code)) tell(code, value !== 0, at);
      }
    },
    onDropped: () => {
      try {
        if (device !== null) ask(device);
      } catch (problem) {
        onLost(problem instanceof Error ? problem : new Error(String(problem)));
      }
    },
    onLost,
  };
  device = await options.openInput(options.device, handlers);
  try {
    ask(device);
  } catch (problem) {
    await device.close();
    throw problem;
  }
  return device;
}
