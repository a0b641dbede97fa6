/** An encoder: a knob without ends, a ring of lights around it, a push. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ControlSpec, Strip } from '../../../../daemon/surface/types.ts';
import type { ControlShow } from '../messages.ts';
import { rgbOf } from './colour.ts';
import type { PanelLink } from './link.ts';
import { numberOf, sentenceOf } from './words.ts';

const ringLights = 21;
const sweepDegrees = 270;
const degreesPerDetent = 15;
/** A finger that rests this long without moving pushes; one that is lifted before taps. */
const pushDelayMs = 220;
const dragThresholdPixels = 4;
/** Way of a drag for one detent. */
const pixelsPerDetent = 11;
/** Wheel movement for one detent, in CSS pixels; one notch of most mice is 100 to 120. */
const wheelPerDetent = 100;

interface EncoderProps {
  readonly spec: ControlSpec;
  /** The button under the knob; null on an encoder without push. */
  readonly push: string | null;
  readonly strip: Strip | undefined;
  readonly show: ControlShow | undefined;
  readonly link: PanelLink;
}

function Ring({ value }: { value: number | null }) {
  return (
    <div class="ring" aria-hidden="true">
      {Array.from({ length: ringLights }, (_, light) => {
        const at = light / (ringLights - 1);
        // The leading light fades in, so that many replicas on few lights still show each step.
        const lit =
          value === null
            ? 0
            : Math.min(1, Math.max(light === 0 ? 1 : 0, (value - at) * (ringLights - 1) + 1));
        const angle = (at - 0.5) * sweepDegrees;
        return <i key={at} style={{ '--angle': `${angle}deg`, '--strength': Math.round(lit * 100) / 100 }} />;
      })}
    </div>
  );
}

/** An encoder that mouse, wheel, finger and keyboard turn and push. */
export function Encoder({ spec, push, strip, show, link }: EncoderProps) {
  const [detents, setDetents] = useState(0);
  const [isPushed, setPushed] = useState(false);
  const knob = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; rest: number; isTurning: boolean; timer: number } | null>(null);
  const pushed = useRef(false);
  const pulses = spec.pulsesPerDetent ?? 1;

  const turn = (count: number) => {
    if (count === 0) return;
    setDetents((before) => before + count);
    link.turn(spec.name, count * pulses);
  };
  const setPush = (next: boolean) => {
    if (push === null || pushed.current === next) return;
    pushed.current = next;
    setPushed(next);
    link.send({ type: next ? 'press' : 'release', control: push });
  };
  const end = (isTap: boolean) => {
    const was = drag.current;
    drag.current = null;
    clearTimeout(was?.timer);
    if (isTap && was && !was.isTurning) setPush(true);
    setPush(false);
  };
  const latest = useRef({ turn, end });
  latest.current = { turn, end };

  useEffect(() => {
    const element = knob.current!;
    let rest = 0;
    // Preact adds wheel listeners as passive ones; this one keeps the page from scrolling.
    const onWheel = (event: WheelEvent) => {
      const { scrollHeight, clientHeight } = document.documentElement;
      const isPageScrolling = scrollHeight > clientHeight + 1;
      // Somebody who scrolls past the knob must not scale a workload.
      if (event.ctrlKey || (isPageScrolling && document.activeElement !== element)) return;
      event.preventDefault();
      rest -= event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 34;
      const count = Math.trunc(rest / wheelPerDetent);
      rest -= count * wheelPerDetent;
      latest.current.turn(count);
    };
    const onBlur = () => latest.current.end(false);
    element.addEventListener('wheel', onWheel, { passive: false });
    window.addEventListener('blur', onBlur);
    return () => {
      element.removeEventListener('wheel', onWheel);
      window.removeEventListener('blur', onBlur);
      latest.current.end(false);
    };
  }, []);

  const number = strip ? numberOf(strip) : null;
  const turnTo = (target: number) => {
    if (number !== null) turn(target - number);
  };
  const keys: Readonly<Record<string, () => void>> = {
    ArrowUp: () => turn(1),
    ArrowRight: () => turn(1),
    ArrowDown: () => turn(-1),
    ArrowLeft: () => turn(-1),
    PageUp: () => turn(5),
    PageDown: () => turn(-5),
    Home: () => strip && turnTo(strip.min),
    End: () => strip && turnTo(strip.max),
  };
  return (
    <div class={`encoder ${strip ? '' : 'unbound'}`} style={{ '--rgb': rgbOf(strip?.hue ?? [0, 0, 0]).rgb }}>
      <Ring value={strip ? (show?.ring ?? null) : null} />
      <div
        ref={knob}
        class={`knob ${isPushed ? 'pushed' : ''}`}
        role="slider"
        tabIndex={0}
        title="Drag up or down, or turn the wheel; click to push"
        data-control={spec.name}
        aria-label={`${spec.name}, ${strip?.name ?? 'not bound'}`}
        aria-valuemin={strip?.min ?? 0}
        aria-valuemax={strip?.max ?? 0}
        aria-valuenow={number ?? strip?.min ?? 0}
        {...(strip && { 'aria-valuetext': sentenceOf(strip) })}
        onPointerDown={(event) => {
          if (event.button !== 0 || drag.current) return;
          event.preventDefault();
          event.currentTarget.focus({ preventScroll: true });
          event.currentTarget.setPointerCapture(event.pointerId);
          const timer = setTimeout(() => setPush(true), pushDelayMs);
          drag.current = { x: event.clientX, y: event.clientY, rest: 0, isTurning: false, timer };
        }}
        onPointerMove={(event) => {
          const now = drag.current;
          if (!now) return;
          const moved = event.clientX - now.x - (event.clientY - now.y);
          if (!now.isTurning && (pushed.current || Math.abs(moved) < dragThresholdPixels)) return;
          clearTimeout(now.timer);
          const total = now.rest + moved;
          const count = Math.trunc(total / pixelsPerDetent);
          drag.current = {
            ...now,
            x: event.clientX,
            y: event.clientY,
            rest: total - count * pixelsPerDetent,
            isTurning: true,
          };
          turn(count);
        }}
        onPointerUp={() => end(true)}
        onPointerCancel={() => end(false)}
        onLostPointerCapture={() => end(false)}
        onContextMenu={(event) => event.preventDefault()}
        onKeyDown={(event) => {
          if (event.altKey || event.ctrlKey || event.metaKey) return;
          const isPush = event.key === 'Enter' || event.key === ' ';
          const key = keys[event.key];
          if (!key && !isPush) return;
          event.preventDefault();
          if (key) key();
          else if (!event.repeat) setPush(true);
        }}
        onKeyUp={(event) => {
          if (event.key === 'Enter' || event.key === ' ') setPush(false);
        }}
        onBlur={() => end(false)}
      >
        <i class="pointer" style={{ '--angle': `${detents * degreesPerDetent}deg` }} />
      </div>
    </div>
  );
}
