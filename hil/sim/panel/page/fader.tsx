/** A fader: cap, scale, ladder of lights, ghost of the current value, motor. */
import type { HTMLAttributes } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ControlSpec, Strip } from '../../../../daemon/surface/types.ts';
import type { ControlShow } from '../messages.ts';
import { rgbOf } from './colour.ts';
import type { PanelLink } from './link.ts';
import { numberAt, numberOf, placeOf, sentenceOf, ticksOf } from './words.ts';

/** The cap stays where the user put it for so long before a motor or another page may move it. */
const graceMs = 180;

/** Most lights in the ladder; a fader with more numbers has several to a light. */
const ladderLength = 21;

interface FaderProps {
  readonly spec: ControlSpec;
  readonly strip: Strip | undefined;
  readonly show: ControlShow | undefined;
  readonly position: number;
  readonly link: PanelLink;
}

/** The cap's place while the user has it, and for a moment after; null: where the panel says. */
function useGrip(): { grip: number | null; hold: (value: number) => void; letGo: () => void } {
  const [grip, setGrip] = useState<number | null>(null);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  return {
    grip,
    hold(value) {
      clearTimeout(timer.current);
      setGrip(value);
    },
    letGo() {
      clearTimeout(timer.current);
      timer.current = setTimeout(() => setGrip(null), graceMs);
    },
  };
}

function Ladder({ strip }: { strip: Strip }) {
  const steps = strip.max - strip.min;
  const length = Math.min(ladderLength, steps + 1);
  const lights = Array.from({ length }, (_, light) => strip.min + (light * steps) / Math.max(1, length - 1));
  const wanted = numberOf(strip) ?? 0;
  return (
    <div class="ladder" aria-hidden="true" style={{ '--count': length }}>
      {lights.map((value) => {
        // A light for zero replicas would be lit always.
        const isReady = strip.ready >= Math.max(value, 1);
        const state = isReady ? 'lit' : wanted >= Math.max(value, 1) ? 'hollow' : '';
        return <i key={value} class={state} style={{ '--at': placeOf(value, strip) }} />;
      })}
    </div>
  );
}

function Scale({ strip }: { strip: Strip | undefined }) {
  const marks = Array.from({ length: 11 }, (_, mark) => ({ at: mark / 10, text: '' }));
  const ticks = strip
    ? ticksOf(strip).map((tick) => ({ at: placeOf(tick, strip), text: String(tick) }))
    : marks;
  return (
    <div class="scale" aria-hidden="true">
      {ticks.map(({ at, text }) => (
        <span key={at} style={{ '--at': at }}>
          {text}
        </span>
      ))}
    </div>
  );
}

/** An unbound fader still moves. */
const unboundLimits = { min: 0, max: 20 };

/** Place that a key moves to, null for keys that do nothing; after WAI-ARIA's slider pattern. */
function keyTarget(key: string, place: number, limits: { min: number; max: number }): number | null {
  const span = limits.max - limits.min;
  const at = numberAt(place, limits);
  // The surface takes a smaller part of a long scale for noise.
  const step = Math.max(1, Math.ceil(span / 50));
  const page = Math.max(2 * step, Math.round(span / 5));
  const targets: Readonly<Record<string, number>> = {
    ArrowUp: at + step,
    ArrowRight: at + step,
    ArrowDown: at - step,
    ArrowLeft: at - step,
    PageUp: at + page,
    PageDown: at - page,
    Home: limits.min,
    End: limits.max,
  };
  const target = targets[key];
  return target === undefined ? null : placeOf(target, limits);
}

