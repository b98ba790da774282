// The public page: from what the person wrote to one HTML file and one style sheet, without script.
//
// It is built from nodes and written out by the browser's own serialiser, so that nothing a person types can become
// markup. The preview shows the very same nodes.

import { render } from './kit/markdown.js';

export const LOOKS = [['plaster', 'Plaster'], ['paper', 'Paper'], ['enamel', 'Enamel'], ['garden', 'Garden'], ['evening', 'Evening']];

export const fresh = () => ({ title: '', tagline: '', text: '', links: [], picture: '', shape: 'round', look: 'plaster', published_at: 0, published: '' });

/** The address of a link as one may type it, or '' when it cannot be one. */
export function address(typed) {
  const text = typed.trim();
  if (!text) return '';
  const whole = /^(https?:\/\/|mailto:|tel:)/i.test(text) ? text : /^[^\s@/]+@[^\s@/]+$/.test(text) ? `mailto:${text}` : `https://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (!url || !['http:', 'https:', 'mailto:', 'tel:'].includes(url.protocol)) return '';
  return url.protocol.startsWith('http') && !url.hostname.includes('.') && url.hostname !== 'localhost' ? '' : url.href;
}

/** The page's nodes. `picture` is the address the picture has where they are shown; `outer` the element around all. */
export function nodes(page, picture, outer = 'main') {
  const make = (tag, className, ...children) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
  };
  const card = make(outer, 'card');
  if (picture) {
    const img = make('img', page.shape === 'wide' ? 'wide' : 'round');
    img.src = picture;
    img.alt = page.shape === 'wide' ? '' : page.title;
    card.append(img);
  }
  card.append(make('h1', '', page.title || 'My home page'));
  if (page.tagline) card.append(make('p', 'tagline', page.tagline));
  if (page.text.trim()) {
    const text = make('div', 'text');
    text.append(render(page.text));
    card.append(text);
  }
  const links = page.links.filter((link) => address(link.address)).map((link) => {
    const a = make('a', '', link.label || link.address);
    a.href = address(link.address);
    a.rel = 'me noopener';
    return make('li', '', a);
  });
  if (links.length) {
    const list = make('nav', 'links', make('ul', '', ...links));
    list.setAttribute('aria-label', 'Links');
    card.append(list);
  }
  return make('div', `home ${LOOKS.some(([look]) => look === page.look) ? page.look : 'plaster'}`, card);
}

/** The whole file. */
export function html(page, picture) {
  const title = page.title || 'My home page';
  const doc = document.implementation.createHTMLDocument(title);
  const head = (tag, attributes) => {
    const node = doc.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    doc.head.append(node);
  };
  doc.documentElement.lang = document.documentElement.lang || 'en';
  head('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' });
  if (page.tagline) head('meta', { name: 'description', content: page.tagline });
  head('link', { rel: 'stylesheet', href: 'style.css' });
  const charset = doc.createElement('meta');
  charset.setAttribute('charset', 'utf-8');
  doc.head.prepend(charset);
  doc.body.append(doc.adoptNode(nodes(page, picture)));
  return `<!doctype html>\n${doc.documentElement.outerHTML}\n`;
}

/** The style sheet of every look; `.home` is the whole page, so that a preview can hold it too. */
export const CSS = `
body { margin: 0; }
.home { --wall: #eef0eb; --card: transparent; --ink: #17201c; --soft: #47524c; --link: #0d5745; --rule: #c4ccc3; --face: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  --head: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, "Book Antiqua", Georgia, serif; box-sizing: border-box; min-height: 100vh; display: grid; align-items: center; justify-items: center; padding: clamp(1.5rem, 6vw, 5rem) 1.25rem; background: var(--wall); color: var(--ink); font: 1.125rem/1.6 var(--face); overflow-wrap: break-word; }
.home *, .home *::before { box-sizing: border-box; }
.home .card { width: min(100%, 38rem); background: var(--card); }
.home h1 { margin: 0; font: 500 clamp(2.25rem, 1.5rem + 4vw, 3.5rem)/1.08 var(--head); letter-spacing: -.02em; text-wrap: balance; }
.home .tagline { margin: .6rem 0 0; font-size: 1.25rem; line-height: 1.45; color: var(--soft); text-wrap: pretty; }
.home .text { margin-top: 1.75rem; }
.home .text > * { margin: 0 0 .9em; }
.home .text h2, .home .text h3, .home .text h4 { margin-top: 1.4em; font: 600 1.375rem/1.3 var(--head); }
.home .text blockquote { padding-left: 1em; border-left: 3px solid var(--rule); color: var(--soft); }
.home .text pre { overflow-x: auto; }
.home .text hr { border: 0; border-top: 1px solid var(--rule); }
.home a { color: var(--link); text-underline-offset: .2em; text-decoration-thickness: 1px; }
.home a:hover { text-decoration-thickness: 2px; }
.home a:focus-visible { outline: 3px solid currentColor; outline-offset: 3px; border-radius: 3px; }
.home .links { margin-top: 2rem; }
.home .links ul { margin: 0; padding: 0; list-style: none; border-top: 1px solid var(--rule); }
.home .links li { border-bottom: 1px solid var(--rule); }
.home .links a { display: flex; justify-content: space-between; gap: 1rem; padding: .85rem .1rem; font-weight: 600; text-decoration: none; }
.home .links a::after { content: "\\2192"; }
.home .links a:hover { text-decoration: underline; }
.home img { display: block; margin-bottom: 1.75rem; object-fit: cover; background: var(--rule); }
.home img.round { width: 8.5rem; height: 8.5rem; border-radius: 50%; }
.home img.wide { width: 100%; aspect-ratio: 2 / 1; border-radius: 14px; }
@media (prefers-color-scheme: dark) { .home.plaster { --wall: #0f1512; --ink: #e8ede7; --soft: #b9c4bc; --link: #93d6b6; --rule: #3a463f; } }
.home.paper { --wall: #e9e4d8; --card: #fffdf7; --ink: #221d14; --soft: #5d5443; --link: #8a3a1d; --rule: #ddd3c0; --face: var(--head); }
.home.paper .card { padding: clamp(1.5rem, 6vw, 3.5rem); box-shadow: 0 1px 2px rgb(60 45 20 / .12), 0 18px 50px rgb(60 45 20 / .14); }
.home.enamel { --wall: #1d3f78; --ink: #fff; --soft: #d5e1f5; --link: #fff; --rule: rgb(255 255 255 / .38); --head: Bahnschrift, "DIN Alternate", "Roboto Condensed", sans-serif-condensed, "Liberation Sans Narrow", "Arial Narrow", sans-serif; }
.home.enamel .card { padding: clamp(1.5rem, 6vw, 3.5rem); border: 4px solid #eef3fb; border-radius: 18px; }
.home.enamel h1 { letter-spacing: .01em; font-weight: 600; }
.home.garden { --wall: #0c3a2f; --ink: #eef6f0; --soft: #c6dbd0; --link: #f0c878; --rule: rgb(255 255 255 / .25); }
.home.garden .card { text-align: center; } .home.garden img { margin-inline: auto; } .home.garden .text { text-align: left; } .home.garden .links a { justify-content: center; } .home.garden .links a::after { content: none; }
.home.evening { --wall: linear-gradient(165deg, #241a3d, #5a2a4d 60%, #b9592f); --ink: #fff6ec; --soft: #f3dcd0; --link: #ffe2a8; --rule: rgb(255 255 255 / .34); }
`;
