// The public pages: from what was published to plain HTML without script, a style sheet and two feeds.
//
// Everything is built from nodes and written out by the browser's own serialiser, so that nothing a person types can become
// markup. The preview shows the very same nodes.

import { plain, render } from './kit/markdown.js';

export const LOOKS = [['plaster', 'Plaster'], ['paper', 'Paper'], ['garden', 'Garden'], ['night', 'Night'], ['type', 'Typewriter']];

const node = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

const OWN = /^images\/[\w.-]+$/;

/** A post's text as nodes; `address(path)` says where a picture of this app lies. Pictures of other places stay links. */
export function body(text, address) {
  return render(text, { picture: (path, words) => (OWN.test(path) ? node('img', { src: address(path), alt: words ?? '', loading: 'lazy' }) : null) });
}

/** The pictures of this app that a text shows. */
export const picturesOf = (text) => [...new Set([...text.matchAll(/!\[[^\]]*\]\(\s*(images\/[\w.-]+)\s*\)/g)].map((found) => found[1]))];

/** The beginning of a text, as one paragraph. */
export function summary(text, length = 240) {
  const words = plain(text.replace(/!\[[^\]]*\]\([^)]*\)/g, '').replace(/^ {0,3}(`{3,}|~{3,})[\s\S]*?(^ {0,3}\1|$(?![\s\S]))/gm, ''));
  return words.length > length ? `${words.slice(0, length).replace(/\s+\S*$/, '')} …` : words;
}

const day = (ms) => new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const time = (ms) => node('time', { datetime: new Date(ms).toISOString() }, day(ms));

/** The last part of an address, from a title: letters and digits of any alphabet, dashes between. */
export const slugOf = (title) => title.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/ß/g, 'ss').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60).replace(/-+$/, '');

/** Names that the blog needs itself. */
export const TAKEN = ['index', 'feed', 'rss', 'style', 'images', 'app', 'apps', 'ceps', 'feps', 'public', 'oauth', 'acctapi'];

function around(about, title, description, ...content) {
  const doc = document.implementation.createHTMLDocument(title);
  const head = (tag, attributes) => doc.head.append(node(tag, attributes));
  doc.documentElement.lang = document.documentElement.lang || 'en';
  doc.head.prepend(node('meta', { charset: 'utf-8' }));
  head('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' });
  if (description) head('meta', { name: 'description', content: description });
  head('link', { rel: 'stylesheet', href: 'style.css' });
  head('link', { rel: 'alternate', type: 'application/atom+xml', title: about.title, href: 'feed.xml' });
  head('link', { rel: 'alternate', type: 'application/rss+xml', title: about.title, href: 'rss.xml' });
  doc.body.className = LOOKS.some(([look]) => look === about.look) ? about.look : 'plaster';
  doc.body.append(...content, node('footer', {}, node('p', {}, node('a', { href: './' }, 'All posts'), ' · ', node('a', { href: 'feed.xml' }, 'Follow (feed)'))));
  return `<!doctype html>\n${doc.documentElement.outerHTML}\n`;
}

const tags = (list) => (list.length ? [node('p', { class: 'tags' }, list.map((tag) => `#${tag.replace(/\s+/g, '-')}`).join(' '))] : []);

export function postPage(about, post, address = (path) => path) {
  const article = node('article', {}, node('h1', {}, post.title || 'Untitled'), node('p', { class: 'when' }, time(post.published_at)), node('div', { class: 'text' }, body(post.text, address)), ...tags(post.tags));
  return around(about, `${post.title || 'Untitled'} · ${about.title}`, summary(post.text, 160), node('header', {}, node('p', { class: 'name' }, node('a', { href: './' }, about.title))), node('main', {}, article));
}

export function indexPage(about, posts) {
  const item = (post) => node('li', {}, node('h2', {}, node('a', { href: post.slug }, post.title || 'Untitled')), node('p', { class: 'when' }, time(post.published_at)), node('p', {}, summary(post.text)));
  const list = posts.length ? node('ul', { class: 'posts' }, ...posts.map(item)) : node('p', {}, 'Nothing is published yet.');
  return around(about, about.title, about.tagline, node('header', {}, node('h1', {}, about.title), ...(about.tagline ? [node('p', { class: 'tagline' }, about.tagline)] : [])), node('main', {}, list));
}

/** HTML of a post for feeds, with whole addresses. */
function content(post, origin) {
  const box = node('div');
  box.append(body(post.text, (path) => `${origin}/${path}`));
  return box.innerHTML;
}

function xml(root, namespace, build) {
  const doc = document.implementation.createDocument(namespace, root, null);
  const make = (tag, text, attributes = {}) => {
    const made = doc.createElementNS(namespace, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    // XML has no place for most control characters.
    if (text !== undefined) made.textContent = String(text).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '');
    return made;
  };
  build(doc.documentElement, make);
  return `<?xml version="1.0" encoding="utf-8"?>\n${new XMLSerializer().serializeToString(doc)}\n`;
}

const MOST = 30;

/** Atom (RFC 4287). */
export function atom(about, posts, origin, id) {
  return xml('feed', 'http://www.w3.org/2005/Atom', (feed, make) => {
    const newest = Math.max(0, ...posts.map((post) => post.updated_at ?? post.published_at));
    feed.append(make('title', about.title), make('id', id), make('updated', new Date(newest).toISOString()), make('link', undefined, { href: `${origin}/` }), make('link', undefined, { rel: 'self', href: `${origin}/feed.xml` }));
    if (about.tagline) feed.append(make('subtitle', about.tagline));
    const author = make('author');
    author.append(make('name', about.author));
    feed.append(author);
    for (const post of posts.slice(0, MOST)) {
      const entry = make('entry');
      entry.append(make('title', post.title || 'Untitled'), make('id', `${id}:${post._id}`), make('link', undefined, { href: `${origin}/${post.slug}` }), make('published', new Date(post.published_at).toISOString()),
        make('updated', new Date(post.updated_at ?? post.published_at).toISOString()), make('summary', summary(post.text)), make('content', content(post, origin), { type: 'html' }), ...post.tags.map((tag) => make('category', undefined, { term: tag })));
      feed.append(entry);
    }
  });
}

/** RSS 2.0. */
export function rss(about, posts, origin, id) {
  return xml('rss', null, (root, make) => {
    root.setAttribute('version', '2.0');
    const channel = make('channel');
    root.append(channel);
    channel.append(make('title', about.title), make('link', `${origin}/`), make('description', about.tagline || about.title));
    for (const post of posts.slice(0, MOST)) {
      const item = make('item');
      item.append(make('title', post.title || 'Untitled'), make('link', `${origin}/${post.slug}`), make('guid', `${id}:${post._id}`, { isPermaLink: 'false' }), make('pubDate', new Date(post.published_at).toUTCString()), make('description', content(post, origin)), ...post.tags.map((tag) => make('category', tag)));
      channel.append(item);
    }
  });
}

export const CSS = `
body { --wall: #eef0eb; --ink: #17201c; --soft: #47524c; --link: #0d5745; --rule: #c4ccc3; --face: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  --head: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, "Book Antiqua", Georgia, serif; box-sizing: border-box; margin: 0 auto; max-width: 44rem; padding: clamp(1.5rem, 5vw, 4rem) 1.25rem; font: 1.125rem/1.65 var(--face); color: var(--ink); overflow-wrap: break-word; }
*, *::before, *::after { box-sizing: inherit; }
html { background: #eef0eb; }
h1, h2, h3, h4 { font-family: var(--head); font-weight: 500; line-height: 1.15; letter-spacing: -.01em; text-wrap: balance; }
header h1, article h1 { margin: 0; font-size: clamp(2rem, 1.5rem + 3vw, 3rem); }
.name { margin: 0 0 2.5rem; font-family: var(--head); font-size: 1.125rem; } .name a { text-decoration: none; } .name a:hover { text-decoration: underline; }
.tagline { margin: .5rem 0 0; font-size: 1.1875rem; color: var(--soft); }
.when { margin: .35rem 0 0; font-size: .875rem; color: var(--soft); }
.posts { margin: 2.5rem 0 0; padding: 0; list-style: none; }
.posts li { padding: 1.5rem 0; border-top: 1px solid var(--rule); }
.posts h2 { margin: 0; font-size: 1.5rem; } .posts h2 a { text-decoration: none; } .posts h2 a:hover { text-decoration: underline; }
.posts p { margin: .4rem 0 0; }
.text { margin-top: 1.75rem; } .text > * { margin: 0 0 1em; } .text h2, .text h3, .text h4 { margin-top: 1.6em; }
.text img { display: block; max-width: 100%; height: auto; border-radius: 10px; }
.text blockquote { padding-left: 1em; border-left: 3px solid var(--rule); color: var(--soft); }
.text pre { overflow-x: auto; padding: .9em 1em; border-radius: 8px; background: rgb(127 127 127 / .14); font-size: .875em; } .text code { font-size: .9em; }
.text hr { border: 0; border-top: 1px solid var(--rule); } .text .scroll { overflow-x: auto; } .text table { border-collapse: collapse; } .text th, .text td { padding: .4rem .7rem; border-bottom: 1px solid var(--rule); text-align: left; }
.text .task { list-style: none; }
a { color: var(--link); text-underline-offset: .2em; text-decoration-thickness: 1px; } a:hover { text-decoration-thickness: 2px; }
a:focus-visible { outline: 3px solid currentColor; outline-offset: 3px; border-radius: 3px; }
.tags { color: var(--soft); font-size: .9375rem; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--rule); font-size: .9375rem; color: var(--soft); }
@media (prefers-color-scheme: dark) { html:has(.plaster) { background: #0f1512; } .plaster { --ink: #e8ede7; --soft: #b9c4bc; --link: #93d6b6; --rule: #3a463f; } }
html:has(.paper) { background: #fffdf7; } .paper { --ink: #221d14; --soft: #5d5443; --link: #8a3a1d; --rule: #ddd3c0; --face: var(--head); }
html:has(.garden) { background: #0c3a2f; } .garden { --ink: #eef6f0; --soft: #c6dbd0; --link: #f0c878; --rule: rgb(255 255 255 / .25); }
html:has(.night) { background: #14121f; } .night { --ink: #f0edf7; --soft: #c3bcd6; --link: #b9a6ff; --rule: #3b3553; }
html:has(.type) { background: #f6f6f2; } .type { --ink: #1c1c1a; --soft: #55554f; --link: #1c1c1a; --rule: #c9c9c0; --face: ui-monospace, "Cascadia Mono", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; --head: var(--face); font-size: 1rem; }
`;