/** A fader that mouse, finger and keyboard move. */
export function Fader({ spec, strip, show, position, link }: FaderProps) {
  const { grip, hold, letGo } = useGrip();
  const track = useRef<HTMLDivElement>(null);
  const cap = useRef<HTMLDivElement>(null);
  const dragOffset = useRef<number | null>(null);
  const isTouched = useRef(false);
  const value = grip ?? position;
  const limits = strip ?? unboundLimits;

  const touch = (next: boolean) => {
    if (!spec.hasTouch || isTouched.current === next) return;
    isTouched.current = next;
    link.send({ type: 'touch', control: spec.name, isTouched: next });
  };
  const moveTo = (next: number) => {
    hold(next);
    link.move(spec.name, next);
  };
  const valueAt = (clientY: number): number => {
    const box = track.current!.getBoundingClientRect();
    const capHeight = cap.current!.offsetHeight;
    return (box.bottom - clientY - capHeight / 2) / (box.height - capHeight);
  };
  const within = (at: number) => Math.min(1, Math.max(0, at));
  const end = () => {
    dragOffset.current = null;
    touch(false);
    letGo();
  };
  const endRef = useRef(end);
  endRef.current = end;
  useEffect(() => {
    const onBlur = () => endRef.current();
    window.addEventListener('blur', onBlur);
    return () => window.removeEventListener('blur', onBlur);
  }, []);

  const handlers: HTMLAttributes<HTMLDivElement> = {
    onPointerDown(event) {
      if (event.button !== 0 || dragOffset.current !== null) return;
      event.preventDefault();
      event.currentTarget.focus({ preventScroll: true });
      event.currentTarget.setPointerCapture(event.pointerId);
      const at = valueAt(event.clientY);
      const isOnCap = cap.current!.contains(event.target as Node);
      dragOffset.current = isOnCap ? value - at : 0;
      touch(true);
      if (!isOnCap) moveTo(within(at));
      else hold(value);
    },
    onPointerMove(event) {
      if (dragOffset.current === null || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
      moveTo(within(valueAt(event.clientY) + dragOffset.current));
    },
    onPointerUp: end,
    onPointerCancel: end,
    onLostPointerCapture: end,
    onContextMenu: (event) => event.preventDefault(),
    onKeyDown(event) {
      const target = keyTarget(event.key, value, limits);
      if (target === null || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      touch(true);
      moveTo(target);
    },
    onKeyUp(event) {
      if (keyTarget(event.key, value, limits) !== null) end();
    },
    onBlur: end,
  };

  const desired = strip ? numberOf(strip) : null;
  const hint = strip?.hint ?? show?.hint ?? null;
  // Before its first movement the surface does not know where a fader stands, but the page does.
  const isAway =
    strip && !spec.hasMotor && desired !== null && Math.abs(numberAt(value, strip) - desired) > 1;
  const number = strip && numberAt(value, strip);
  return (
    <div
      class={`fader ${strip ? '' : 'unbound'} ${grip === null ? '' : 'gripped'}`}
      style={{ '--rgb': rgbOf(strip?.hue ?? [0, 0, 0]).rgb, '--value': value }}
    >
      <Scale strip={strip} />
      <div
        ref={track}
        class="track"
        role="slider"
        tabIndex={0}
        aria-orientation="vertical"
        data-control={spec.name}
        aria-label={`${spec.name}, ${strip?.name ?? 'not bound'}`}
        aria-valuemin={strip?.min ?? 0}
        aria-valuemax={strip?.max ?? 100}
        aria-valuenow={number ?? Math.round(value * 100)}
        {...(strip && { 'aria-valuetext': `${number} on the scale. ${sentenceOf(strip)}` })}
        {...handlers}
      >
        <div class="groove" />
        {strip && (hint || isAway) && desired !== null && (
          <div class={`ghost ${hint ?? ''}`} style={{ '--at': placeOf(desired, strip) }}>
            <span>{desired}</span>
          </div>
        )}
        <div ref={cap} class={`cap ${hint ?? ''}`} />
      </div>
      {strip ? <Ladder strip={strip} /> : <div class="ladder" />}
      <p class="silk foot">{spec.hasMotor ? 'motor' : 'pick-up'}</p>
    </div>
  );
}
