/** The contract of the kernel's input devices (evdev), see Linux Documentation/input/input.rst and event-codes.rst. */

/** One event; type and code as in Linux include/uapi/linux/input-event-codes.h. */
export interface InputEvent {
  readonly type: number;
  readonly code: number;
  readonly value: number;
  /** When the kernel saw it, in milliseconds of `performance.now()`. */
  readonly at: number;
}

/** What an input device reports. */
export interface InputHandlers {
  /** The events of one report, without its SYN_REPORT. */
  readonly onEvents: (events: readonly InputEvent[]) => void;
  /** The kernel's queue overflowed (SYN_DROPPED): counts are lost, keys must be asked for again. */
  readonly onDropped: () => void;
  /** The device went away. Called at most once, and not after `close`. */
  readonly onLost: (problem: Error) => void;
}

/** An input device that is open. */
export interface InputDevice {
  /** Codes of the keys that are down now (EVIOCGKEY). */
  keysDown(): ReadonlySet<number>;
  close(): Promise<void>;
}

/**
 * Opens an input device by its name, as `/sys/class/input/event<n>/device/name` says it, or by its path; rejects with
 * E_HW_INPUT or E_HW_PACKAGE.
 */
export type OpenInput = (nameOrPath: string, handlers: InputHandlers) => Promise<InputDevice>;
