// Contacts: everybody beside the one who is open. On a phone one of the two is shown, and the address says which.

import { el, empty, icon, sheet, toast } from './kit/dom.js';
import { files } from './kit/api.js';
import { $, askToAllow, fileName, onKeys, onReturn, saveAs, showKeys, takeDrops, trouble, trying, wayHome } from './kit/frame.js';
import { Card, face } from './card.js';
import { People, fits, letter } from './people.js';
import { parse, write } from './vcard.js';

const people = new People();
const view = { search: '', label: '', deleted: false };
let problem = null;

wayHome();
$('new').prepend(icon('add'));
$('more').append(icon('menu'));
$('new').addEventListener('click', begin);
$('more').addEventListener('click', more);
$('search').addEventListener('input', () => { view.search = $('search').value; list(); });
$('cards').addEventListener('change', () => { takeIn([...$('cards').files]); $('cards').value = ''; });
takeDrops('Let go to add the people in these cards', takeIn);

const card = new Card($('card'), {
  onback: () => open(null), onnew: begin, onstar: (one) => trying(people.change(one._id, { starred: !one.starred })),
  onpicture: (file) => trying(people.keepPicture(file)).then((path) => { if (!path) toast('This browser cannot read that picture. Try a JPEG or PNG file.'); return path; }),
  async onsave(one, fields) {
    if (!fields.name) { toast('Write down a name first, or anything else.'); return; }
    const id = await trying(people.save(one._id, fields));
    card.id = null;
    open(id);
    toast('Saved on your server.');
  },
  oncancel: (one) => { card.id = null; open(one._id || null); },
  onexport: saveCards,
  async ondelete(one) {
    const back = await trying(people.remove(one));
    open(null);
    toast(`${one.name} is deleted.`, () => trying(back()).then(() => open(one._id)));
  },
});

// --- which one is open --------------------------------------------------------------------

const openId = () => decodeURIComponent(location.hash.slice(1));

function open(id) {
  if (openId() !== (id ?? '')) history.pushState(null, '', id ? `#${encodeURIComponent(id)}` : location.pathname + location.search);
  card.form?.remove();
  route();
}

function route() {
  if (card.writing) return;
  const id = openId();
  const one = id && id !== 'card' ? people.find(id) : null;
  if (one) card.show(one);
  else card.blank();
  $('app').dataset.view = one ? 'open' : 'list';
  document.title = one ? `${one.name} · Contacts` : 'Contacts';
  list();
}

function begin() {
  if (openId()) history.pushState(null, '', location.pathname + location.search);
  card.edit();
  $('app').dataset.view = 'open';
  list();
}

// --- the list -----------------------------------------------------------------------------

function row(one) {
  const below = one.org || one.title || (one.emails[0] ?? one.phones[0])?.value || one.server || '';
  const star = one.starred ? [icon('star'), el('span', { class: 'vh' }, 'at the top')] : [];
  return el('li', {}, el('a', { href: `#${encodeURIComponent(one._id)}`, class: 'person', 'aria-current': one._id === card.id ? 'true' : undefined },
    face(one), el('span', {}, el('span', { class: 'top' }, el('b', {}, one.name), ...star), el('span', { class: 'bottom' }, below))));
}

function gone(one) {
  return el('li', { class: 'pad row' }, face(one), el('b', { class: 'push-end' }, one.name),
    el('button', { type: 'button', class: 'btn small push', onclick: () => trying(people.restore(one._id)) }, icon('undo'), 'Bring back'),
    el('button', { type: 'button', class: 'btn small stop', onclick: () => trying(people.erase(one._id)) }, 'Delete for good'));
}

function list() {
  const all = people.everyone();
  const chosen = all.filter((one) => (!view.label || one.labels.includes(view.label)) && fits(one, view.search));
  const section = (heading, members) => el('section', { 'aria-label': heading }, el('h2', { 'aria-hidden': 'true' }, heading), el('ul', { class: 'plain' }, members.map(row)));
  const groups = new Map();
  for (const one of chosen) groups.set(letter(one), [...(groups.get(letter(one)) ?? []), one]);
  const top = view.search ? [] : chosen.filter((one) => one.starred);
  const content = view.deleted ? [el('ul', { class: 'plain' }, people.deleted().map(gone))] : [...(top.length ? [section('At the top', top)] : []), ...[...groups].map(([first, members]) => section(first, members))];
  const focused = document.activeElement?.closest?.('#list a')?.getAttribute('href');
  $('list').replaceChildren(...((view.deleted ? people.deleted() : chosen).length ? content : [nothing(all)]));
  if (focused) $('list').querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  $('count').textContent = view.search ? `${chosen.length} found` : '';
  chips();
  const warnings = [problem];
  if (people.loaded && people.permission === 'pending') warnings.push(askToAllow('known_people', 'May this app know whom your server knows? Then people with a server of their own stand here too, and you can share with those you write down.'));
  $('warnings').replaceChildren(...warnings.filter(Boolean));
}

