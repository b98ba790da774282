// Small helpers to build pages from nodes. Text only ever becomes a text node, never markup.

/** An element: `el('p', { class: 'soft', onclick: f, 'aria-label': '…' }, 'text', child, …)`. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

const paths = {
  add: 'M12 5v14M5 12h14',
  back: 'm15 5-7 7 7 7',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6 6 18',
  download: 'M12 4v11M7.500 11 12 15.500 16.500 11M5 19.500h14',
  eye: 'M2.500 12C5 7.500 8 5.500 12 5.500s7 2 9.500 6.500c-2.500 4.500-5.500 6.500-9.500 6.500S5 16.500 2.500 12zM12 9.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600z',
  help: 'M9.300 9.300a2.800 2.800 0 1 1 4 2.500c-.9.500-1.300 1-1.300 2.200M12 17v.2M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17z',
  info: 'M12 11v5.500M12 7.600v.2M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17z',
  house: 'M4 11 12 4l8 7v9H4zM10 20v-6h4v6',
  album: 'M4 8h16v12H4zM6.500 5h11M9 2.500h6',
  next: 'm9 5 7 7-7 7',
  note: 'M6 3.500h9l4 4V20.500H6zM14.500 3.500v4.500H19M9 12h7M9 15.500h5',
  pen: 'm4 20 1-4.500L16.500 4 20 7.500 8.500 19zM14 6.500l3.500 3.500',
  picture: 'M5.500 5h13a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2zM8.500 8.200a1.600 1.600 0 1 0 0 3.200 1.600 1.600 0 0 0 0-3.200zM4 17l5-4 3 2.300 4-4.300 4.500 4.500',
  pin: 'M9 3.500h6l-.8 6 3.300 3.500h-11l3.300-3.500zM12 13v7.500',
  search: 'M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500l5 5',
  tag: 'M4 4h8l8 8-8 8-8-8zM8 8v.2',
  trash: 'M4.500 7h15M9.500 7V4.500h5V7M6.500 7l1 13h9l1-13M10.500 10.500v6M13.500 10.500v6',
  undo: 'M8 5 4 9l4 4M4.500 9H14a5.500 5.500 0 0 1 0 11h-4',
  upload: 'M12 16V5M7.500 9.500 12 5l4.500 4.500M5 19.500h14',
  globe: 'M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM3.500 12h17M12 3.500c5 5.500 5 11.500 0 17M12 3.500c-5 5.500-5 11.500 0 17',
  warn: 'M12 4 2.800 19.500h18.400zM12 10v4.500M12 17v.2',
  up: 'm6 14.500 6-6 6 6',
  down: 'm6 9.500 6 6 6-6',
  menu: 'M5 7h14M5 12h14M5 17h14',
  person: 'M12 4.500a3.700 3.700 0 1 0 0 7.400 3.700 3.700 0 0 0 0-7.400zM4.500 20c.6-4 3.600-6 7.500-6s6.900 2 7.500 6',
  people: 'M9 5a3.300 3.300 0 1 0 0 6.600A3.300 3.300 0 0 0 9 5zM2.500 19c.5-3.600 3-5.400 6.500-5.400s6 1.800 6.500 5.400M15.500 5.200a3.300 3.300 0 0 1 0 6.200M18 14.200c2 .8 3.200 2.400 3.500 4.800',
  phone: 'M6 4h3.200l1.600 4.200-2 1.500a11 11 0 0 0 5.500 5.500l1.500-2L20 14.800V18a2 2 0 0 1-2.200 2C10.500 19.400 4.600 13.500 4 6.200A2 2 0 0 1 6 4z',
  mail: 'M4 5.500h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1zM3.500 7l8.500 6 8.500-6',
  star: 'm12 3.800 2.600 5.300 5.900.9-4.300 4.100 1 5.900-5.200-2.800L6.800 20l1-5.900L3.500 10l5.900-.9z',
  calendar: 'M5 6h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1zM4 10.500h16M8.500 3.500V8M15.500 3.500V8',
  repeat: 'M5 11V9.500A3.500 3.500 0 0 1 8.500 6H19M16 3l3 3-3 3M19 13v1.500a3.500 3.500 0 0 1-3.500 3.500H5M8 21l-3-3 3-3',
  bell: 'M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15zM10 20.500a2.200 2.200 0 0 0 4 0M12 3v2',
  list: 'M8.500 6.500H20M8.500 12H20M8.500 17.500H20M4.200 6.500h.1M4.200 12h.1M4.200 17.500h.1',
  sun: 'M12 7.800a4.200 4.200 0 1 0 0 8.400 4.200 4.200 0 0 0 0-8.400zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400',
  folder: 'M3.500 6.500a1 1 0 0 1 1-1h5l2 2.500h8a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z',
  file: 'M6 3.500h8l4.500 4.500v12.500H6zM13.500 3.500V8.500h5',
  sound: 'M9 17.500a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0zM20 15.500a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0zM9 17.500V6l11-2v11.500',
  film: 'M4 5.500h16v13H4zM8 5.500v13M16 5.500v13M4 10h4M4 14h4M16 10h4M16 14h4',
  share: 'M7 10.500v9h10v-9M12 15V3.500M8.500 6.800 12 3.500l3.500 3.300',
  feed: 'M5 19h.1M5 12a7 7 0 0 1 7 7M5 5a14 14 0 0 1 14 14',
  send: 'M4 12 20.500 4 16 20.500l-4-7zM12 13.500l8.500-9.500',
  gear: 'M12 8.800a3.200 3.200 0 1 0 0 6.400 3.200 3.200 0 0 0 0-6.400zM12 3v2.500M12 18.500V21M3 12h2.500M18.500 12H21M5.600 5.600l1.800 1.800M16.600 16.600l1.800 1.800M18.400 5.600l-1.800 1.800M7.400 16.600l-1.800 1.800',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1.500 1.500M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1.500-1.500',
};

/** A line drawing from the set above; always decoration, so hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'i');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', paths[name]);
  svg.append(path);
  return svg;
}

/** A button that shows only an icon, with its name for everyone who does not see it. */
export function iconButton(name, label, onclick, more = {}) {
  return el('button', { type: 'button', class: 'btn icon', 'aria-label': label, title: label, onclick, ...more }, icon(name));
}

