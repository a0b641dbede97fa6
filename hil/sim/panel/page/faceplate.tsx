/** The panel's face: matrix, channels of encoder and fader, keys. */
import type { PanelSpec } from '../../../../daemon/surface/types.ts';
import type { Face } from '../messages.ts';
import { Encoder } from './encoder.tsx';
import { Fader } from './fader.tsx';
import { type Journal, JournalDisplay } from './journal.tsx';
import { ArmKey, Glyph, Key } from './key.tsx';
import type { PanelLink, PanelView } from './link.ts';
import { Legend, Matrix } from './matrix.tsx';
import { Scribble } from './scribble.tsx';
import { NamePlate } from './status.tsx';

interface FaceProps {
  readonly spec: PanelSpec;
  readonly face: Face;
  readonly link: PanelLink;
}

function Channel({ spec, face, link, index }: FaceProps & { index: number }) {
  const find = (kind: 'fader' | 'encoder') => spec.controls.filter((control) => control.kind === kind)[index];
  const strip = (name: string) => face.strips.find(({ control }) => control === name);
  const encoder = find('encoder');
  const fader = find('fader');
  const push = encoder && `${encoder.name}-push`;
  return (
    <section class="channel" aria-label={`Channel ${index + 1}`}>
      {encoder && (
        <>
          <Scribble strip={strip(encoder.name)} show={face.controls[encoder.name]} />
          <Encoder
            spec={encoder}
            push={spec.controls.some(({ name }) => name === push) ? (push ?? null) : null}
            strip={strip(encoder.name)}
            show={face.controls[encoder.name]}
            link={link}
          />
          <p class="silk rule">
            <span>{index + 1}</span>
          </p>
        </>
      )}
      {fader && (
        <>
          <Scribble strip={strip(fader.name)} show={face.controls[fader.name]} />
          <Fader
            spec={fader}
            strip={strip(fader.name)}
            show={face.controls[fader.name]}
            position={face.positions[fader.name] ?? 0}
            link={link}
          />
        </>
      )}
    </section>
  );
}

function Keys({ spec, face, link }: FaceProps) {
  const { arm, undo, bankPrevious, bankNext, lock } = spec.roles;
  const { index, count } = face.bank;
  const show = (name: string) => face.controls[name];
  return (
    <section class="keys" aria-label="Keys">
      {undo && (
        <div class="key-cell undo">
          <Key control={undo} label="Undo the last command" show={show(undo)} link={link}>
            <Glyph name="undo" />
          </Key>
          <p class="silk">undo</p>
        </div>
      )}
      {bankPrevious && bankNext && (
        <div class="key-cell bank">
          <Key control={bankPrevious} label="Previous bank" show={show(bankPrevious)} link={link}>
            <Glyph name="previous" />
          </Key>
          <Key control={bankNext} label="Next bank" show={show(bankNext)} link={link}>
            <Glyph name="next" />
          </Key>
          <p class="silk">
            bank {index + 1}/{Math.max(1, count)}
          </p>
        </div>
      )}
      {lock && (
        <div class="key-cell lock">
          <Key
            control={lock}
            label="Lock: hold to lock or unlock"
            show={show(lock)}
            link={link}
            isOn={face.isLocked}
          >
            <Glyph name={face.isLocked ? 'lock' : 'unlock'} />
          </Key>
          <p class="silk">{face.isLocked ? 'locked' : 'hold: lock'}</p>
        </div>
      )}
      {arm && <ArmKey control={arm} show={show(arm)} strips={face.strips} link={link} />}
    </section>
  );
}

/** The whole face of the panel. */
export function Faceplate({
  view,
  spec,
  face,
  link,
  journal,
}: FaceProps & { view: PanelView; journal: Journal }) {
  const channels = Math.max(
    ...(['fader', 'encoder'] as const).map((kind) => spec.controls.filter((c) => c.kind === kind).length),
  );
  return (
    <main class={`plate ${face.link.state} ${face.isLocked ? 'locked' : ''}`}>
      <i class="screw" />
      <i class="screw" />
      <i class="screw" />
      <i class="screw" />
      <NamePlate view={view} face={face} />
      <div class="display">
        {spec.matrix && <Matrix face={face} width={spec.matrix.width} height={spec.matrix.height} />}
        <Legend />
        <JournalDisplay journal={journal} />
      </div>
      <div class="channels">
        {Array.from({ length: channels }, (_, index) => (
          <Channel key={index} index={index} spec={spec} face={face} link={link} />
        ))}
      </div>
      <Keys spec={spec} face={face} link={link} />
    </main>
  );
}
