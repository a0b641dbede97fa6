/** Entry of the demo panel's page. */
import { render } from 'preact';
import { Faceplate } from './faceplate.tsx';
import { Journal } from './journal.tsx';
import { PanelLink } from './link.ts';
import { Overlay, Terminal } from './status.tsx';
import './styles/bench.css';
import './styles/plate.css';
import './styles/matrix.css';
import './styles/scribble.css';
import './styles/fader.css';
import './styles/encoder.css';
import './styles/keys.css';
import './styles/status.css';

const root = document.getElementById('app')!;

const journal = new Journal();
let isDrawing = false;

function draw(): void {
  isDrawing = false;
  const { view } = link;
  journal.read(view.face?.strips ?? []);
  render(
    <>
      {/* What does not work cannot be reached either, by pointer, key or screen reader. */}
      <div class="bench" inert={view.connection !== 'open'}>
        {view.spec && view.face ? (
          <Faceplate view={view} spec={view.spec} face={view.face} link={link} journal={journal} />
        ) : (
          <p class="connecting">Connecting to the panel</p>
        )}
        <Terminal view={view} />
      </div>
      <Overlay view={view} link={link} />
    </>,
    root,
  );
}

/** Several messages between two drawn frames are drawn once. */
function drawSoon(): void {
  if (!isDrawing) requestAnimationFrame(draw);
  isDrawing = true;
}

const link = new PanelLink(`${location.protocol.replace('http', 'ws')}//${location.host}/ws`, drawSoon);
link.connect();
draw();
// A page that was in the background does not wait for its back-off.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && link.view.connection === 'lost') link.connect();
});