function nothing(all) {
  if (view.deleted) return empty('trash', 'Nobody deleted', 'Whom you delete stays here for 30 days.');
  if (view.search) return empty('search', 'Nobody found', `Nothing anybody has is like “${view.search}”.`);
  if (problem) return el('p', {});
  if (!people.loaded) return el('p', { class: 'soft pad' }, 'Fetching the people you know …');
  if (all.length) return empty('tag', 'Nobody here', `Nobody has the label “${view.label}” any more.`);
  return empty('people', 'The people you know', 'Write somebody down, or bring your address book along: any phone and service gives it out as a file of cards (.vcf).',
    el('button', { type: 'button', class: 'btn', onclick: () => $('cards').click() }, icon('upload'), 'Choose a file'));
}

function chips() {
  const chip = (label, to, picture) => el('button', { type: 'button', class: 'chip', 'aria-pressed': String(view.label === to.label && view.deleted === to.deleted), onclick: () => { Object.assign(view, to); list(); } }, picture && icon(picture), label);
  const labels = people.labels();
  const gone = people.deleted().length;
  const focused = [...$('labels').children].indexOf(document.activeElement);
  $('labels').hidden = !labels.length && !gone && !view.deleted;
  $('labels').replaceChildren(chip('Everyone', { label: '', deleted: false }), ...labels.map((label) => chip(label, { label, deleted: false })),
    ...(gone || view.deleted ? [chip('Deleted', { label: '', deleted: true }, 'trash')] : []));
  if (focused >= 0) $('labels').children[Math.min(focused, $('labels').children.length - 1)].focus();
  known.replaceChildren(...labels.map((label) => el('option', { value: label })));
}

const known = document.body.appendChild(el('datalist', { id: 'known-labels' }));

// --- cards in and out ---------------------------------------------------------------------

async function takeIn(chosen) {
  const found = (await Promise.all(chosen.map((file) => file.text()))).flatMap(parse);
  if (!found.length) { toast('No people are in there. A file of cards ends in .vcf.'); return; }
  const progress = (at, of) => { $('count').textContent = `${at} of ${of}`; };
  const { added, doubles } = await trying(people.takeIn(found, progress));
  if (!added.length) { toast(doubles === 1 ? 'This person is here already.' : `All ${doubles} are here already.`); return; }
  const were = doubles ? ` ${doubles} ${doubles === 1 ? 'was' : 'were'} here already.` : '';
  toast(`${added.length} ${added.length === 1 ? 'person is' : 'people are'} added.${were}`, () => trying(people.delete(added)));
}

async function base64(path) {
  const bytes = new Uint8Array(await (await files.bytes(path)).arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

async function saveCards(chosen) {
  const cards = [];
  for (const one of chosen) cards.push(write(one, one.photo ? await base64(one.photo).catch(() => '') : ''));
  saveAs(`${chosen.length === 1 ? fileName(chosen[0].name, 'person') : 'contacts'}.vcf`, new Blob(cards, { type: 'text/vcard' }));
}

async function more() {
  const everyone = people.everyone();
  const answer = await sheet('Contacts', el('p', { class: 'soft' }, `${everyone.length} ${everyone.length === 1 ? 'person' : 'people'}, on your own server. Cards (.vcf) are what phones and other services understand.`), [
    { label: 'Add from a file', value: 'in', kind: 'main' }, { label: 'Download everyone', value: 'out' }, { label: 'Shortcuts', value: 'keys', kind: 'bare' }]);
  if (answer === 'in') $('cards').click();
  if (answer === 'out') await trying(saveCards(everyone));
  if (answer === 'keys') showKeys(keys);
}

const keys = [['N', 'New person'], ['/', 'Search'], ['E', 'Edit who is open'], ['↑ ↓', 'Move in the list'], ['Esc', 'Back to the list'], ['?', 'This list']];

function step(by) {
  const links = [...$('list').querySelectorAll('a')];
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
}

onKeys({
  n: begin, '/': () => $('search').focus(), '?': () => showKeys(keys), e: () => $('edit')?.click(), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  Escape: () => { if (view.search && document.activeElement === $('search')) { $('search').value = view.search = ''; list(); } else if (!card.writing) open(null); },
});

// --- start --------------------------------------------------------------------------------

people.addEventListener('change', () => { if (card.writing) list(); else route(); });
addEventListener('popstate', () => { card.form?.remove(); route(); });

async function load() {
  try {
    await people.load();
    problem = null;
  } catch (error) {
    problem = trouble(error, load, 'The people you know are safe on your server.');
  }
  if (card.writing) list(); else route();
}

onReturn(load);
card.blank();
list();
await load();
