/** What is around the panel: name plate, tapes, the line for kubectl, the overlay when the server is away. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { DemoFacts, Face } from '../messages.ts';
import { shellWord } from '../shell-word.ts';
import { Glyph } from './key.tsx';
import type { PanelLink, PanelView } from './link.ts';

const linkWords = {
  online: 'online',
  stale: 'no news from the cluster',
  offline: 'offline',
} as const;

/** Name plate with the link's lamp and the tapes that say what this is not. */
export function NamePlate({ view, face }: { view: PanelView; face: Face }) {
  const { facts, spec } = view;
  const { state, detail, isAttested } = face.link;
  return (
    <header class="name-plate">
      <h1>
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M7 3v26M16 3v26M25 3v26" />
          <rect x="2.5" y="17" width="9" height="6" rx="1.5" />
          <rect x="11.5" y="6" width="9" height="6" rx="1.5" />
          <rect x="20.5" y="12" width="9" height="6" rx="1.5" />
        </svg>
        surfaced
        <small class="silk">{spec?.model}</small>
      </h1>
      <ul class="tapes">
        {facts &&
          (facts.cluster.isSimulated ? (
            <li class="tape">SIMULATED CLUSTER</li>
          ) : (
            <li class="tape caution">REAL CLUSTER: {facts.cluster.name}</li>
          ))}
        {facts && <TrustTapes trust={facts.trust} isAttested={isAttested} />}
      </ul>
      <p class={`link ${state}`} role="status" title={detail}>
        <i class="lamp" aria-hidden="true" />
        <span>
          {linkWords[state]}
          {state !== 'online' && detail !== '' && <small>{detail}</small>}
        </span>
      </p>
    </header>
  );
}

/** Whether the surface is attested and to which level, and the code by which a person knows its TPM. */
function TrustTapes({ trust, isAttested }: { trust: DemoFacts['trust']; isAttested: boolean }) {
  const { level, sentence, pairingCode, ekSha256 } = trust;
  const key = ekSha256 === null ? '' : ` Endorsement key ${ekSha256}.`;
  return (
    <>
      {isAttested && level !== null ? (
        <li class="tape" title={sentence}>
          SOFTWARE TPM, LEVEL {level}
        </li>
      ) : (
        <li class="tape red" title={sentence}>
          NOT ATTESTED
        </li>
      )}
      {pairingCode !== null && (
        <li
          class="tape"
          title={`The code by which an operator lets this TPM in; the panel shows it until then.${key}`}
        >
          CODE {pairingCode}
        </li>
      )}
    </>
  );
}

/** Copies text and says so; where the browser does not allow it, the text is there to be selected. */
function CopyButton({ text, label }: { text: string; label: string }) {
  const [said, setSaid] = useState('');
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const say = (words: string) => {
    setSaid(words);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid(''), 2_000);
  };
  return (
    <button
      type="button"
      class="copy"
      onClick={() => {
        navigator.clipboard.writeText(text).then(
          () => say('copied'),
          () => say('select it to copy'),
        );
      }}
    >
      <Glyph name="copy" />
      <span role="status">{said === '' ? label : said}</span>
    </button>
  );
}

/** The line to type in a terminal, and which parts of the demo are up. */
export function Terminal({ view }: { view: PanelView }) {
  const { facts, health } = view;
  if (!facts) return null;
  const file = facts.kubeconfigPath;
  const scope = facts.namespace === null ? '-A' : `-n ${facts.namespace}`;
  const command = file && `kubectl --kubeconfig ${shellWord(file)} ${scope} get pods -w`;
  return (
    <footer class="terminal">
      {file && command ? (
        <div class="prompt">
          <p>
            <span class="sr">Watch it from a terminal: </span>
            <code>{command}</code>
          </p>
          <CopyButton text={command} label="copy command" />
          <CopyButton text={file} label="copy path" />
        </div>
      ) : (
        <p class="prompt">No kubeconfig yet.</p>
      )}
      <ul class="parts">
        {Object.entries(health?.parts ?? {}).map(([name, part]) => (
          <li key={name} class={part.ok ? 'up' : 'down'} title={part.detail}>
            <i class="lamp" aria-hidden="true" />
            {name}
            <span class={part.ok ? 'sr' : 'detail'}>{part.ok ? ' is up' : ` ${part.detail}`}</span>
          </li>
        ))}
        {Object.entries(facts.versions).map(([name, version]) => (
          <li key={name} class="version">
            {name} {version}
          </li>
        ))}
      </ul>
    </footer>
  );
}

/** Over the panel while its server is away. */
export function Overlay({ view, link }: { view: PanelView; link: PanelLink }) {
  const [now, setNow] = useState(() => performance.now());
  const isLost = view.connection === 'lost';
  useEffect(() => {
    if (!isLost) return;
    const timer = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(timer);
  }, [isLost]);
  if (view.connection === 'open' || (view.connection === 'connecting' && !view.face)) return null;
  const seconds = Math.max(0, Math.ceil((view.retryAt - now) / 1000));
  return (
    <div class="overlay" role="alert">
      <div>
        <h2>Connection lost</h2>
        <p>The panel's server does not answer. What you see is old, and the controls do nothing.</p>
        <p class="retry">{seconds > 0 ? `Trying again in ${seconds} s` : 'Trying again'}</p>
        <button type="button" onClick={() => link.connect()}>
          Try now
        </button>
      </div>
    </div>
  );
}
