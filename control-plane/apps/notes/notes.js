// Notes: the list beside the open note. On a phone one of the two is shown, and the address says which.

import { el, icon, banner, empty, sheet, toast, when } from './kit/dom.js';
import { serverAddress } from './kit/api.js';
import { Writings } from './kit/writings.js';
import { Editor } from './editor.js';
import { choose, snippet, tagsOf, titleOf } from './shelf.js';

const $ = (id) => document.getElementById(id);
const view = { search: '', tag: '', deleted: false };

const store = await Writings.open('notes', { tags: [], pinned: false });
const editor = new Editor($('editor'), store, { onback: (id) => open(typeof id === 'string' ? id : null), ongone: () => open(null), onnew: begin });

$('new').prepend(icon('add'));
$('help').append(icon('help'));
$('home').append(icon('house'));
$('home').href = serverAddress;
$('new').addEventListener('click', begin);
$('help').addEventListener('click', help);
$('search').addEventListener('input', () => { view.search = $('search').value; list(); });

function begin() {
  view.search = $('search').value = '';
  view.deleted = false;
  const id = store.create(view.tag ? { tags: [view.tag] } : {});
  open(id);
  editor.read(false);
  editor.focus();
}

const openId = () => decodeURIComponent(location.hash.slice(1));

function open(id) {
  if (openId() !== (id ?? '')) history.pushState(null, '', id ? `#${encodeURIComponent(id)}` : location.pathname + location.search);
  route();
}

function route() {
  const id = openId();
  if (id && id !== 'editor' && store.get(id)) editor.show(id);
  else if (id !== 'editor') editor.show(null);
  $('app').dataset.view = editor.id ? 'note' : 'list';
  document.title = editor.id ? `${titleOf(store.get(editor.id))} · Notes` : 'Notes';
  list();
}

// --- the list ---------------------------------------------------------------------------

function list() {
  const all = store.all();
  const chosen = choose(all, view);
  $('list').replaceChildren(...(chosen.length ? chosen.map(item) : [el('li', { class: 'none' }, nothing(all))]));
  $('count').textContent = view.search ? `${chosen.length} ${chosen.length === 1 ? 'note' : 'notes'} found` : '';
  chips(all);
}

function item(note) {
  const marks = [note.pinned && icon('pin'), store.unsaved(note.id) && el('span', { class: 'unsaved', title: 'Not on your server yet' }, el('span', { class: 'vh' }, 'Not on your server yet'))];
  const found = snippet(note, view.search).map(([text, match]) => (match ? el('mark', {}, text) : text));
  const pinned = note.pinned ? el('span', { class: 'vh' }, 'Pinned. ') : null;
  return el('li', {},
    el('a', { href: `#${encodeURIComponent(note.id)}`, 'aria-current': note.id === editor.id ? 'true' : undefined },
      el('span', { class: 'top' }, el('b', {}, pinned, titleOf(note)), ...marks.filter(Boolean)),
      el('span', { class: 'bottom' }, el('time', {}, when(note.written_at)), ' ', ...found)));
}

function nothing(all) {
  if (view.search) return empty('search', 'Nothing found', `No note holds “${view.search}”.`);
  if (view.deleted) return empty('trash', 'Nothing deleted', 'Deleted notes stay here for 30 days.');
  if (view.tag && all.length) return empty('tag', 'No note here', `No note has the tag “${view.tag}” any more.`);
  if (store.state === 'opening') return el('p', { class: 'soft pad' }, 'Fetching your notes …');
  return empty('note', 'Your first note', 'A list, an idea, a recipe. It stays on your own server.');
}

function chips(all) {
  const chip = (label, to, picture) => {
    const now = view.tag === to.tag && view.deleted === to.deleted;
    const go = () => { Object.assign(view, to); list(); };
    return el('button', { type: 'button', class: 'chip', 'aria-pressed': String(now), onclick: go }, picture && icon(picture), label);
  };
  const tags = tagsOf(all);
  const deleted = all.some((note) => note.deleted_at);
  const focused = [...$('tags').children].indexOf(document.activeElement);
  $('tags').replaceChildren(chip('All', { tag: '', deleted: false }), ...tags.map((tag) => chip(tag, { tag, deleted: false })),
    ...(deleted || view.deleted ? [chip('Deleted', { tag: '', deleted: true }, 'trash')] : []));
  if (focused >= 0) $('tags').children[Math.min(focused, $('tags').children.length - 1)].focus();
  $('tags').hidden = !tags.length && !deleted && !view.deleted;
  known.replaceChildren(...tags.map((tag) => el('option', { value: tag })));
}

const known = document.body.appendChild(el('datalist', { id: 'known-tags' }));

