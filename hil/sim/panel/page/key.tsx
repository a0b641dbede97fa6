/** The lit keys of the whole surface, and the one that is held to confirm. */
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import type { Strip } from '../../../../daemon/surface/types.ts';
import type { ControlShow } from '../messages.ts';
import { rgbOf } from './colour.ts';
import type { PanelLink } from './link.ts';
import { useHold } from './use-hold.ts';
import { wordsOfGuards } from './words.ts';

interface KeyProps {
  readonly control: string;
  readonly label: string;
  readonly show: ControlShow | undefined;
  readonly link: PanelLink;
  /** For keys that stay on, such as the lock. */
  readonly isOn?: boolean;
  readonly children: ComponentChildren;
}

function useKey(control: string, link: PanelLink) {
  return useHold(
    () => link.send({ type: 'press', control }),
    () => link.send({ type: 'release', control }),
  );
}

/** One key with a light behind it. */
export function Key({ control, label, show, link, isOn, children }: KeyProps) {
  const { isHeld, props } = useKey(control, link);
  const { rgb, strength } = rgbOf(show?.light ?? [0, 0, 0]);
  return (
    <button
      type="button"
      class={`key ${isHeld ? 'held' : ''} ${isOn ? 'on' : ''}`}
      aria-label={label}
      {...(isOn === undefined ? {} : { 'aria-pressed': isOn })}
      data-control={control}
      style={{ '--rgb': rgb, '--strength': strength }}
      {...props}
    >
      {children}
    </button>
  );
}

/** Pictures on keys, drawn on a 24 by 24 grid. */
export const glyphs = {
  undo: 'M8 5 4 9l4 4M4 9h10a5 5 0 0 1 0 10H9',
  previous: 'M14 6l-6 6 6 6',
  next: 'M10 6l6 6-6 6',
  lock: 'M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z',
  unlock: 'M7 11V8a5 5 0 0 1 9.6-2M5.5 11h13v9h-13z',
  copy: 'M9 9h10v11H9zM6 15H5V4h10v1',
} as const;

/** One picture of {@link glyphs}. */
export function Glyph({ name }: { name: keyof typeof glyphs }) {
  return (
    <svg class="glyph" viewBox="0 0 24 24" aria-hidden="true">
      <path d={glyphs[name]} />
    </svg>
  );
}

/** How much of a circle is drawn: `pathLength` makes its way round 1. */
function Arc({ radius, part, kind }: { radius: number; part: number; kind: string }) {
  return <circle class={kind} cx="50" cy="50" r={radius} pathLength={1} stroke-dasharray={`${part} 2`} />;
}

/** The arm key: a countdown runs around it while a command waits, a second ring fills while it is held. */
export function ArmKey({
  control,
  show,
  strips,
  link,
}: Pick<KeyProps, 'control' | 'show' | 'link'> & { strips: readonly Strip[] }) {
  const { isHeld, props } = useKey(control, link);
  const { rgb, strength } = rgbOf(show?.light ?? [0, 0, 0]);
  const strip = strips.find(({ arming }) => arming !== null);
  const arming = strip?.arming ?? null;
  // The frame says what remains, not of how much: the most that was seen of this request is the whole.
  const longest = useRef({ key: '', ms: 0 });
  const key = arming ? `${strip?.slot} ${arming.want}` : '';
  const remainingMs = arming?.remainingMs ?? 0;
  if (longest.current.key !== key) longest.current = { key, ms: remainingMs };
  longest.current.ms = Math.max(longest.current.ms, remainingMs);
  const remaining = longest.current.ms > 0 ? remainingMs / longest.current.ms : 0;
  return (
    <div class={`arm ${arming ? 'waiting' : ''}`}>
      <button
        type="button"
        class={`arm-key ${isHeld ? 'held' : ''}`}
        aria-label="Arm: hold to confirm what is risky"
        aria-describedby="arm-words"
        data-control={control}
        style={{ '--rgb': rgb, '--strength': strength }}
        {...props}
      >
        <svg viewBox="0 0 100 100" aria-hidden="true">
          <circle class="groove" cx="50" cy="50" r="46" />
          <Arc kind="countdown" radius={46} part={remaining} />
          <Arc kind="hold" radius={38.5} part={arming?.held ?? 0} />
        </svg>
        <span>ARM</span>
      </button>
      <p id="arm-words" class="arm-words" role="status">
        {arming && strip ? (
          <>
            <b>
              {strip.name} → {arming.want}
            </b>
            <span>{wordsOfGuards(arming.guards)}</span>
            <span>hold to confirm · {Math.ceil(remainingMs / 1000)} s</span>
          </>
        ) : (
          <span class="idle">hold to confirm what is risky</span>
        )}
      </p>
    </div>
  );
}
