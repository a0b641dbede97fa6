/** The frame of every page: head, way to the other pages, who is logged in. */
import { type Html, html, type Part } from './html.ts';

/** Who sees a page, as far as its frame shows it. */
export interface Viewer {
  readonly name: string;
  readonly formToken: string;
  readonly mayApprove: boolean;
  /** TPMs that wait for approval. */
  readonly waiting: number;
}

/** What a page is made of. */
export interface Page {
  readonly title: string;
  /** Path in the navigation that this page belongs to. */
  readonly at: string;
  /** Null: nobody is logged in. */
  readonly viewer: Viewer | null;
  /** Where the gateway is: `site`, then its name. */
  readonly place: string;
  readonly main: Part;
  /** What just happened, said to screen readers at once; null: nothing. */
  readonly notice: Notice | null;
}

/** The outcome of what somebody asked for. */
export interface Notice {
  readonly kind: 'done' | 'refused';
  readonly words: string;
}

const ways: readonly (readonly [path: string, name: string])[] = [
  ['/surfaces', 'Surfaces'],
  ['/approvals', 'Approvals'],
  ['/bindings', 'Bindings'],
  ['/commands', 'Commands'],
  ['/audit', 'Audit'],
];

/** Hidden field that every form needs. */
export const formToken = (viewer: Viewer): Html =>
  html`<input type="hidden" name="form" value="${viewer.formToken}">`;

const noticeOf = ({ kind, words }: Notice): Html =>
  html`<p class="notice ${kind}" role="${kind === 'done' ? 'status' : 'alert'}"><b>${kind === 'done' ? 'Done' : 'Refused'}:</b> ${words}</p>`;

/** A whole page as text. @param assets hash of scripts and styles, so that a new version is fetched */
export function pageText(page: Page, assets: string): string {
  const { title, at, viewer, place, main, notice } = page;
  const nav = viewer
    ? html`<nav aria-label="Pages"><ul>${ways.map(
        ([path, name]) =>
          html`<li><a href="${path}"${path === at && html` aria-current="page"`}>${name}${
            path === '/approvals' && viewer.waiting > 0
              ? html` <span class="badge">${viewer.waiting}<span class="unseen"> waiting</span></span>`
              : null
          }</a></li>`,
      )}</ul></nav>
<form class="who" method="post" action="/logout">${formToken(viewer)}<span>${viewer.name}</span> <button>Log out</button></form>`
    : null;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · surfaced</title>
<link rel="stylesheet" href="/assets/pages.css?${assets}">
<link rel="icon" href="/assets/icon.svg?${assets}">
<script type="module" src="/assets/live.js?${assets}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header><p class="brand"><b>surfaced</b> <span>${place}</span></p>${nav}</header>
<main id="main" tabindex="-1">
<h1>${title}</h1>
${notice && noticeOf(notice)}
${main}
</main>
</body>
</html>
`.text;
}
