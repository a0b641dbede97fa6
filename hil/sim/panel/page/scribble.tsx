/** The small display over each control: name, kind, numbers and the most urgent line. */

import type { Strip } from '../../../../daemon/surface/types.ts';
import type { ControlShow } from '../messages.ts';
import { rgbOf } from './colour.ts';
import { lineOf, shortKindOf } from './words.ts';

/** The light of one control, or of none. */
export function Lamp({ show }: { show: ControlShow | undefined }) {
  const { rgb, strength } = rgbOf(show?.light ?? [0, 0, 0]);
  return <i class="lamp" aria-hidden="true" style={{ '--rgb': rgb, '--strength': strength }} />;
}

/** A strip's display; dark when the control is not bound in this bank. */
export function Scribble({ strip, show }: { strip: Strip | undefined; show: ControlShow | undefined }) {
  if (!strip) {
    return (
      <div class="scribble unbound">
        <p class="name">not bound</p>
      </div>
    );
  }
  const line = lineOf(strip);
  return (
    <div class="scribble" title={line.full} style={{ '--rgb': rgbOf(strip.hue).rgb }}>
      <p class="head">
        <Lamp show={show} />
        <span class="name">{strip.name}</span>
      </p>
      <p class="numbers">
        <b>{strip.desired === null ? '–' : strip.ready}</b>
        <span>/{strip.desired ?? '?'}</span>
        {strip.wanted !== null && strip.wanted !== strip.desired && (
          <span class="wanted"> → {strip.wanted}</span>
        )}
        <span class="kind">{strip.kind}</span>
        <abbr class="kind" title={strip.kind}>
          {shortKindOf(strip.kind)}
        </abbr>
      </p>
      <p class={`line tone ${line.tone}`}>{line.text}</p>
    </div>
  );
}