// --- how the saving goes ----------------------------------------------------------------

function say() {
  const many = store.waiting();
  const waits = `${many} ${many === 1 ? 'change' : 'changes'} kept here`;
  const [kind, text] = {
    opening: ['waiting', 'Opening'],
    saved: ['', 'Saved on your server'],
    saving: ['waiting', 'Saving'],
    waiting: ['waiting', 'Saving'],
    offline: ['waiting', many ? `Offline, ${waits}` : 'Offline'],
    busy: ['waiting', `Server busy, ${waits}`],
  }[store.state] ?? ['wrong', many ? `Not saved, ${waits}` : 'Not connected'];
  $('state').className = `state ${kind}`;
  $('state').textContent = text;
  const warnings = [];
  if (store.state === 'signed-out') {
    warnings.push(banner('warn', 'You are signed out. What you write is kept in this browser and saved when you are back.',
      el('a', { href: `${serverAddress}/open/org.freehold.notes` }, 'Sign in again')));
  } else if (store.state === 'full') {
    warnings.push(banner('danger', `There is no room left on your server. ${waits}; they are saved as soon as there is room.`));
  } else if (store.state === 'refused' || store.state === 'broken') {
    warnings.push(banner('danger', `${store.problem} ${many ? `${waits}.` : ''}`, el('button', { type: 'button', onclick: () => store.sync() }, 'Try again')));
  }
  if (!store.lasting) warnings.push(banner('warn', 'This browser keeps nothing when the window is closed. Wait for “Saved on your server” before you close it.'));
  $('warnings').replaceChildren(...warnings);
}

store.addEventListener('state', () => { say(); list(); });
store.addEventListener('change', () => { say(); list(); });
store.addEventListener('both', ({ detail }) => {
  toast('This note was also changed elsewhere. Both versions are kept; yours is the one marked “other version”.');
  if (editor.id === detail.id) open(detail.copy);
});

addEventListener('popstate', route);
addEventListener('hashchange', route);
addEventListener('online', () => store.sync());
addEventListener('focus', () => store.sync());
document.addEventListener('visibilitychange', () => { store.sync(); });
// A window that is only left open must not keep the server awake.
let active = Date.now();
for (const sign of ['keydown', 'pointerdown', 'focus']) addEventListener(sign, () => { active = Date.now(); });
setInterval(() => { if (!document.hidden && Date.now() - active < 120000) store.sync(); }, 30000);
addEventListener('beforeunload', (event) => { if (store.waiting() && !store.lasting) event.preventDefault(); });

// --- keys -------------------------------------------------------------------------------

const command = /Mac|iP/.test(navigator.platform) ? '⌘' : 'Ctrl';
const keys = [
  ['Alt N', 'New note'], ['/', 'Search'], [`${command} S`, 'Save now'], [`${command} E`, 'Write or read'], ['Alt ↑ ↓', 'Previous, next note'], ['Esc', 'Back to the list'],
  [`${command} B`, 'Bold'], [`${command} I`, 'Italic'], [`${command} K`, 'Link'], ['?', 'This list'],
];

function help() {
  sheet('Keyboard shortcuts', el('div', { class: 'key' }, keys.flatMap(([key, what]) => [el('kbd', {}, key), el('span', {}, what)])), [{ label: 'Close', value: '', kind: 'main' }]);
}

function step(by) {
  const chosen = choose(store.all(), view);
  const at = chosen.findIndex((note) => note.id === editor.id);
  const next = chosen[at < 0 ? 0 : at + by];
  if (next) open(next.id);
}

addEventListener('keydown', (event) => {
  if (document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input, textarea');
  const plainKey = !event.ctrlKey && !event.metaKey && !event.altKey;
  const modified = event.ctrlKey || event.metaKey;
  const does = (act) => { event.preventDefault(); act(); };
  if (event.altKey && event.code === 'KeyN') does(begin);
  else if (event.altKey && event.key === 'ArrowDown') does(() => step(1));
  else if (event.altKey && event.key === 'ArrowUp') does(() => step(-1));
  else if (modified && event.key.toLowerCase() === 's') does(() => store.sync());
  else if (modified && event.key.toLowerCase() === 'e' && editor.id) does(() => editor.read(!editor.reading));
  else if (event.key === 'Escape' && typing === $('search') && view.search) does(() => { $('search').value = view.search = ''; list(); });
  else if (event.key === 'Escape' && editor.id) does(() => { const id = editor.id; open(null); document.querySelector(`a[href="#${CSS.escape(id)}"]`)?.focus(); });
  else if (plainKey && !typing && event.key === '/') does(() => $('search').focus());
  else if (plainKey && !typing && event.key === '?') does(help);
});

route();
say();
await store.sync();
route();
