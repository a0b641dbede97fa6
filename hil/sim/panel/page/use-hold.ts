/** Press and release of anything that can be held, by pointer, key or assistive technology. */
import type { ButtonHTMLAttributes } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

type Props = ButtonHTMLAttributes<HTMLButtonElement>;

/** Whoever clicks without pointer or key cannot hold: the key is held this long for them. */
const clickHoldMs = 1_500;

/**
 * Handlers for a button that reports being held. It is let go when the pointer is lost, the focus moves on or
 * the window is left, so that no key stays down behind the user's back.
 */
export function useHold(onPress: () => void, onRelease: () => void): { isHeld: boolean; props: Props } {
  const [isHeld, setHeld] = useState(false);
  const held = useRef(false);
  const change = (next: boolean) => {
    if (held.current === next) return;
    held.current = next;
    setHeld(next);
    if (next) onPress();
    else onRelease();
  };
  const letGo = useRef(() => {});
  letGo.current = () => change(false);
  useEffect(() => {
    const onBlur = () => letGo.current();
    window.addEventListener('blur', onBlur);
    return () => {
      window.removeEventListener('blur', onBlur);
      letGo.current();
    };
  }, []);
  const isKey = (key: string) => key === ' ' || key === 'Enter';
  return {
    isHeld,
    props: {
      onPointerDown(event) {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        change(true);
      },
      onPointerUp: () => change(false),
      onPointerCancel: () => change(false),
      onLostPointerCapture: () => change(false),
      onContextMenu: (event) => event.preventDefault(),
      onKeyDown(event) {
        if (!isKey(event.key)) return;
        event.preventDefault();
        if (!event.repeat) change(true);
      },
      onKeyUp(event) {
        if (!isKey(event.key)) return;
        event.preventDefault();
        change(false);
      },
      onBlur: () => change(false),
      onClick(event) {
        // `detail` counts clicks of a pointer; a click that software makes has none.
        if (event.detail !== 0 || held.current) return;
        change(true);
        setTimeout(() => letGo.current(), clickHoldMs);
      },
    },
  };
}