/** How far something is, as an element that needs no style attribute. */
export function bar(done, of, label) {
  return el('progress', { class: 'bar', max: Math.max(of, 1), value: String(Math.min(done, of)), 'aria-label': label });
}

let toasts;

/** A line at the foot of the page that goes away by itself; with `undo` it stays longer and offers the way back. */
export function toast(text, undo) {
  toasts ??= el('div', { class: 'toasts', role: 'status' });
  // A modal dialog makes everything outside it inert, so the line goes inside while one is open.
  const dialog = document.querySelector('dialog[open]');
  (dialog ?? document.body).append(toasts);
  dialog?.addEventListener('close', () => document.body.append(toasts), { once: true });
  const line = el('p', { class: 'toast' }, el('span', {}, text));
  let timer = 0;
  const away = () => { clearTimeout(timer); line.remove(); };
  if (undo) line.append(el('button', { type: 'button', onclick: () => { away(); undo(); } }, 'Undo'));
  const start = () => { timer = setTimeout(away, undo ? 12000 : 6000); };
  line.addEventListener('pointerenter', () => clearTimeout(timer));
  line.addEventListener('pointerleave', start);
  line.addEventListener('focusin', () => clearTimeout(timer));
  line.addEventListener('focusout', start);
  toasts.replaceChildren(...[...toasts.children].slice(-2), line);
  start();
}

/** A sheet with a heading and content; resolves with the value of the button that closed it. */
export function sheet(heading, content, buttons) {
  return new Promise((resolve) => {
    const id = `sheet-${Math.random().toString(36).slice(2)}`;
    const acts = buttons.map(({ label, value, kind = '' }) => el('button', { class: `btn ${kind}`, value }, label));
    const dialog = el('dialog', { class: 'sheet', 'aria-labelledby': id },
      el('form', { method: 'dialog', class: 'stack' },
        el('h2', { id }, heading), content, el('div', { class: 'row acts' }, acts)));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue); });
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(''); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A banner that says what is wrong, what is safe, and what to do. */
export function banner(kind, text, ...acts) {
  return el('p', { class: `banner ${kind}`, role: kind === 'danger' ? 'alert' : 'status' }, icon(kind === 'ok' ? 'check' : 'warn'), el('span', {}, text, ' ', acts));
}

/** What stands where nothing is yet: a drawing, one sentence, one action. */
export function empty(picture, heading, text, act) {
  return el('div', { class: 'empty' }, icon(picture), el('h2', {}, heading), el('p', {}, text), act);
}

const size = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** Bytes for people. */
export function bytes(count) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let step = 0;
  while (count >= 1000 && step < units.length - 1) { count /= 1000; step += 1; }
  return `${size.format(count)} ${units[step]}`;
}

/** A moment for people: the time today, the day otherwise. */
export function when(ms, now = Date.now()) {
  const date = new Date(ms);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
  const sameYear = date.getFullYear() === today.getFullYear();
  return date.toLocaleDateString(undefined, sameYear ? { day: 'numeric', month: 'short' } : { day: 'numeric', month: 'short', year: 'numeric' });
}
