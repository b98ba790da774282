// What the pages of every app have in common: the way home, what to say when the server does not answer, questions, files
// that are dropped, and looking again when the person comes back.

import { app, permissions, serverAddress } from './api.js';
import { banner, el, icon, sheet, toast } from './dom.js';

export const $ = (id) => document.getElementById(id);

/** The link to the person's own launcher. */
export function wayHome() {
  $('home').append(icon('house'));
  $('home').href = serverAddress;
}

/** What to say when something could not be read; `safe` says what of it is not lost. */
export function trouble(error, retry, safe) {
  const act = error.kind === 'signed-out'
    ? el('a', { href: `${serverAddress}/open/${app}` }, 'Sign in again')
    : el('button', { type: 'button', onclick: retry }, 'Try again');
  return banner(error.kind === 'offline' ? 'warn' : 'danger', `${error.message} ${safe}`, act);
}

/** Says what went wrong with something the person did. */
export const trying = (promise) => promise.catch((error) => { toast(error.message); throw error; });

/** Whether the owner has allowed a permission of the manifest: 'granted', 'pending' or 'denied'. */
export async function allowed(name) {
  const all = await permissions();
  return all.find((one) => one.name === name)?.status ?? 'denied';
}

/** Where the owner allows things. */
export const permissionPage = `${serverAddress}/.freehold/permissions`;

/** Asks the owner to allow something, in words that say what for; nothing where they said "not now" in this browser. */
export function askToAllow(name, text) {
  const key = `not-now-${app}-${name}`;
  if (localStorage.getItem(key)) return null;
  const line = banner('warn', text, el('a', { href: permissionPage }, 'Allow it'), ' or ', el('button', { type: 'button', onclick: () => { localStorage.setItem(key, '1'); line.remove(); } }, 'not now'));
  return line;
}

/** Asks for one line of text; '' when the person would rather not. */
export async function askText(heading, label, { value = '', button = 'Save', hint, ...more } = {}) {
  const id = `ask-${Math.random().toString(36).slice(2)}`;
  const field = el('input', { class: 'input', id, value, maxlength: '200', autocomplete: 'off', required: true, 'aria-describedby': hint ? `${id}-hint` : undefined, ...more });
  const content = el('div', { class: 'field' }, el('label', { for: id }, label), field, hint ? el('p', { class: 'hint', id: `${id}-hint` }, hint) : null);
  const answer = await sheet(heading, content, [{ label: button, value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  return answer === 'yes' ? field.value.trim() : '';
}

/** Asks for one of several: `options` are [value, label, icon?]. null when the person would rather not. */
export async function askChoice(heading, options, { button = 'Choose', value = options[0]?.[0] } = {}) {
  const content = el('div', { class: 'stack', role: 'radiogroup', 'aria-label': heading }, options.map(([own, label, picture]) => el('label', { class: 'choice' },
    el('input', { type: 'radio', name: 'choice', value: own, checked: own === value }), picture ? icon(picture) : null, label)));
  const answer = await sheet(heading, content, [{ label: button, value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  return answer === 'yes' ? content.querySelector(':checked')?.value ?? null : null;
}

/** Gives the person a file. */
export function saveAs(name, blob) {
  const link = el('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A name that every system takes for a file. */
export const fileName = (text, otherwise) => text.replace(/[^\p{L}\p{N} ._-]+/gu, '').replace(/^\.+/, '').slice(0, 60).trim() || otherwise;

/** Puts a text where the person can paste it from; says so. */
export async function copy(text, said = 'The link is copied.') {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
  } catch {
    await sheet('Copy this', el('textarea', { class: 'input', rows: '3', readonly: true, 'aria-label': 'To copy', onfocus: (event) => event.target.select() }, text), [{ label: 'Close', value: '', kind: 'main' }]);
  }
}

/** Calls `take(files)` when files are dropped anywhere on the page. */
export function takeDrops(text, take) {
  const veil = document.body.appendChild(el('div', { class: 'drop', hidden: true }, el('p', {}, text)));
  let over = 0;
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  const show = () => { veil.hidden = over === 0; };
  addEventListener('dragenter', (event) => { if (carries(event)) { event.preventDefault(); over += 1; show(); } });
  addEventListener('dragover', (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener('dragleave', (event) => { if (carries(event)) { over = Math.max(0, over - 1); show(); } });
  addEventListener('drop', (event) => { if (carries(event)) { event.preventDefault(); over = 0; show(); take([...event.dataTransfer.files]); } });
}

/** Looks again when the person comes back to the page, and when the line is there again; never more often than every few seconds. */
export function onReturn(look) {
  let last = Date.now();
  const again = () => {
    if (document.hidden || Date.now() - last < 4000) return;
    last = Date.now();
    look();
  };
  addEventListener('focus', again);
  addEventListener('online', again);
  document.addEventListener('visibilitychange', again);
}

/** A list of keys and what they do, as a sheet. */
export function showKeys(keys) {
  sheet('Keyboard shortcuts', el('div', { class: 'key' }, keys.flatMap(([key, what]) => [el('kbd', {}, key), el('span', {}, what)])), [{ label: 'Close', value: '', kind: 'main' }]);
}

/** Calls the act of a key while nobody types and no dialog is open: { n: f, '/': g }. Escape is told everywhere. */
export function onKeys(acts) {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const typing = event.target.closest?.('input:not([type=checkbox], [type=radio]), textarea, select');
    const act = acts[event.key];
    if (!act || (typing && event.key !== 'Escape')) return;
    event.preventDefault();
    act(event);
  });
}

/** Letters without case and marks, so that "cafe" finds "Café". */
export const fold = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** Whether a text holds every word that is searched. */
export function holdsAll(text, search) {
  const folded = fold(text);
  return fold(search).split(/\s+/).filter(Boolean).every((word) => folded.includes(word));
}
