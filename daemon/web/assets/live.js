/** What the pages do with scripts: panels are brought up to date, and only while somebody looks. Without it they still work. */

const words = document.getElementById('live');
const says = document.getElementById('says');
const root = document.querySelector('[data-live]');
const againMs = 5000;

/** Says something to screen readers, without moving anybody. */
const say = (text) => {
  if (says) says.textContent = text;
};
const tell = (state, text) => {
  if (!words || words.dataset.state === state) return;
  words.dataset.state = state;
  words.textContent = text;
};

/** What is said of each part: its state alone, so that numbers that move say nothing. */
const statesOf = (panel) =>
  [panel, ...panel.querySelectorAll('[data-says]')].map(({ dataset }) => [dataset.state, dataset.says]);

/** Puts a new panel in the place of the old one. It comes from this server, which has escaped what is in it. */
function replace(id, html) {
  const old = document.getElementById(id);
  if (!old) return;
  if (html === '') {
    old.textContent = 'This surface is not there any more.';
    return;
  }
  const next = new DOMParser().parseFromString(html, 'text/html').getElementById(id);
  if (!next) return;
  const before = new Map(statesOf(old).map(([state, text]) => [(text ?? '').split(/[:,]| is /)[0], state]));
  const changed = statesOf(next).filter(
    ([state, text]) => before.get((text ?? '').split(/[:,]| is /)[0]) !== state,
  );
  old.replaceWith(document.adoptNode(next));
  if (changed.length > 0) say(changed.map(([, text]) => text).join('. '));
}

let source = null;
let timer = null;

function close() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

function open() {
  close();
  source = new EventSource(root.dataset.live);
  source.addEventListener('open', () => tell('live', 'Live.'));
  source.addEventListener('panel', ({ data }) => {
    const { id, html } = JSON.parse(data);
    replace(id, html);
  });
  // Logged out, or not allowed any more: the page itself says which.
  source.addEventListener('over', () => {
    close();
    location.reload();
  });
  source.addEventListener('error', () => {
    tell('lost', 'Connection lost: these numbers are old. Trying again.');
    // After an answer that is no stream, browsers do not try again by themselves.
    if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, againMs);
  });
}

if (root) {
  const look = () => {
    if (document.visibilityState === 'visible') open();
    else {
      close();
      tell('paused', 'Paused.');
    }
  };
  document.addEventListener('visibilitychange', look);
  // A page that comes back from the browser's memory has no stream any more.
  addEventListener('pageshow', ({ persisted }) => persisted && look());
  look();
}

const verification = document.getElementById('verification');
/** Asks for the state of a verification until it is over. */
async function follow() {
  try {
    const answer = await fetch(verification.dataset.again);
    if (answer.status === 401) return location.reload();
    if (answer.ok) {
      const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html');
      verification.replaceChildren(...[...parsed.body.childNodes].map((node) => document.adoptNode(node)));
    }
  } catch (error) {
    // The gateway may be starting anew: the next attempt will tell.
    console.warn(error);
  }
  const over = verification.querySelector('[data-over]');
  if (over) over.setAttribute('role', 'status');
  else setTimeout(follow, 1000);
}
if (verification?.dataset.again) void follow();
