/** A part: many surfaces of one site, their knobs, and when each of them had what it waited for. */
import type { KeyPair } from '../certificates.ts';
import { serve, sharedNow } from '../processes.ts';
import { KnobLedger, type KnobReport } from './knob-ledger.ts';
import { LeanSurface } from './lean-surface.ts';

export interface SurfacesOptions {
  readonly port: number;
  readonly ca: string;
  readonly surfaces: readonly (KeyPair & { readonly name: string; readonly controls: readonly string[] })[];
}

export interface Turning {
  /** Each sends one command in this time, milliseconds. */
  readonly everyMs: number;
  readonly forMs: number;
  /** The two numbers of replicas between which every knob is turned. */
  readonly between: readonly [number, number];
}

/** When each surface had it, on the shared clock, milliseconds; those that did not have it in time are left out. */
export interface Times {
  readonly at: readonly number[];
  /** Attempts to connect that came to nothing, of all surfaces since they began. */
  readonly failures: number;
  readonly slotMessages: number;
}

/** The slot that every surface has; the others are its knobs. */
const sharedSlot = 0;
/** Commands that were sent last get so long for their end, milliseconds. */
const graceMs = 15_000;

const surfaces: LeanSurface[] = [];
const knobs: { readonly surface: LeanSurface; readonly slot: number }[] = [];
/** Number of replicas that each knob shows, by name of the surface and slot. */
const shown = new Map<string, number>();
const rightAt = new Map<LeanSurface, number>();
const ledger = new KnobLedger();
let wantedReady = Number.NaN;
let slotMessages = 0;
let look = (): void => {};

const countOf = (text: string, part: string): number => text.split(part).length - 1;

/** A slot message says `"ready":<n>`, and `"ready"]` for each Pod that is. */
const isRight = (text: string): boolean =>
  text.includes(`"ready":${wantedReady},`) && countOf(text, '"ready"]') === wantedReady;

function heardSlot(surface: LeanSurface, slot: number, text: string): void {
  slotMessages++;
  if (slot !== sharedSlot) {
    const desired = /"desired":(\d+)/.exec(text)?.[1];
    if (desired !== undefined) shown.set(`${surface.name}/${slot}`, Number(desired));
  } else if (!isRight(text)) rightAt.delete(surface);
  else if (!rightAt.has(surface)) {
    rightAt.set(surface, sharedNow());
    look();
  }
}

const times = (at: readonly number[]): Times => ({
  at,
  failures: surfaces.reduce((sum, { failures }) => sum + failures, 0),
  slotMessages,
});

/** Resolves when all surfaces have it, or when the time is over. */
function allOf(count: () => number, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(done, timeoutMs);
    look = (): void => {
      if (count() >= surfaces.length) done();
    };
    function done(): void {
      clearTimeout(late);
      look = () => {};
      resolve();
    }
    look();
  });
}

const servedTimes = (): number[] =>
  surfaces.map(({ servedAt }) => servedAt).filter((at) => !Number.isNaN(at));
let served = 0;

/** Turns every knob again and again, one after the other, and waits for the last ends. */
async function turn({ everyMs, forMs, between }: Turning): Promise<KnobReport> {
  ledger.clear();
  const startedAt = sharedNow();
  const [low, high] = between;
  let turned = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const passedMs = sharedNow() - startedAt;
      const due = Math.floor((Math.min(passedMs, forMs) / everyMs) * knobs.length);
      for (; turned < due; turned++) {
        const { surface, slot } = knobs[turned % knobs.length]!;
        const saw = shown.get(`${surface.name}/${slot}`);
        const knob = `${surface.name}/${slot}`;
        if (saw === undefined || ledger.isUnderWay(knob)) {
          ledger.held();
          continue;
        }
        const sentAt = sharedNow();
        const id = surface.command(slot, saw === low ? high : low, saw);
        if (id === null) ledger.held();
        else ledger.sent(knob, id, sentAt);
      }
      if (passedMs < forMs) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  const seconds = (sharedNow() - startedAt) / 1000;
  const giveUpAt = sharedNow() + graceMs;
  while (ledger.underWay > 0 && sharedNow() < giveUpAt) await new Promise((done) => setTimeout(done, 20));
  return ledger.report(seconds);
}

serve({
  make: ({ port, ca, surfaces: all }: SurfacesOptions) => {
    const heard = {
      served: () => {
        served++;
        look();
      },
      ack: (_: LeanSurface, ack: Parameters<KnobLedger['answered']>[0]) => ledger.answered(ack, sharedNow()),
      slot: heardSlot,
    };
    for (const one of all) {
      const surface = new LeanSurface({ ...one, port, ca, heard });
      surfaces.push(surface);
      for (const slot of one.controls.keys()) if (slot !== sharedSlot) knobs.push({ surface, slot });
    }
    return knobs.length;
  },
  /** All at once. */
  connect: () => {
    for (const surface of surfaces) surface.connect();
  },
  expectService: () => {
    served = 0;
    for (const surface of surfaces) surface.expectService();
  },
  served: async ({ timeoutMs }: { timeoutMs: number }): Promise<Times> => {
    await allOf(() => served, timeoutMs);
    return times(servedTimes());
  },
  turn,
  /** What the shared slot is to show from now on. */
  expectReady: ({ ready }: { ready: number }) => {
    wantedReady = ready;
    rightAt.clear();
    slotMessages = 0;
  },
  right: async ({ timeoutMs }: { timeoutMs: number }): Promise<Times> => {
    await allOf(() => rightAt.size, timeoutMs);
    return times([...rightAt.values()]);
  },
  stop: () => {
    for (const surface of surfaces) surface.stop();
  },
});
