// The app itself: shows the list, and does what the person says.

import { table } from './server.js';

/** @typedef {{ text: string, done: boolean }} Thing */

/** @type {import('./server.js').Table<Thing>} */
const things = table('things');

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function found(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`The page has no ${id}.`);
  return element;
}

const list = found('list', HTMLUListElement);
const state = found('state', HTMLParagraphElement);
const text = found('text', HTMLInputElement);

/** Does something on the server, and shows what came of it. @param {() => Promise<unknown>} [act] */
async function show(act) {
  try {
    await act?.();
    const all = await things.query({ sort: { _date_created: 1 } });
    list.replaceChildren(...all.map(line));
    state.textContent = all.length ? `${all.filter((thing) => !thing.done).length} to do` : 'Nothing here yet.';
  } catch (error) {
    state.textContent = error instanceof Error ? error.message : String(error);
  }
}

/** @param {Thing & { _id: string }} thing */
function line(thing) {
  const label = document.createElement('label');
  const box = document.createElement('input');
  const remove = document.createElement('button');
  box.type = 'checkbox';
  box.checked = thing.done;
  box.addEventListener('change', () => show(() => things.change(thing._id, { done: box.checked })));
  // Text becomes a text node, never markup: what people type cannot run.
  label.append(box, thing.text);
  remove.append('Remove');
  remove.setAttribute('aria-label', `Remove ${thing.text}`);
  remove.addEventListener('click', () => show(() => things.remove(thing._id)));
  const item = document.createElement('li');
  item.append(label, remove);
  return item;
}

found('new', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const typed = text.value.trim();
  text.value = '';
  if (typed) show(() => things.create({ text: typed, done: false }));
});

addEventListener('focus', () => show());
show();
