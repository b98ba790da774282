// Reader: what those one follows have said, in the order of time, and what one says oneself.

import { banner, el, empty, icon, iconButton, sheet, toast, when } from './kit/dom.js';
import { app, serverAddress, table, tableOf, user } from './kit/api.js';
import { $, allowed, askText, askToAllow, copy, onKeys, onReturn, showKeys, trouble, trying, wayHome } from './kit/frame.js';
import { render } from './kit/markdown.js';
import { Records } from './kit/records.js';
import { recordAddress, share } from './kit/sharing.js';
import { feed, find, person } from './sources.js';

const posts = new Records('posts', { text: '', answers: '', published_at: 0 });
const follows = new Records('follows', { name: '', server: '', url: '' });
const seen = table('seen');
const may = { others: 'pending', posts: 'pending', known_people: 'pending' };
const read = new Map(); // id of a follow → { items, wrong }
let known = [];
let seenAt = 0;
let problem = null;
let fetching = 0;

wayHome();
$('help').append(icon('help'));
$('help').addEventListener('click', () => showKeys(keys));

// --- what is shown --------------------------------------------------------------------------

const view = () => decodeURIComponent(location.hash.slice(1)).replace(/^stream$/, '');
const followed = () => follows.all().find((one) => one._id === view());
const byName = (a, b) => a.name.localeCompare(b.name);

function go(to) {
  if (view() !== to) history.pushState(null, '', to ? `#${encodeURIComponent(to)}` : location.pathname + location.search);
  $('app').dataset.view = 'open';
  draw();
}

const mine = () => posts.all().map((post) => ({ id: post._id, own: post, by: '', title: '', text: post.text, answers: post.answers, url: recordAddress('posts', post._id), at: post.published_at }));
const of = (one) => (read.get(one._id)?.items ?? []).map((item) => ({ ...item, from: one }));

function items() {
  if (view() === 'mine') return mine();
  if (followed()) return of(followed());
  return [...mine(), ...follows.all().flatMap(of)];
}

function draw() {
  drawLists();
  const one = followed();
  const name = one?.name ?? (view() === 'mine' ? 'What you said' : 'Everything');
  document.title = `${name} · Reader`;
  $('head').replaceChildren(...[iconButton('menu', 'Whom you follow', () => { $('app').dataset.view = 'list'; $('lists').querySelector('a')?.focus(); }, { class: 'btn icon only-phone' }), el('h2', {}, name),
    one ? iconButton('pen', `Call ${one.name} something else`, () => rename(one)) : null, one ? iconButton('close', `Follow ${one.name} no longer`, () => unfollow(one)) : null,
    view() === 'mine' ? iconButton('feed', 'Copy the address of your feed', () => copy(`${serverAddress}/public/rss/@${user}/${app}`, 'The address of your feed is copied.')) : null].filter(Boolean));
  $('say').hidden = Boolean(one);
  $('state').hidden = !fetching;
  $('state').className = 'state waiting';
  $('state').textContent = `Asking ${fetching} ${fetching === 1 ? 'server' : 'servers'}`;
  const warnings = [problem];
  if (posts.loaded && follows.all().length && may.others !== 'granted') warnings.push(banner('warn', 'Your server asks you first whether this page may fetch what others publish.', el('a', { href: `${serverAddress}/.freehold/permissions` }, 'Go there and allow it')));
  if (posts.loaded && posts.all().length && may.posts !== 'granted') warnings.push(askToAllow('posts', 'Nobody sees what you post yet: your server asks you first.'));
  const wrong = one && read.get(one._id)?.wrong;
  if (wrong) warnings.push(banner('warn', `${wrong} What is here was read before, if anything is.`, el('button', { type: 'button', onclick: () => look([one]) }, 'Try again')));
  $('warnings').replaceChildren(...warnings.filter(Boolean));
  const focused = document.activeElement?.closest?.('#items [data-id]')?.dataset.id;
  const shown = items().sort((a, b) => b.at - a.at).slice(0, 300);
  const list = [];
  shown.forEach((item, at) => {
    // A line between what is new and what was shown before; not above all, nor below.
    if (!view() && at > 0 && seenAt && item.at <= seenAt && shown[at - 1].at > seenAt) list.push(el('p', { class: 'until' }, 'You read until here'));
    list.push(article(item));
  });
  $('items').replaceChildren(...(shown.length ? list : [nothing(one)]));
  if (focused) $('items').querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function nothing(one) {
  if (!posts.loaded) return problem ? el('p', {}) : el('p', { class: 'soft' }, 'Fetching …');
  if (one) return read.get(one._id) ? empty('feed', 'Nothing yet', `${one.name} has not said anything to everyone.`) : el('p', { class: 'soft' }, may.others === 'granted' ? 'Fetching …' : '');
  if (view() === 'mine') return empty('pen', 'You have said nothing yet', 'What you post stays on your own server, and everyone can read it there.');
  return empty('people', 'Follow somebody', 'People with a server of their own, and blogs that have a feed.', el('button', { type: 'button', class: 'btn', onclick: askFollow }, icon('add'), 'Follow somebody'));
}

function drawLists() {
  const line = (to, name, picture, more) => el('li', {}, el('a', { href: `#${encodeURIComponent(to)}`, 'aria-current': view() === to ? 'page' : undefined, onclick: (event) => { event.preventDefault(); go(to); } }, picture, el('span', {}, name), more ?? null));
  const sign = (one) => { const state = read.get(one._id); return state?.wrong ? el('small', { class: 'wrong' }, icon('warn'), el('span', { class: 'vh' }, 'could not be read')) : null; };
  const suggested = known.filter((who) => !follows.all().some((one) => one.server === who)).slice(0, 8);
  $('lists').replaceChildren(
    el('ul', { class: 'plain lists' }, line('', 'Everything', icon('list')), line('mine', 'What you said', icon('pen'))),
    el('section', { 'aria-label': 'Followed' }, el('h2', {}, 'You follow'), el('ul', { class: 'plain lists' }, follows.all().sort(byName).map((one) => line(one._id, one.name, icon(one.server ? 'person' : 'feed'), sign(one)))),
      el('p', { class: 'pad' }, el('button', { type: 'button', class: 'btn', id: 'follow', onclick: askFollow }, icon('add'), 'Follow somebody'))),
    suggested.length ? el('section', { 'aria-label': 'People you know' }, el('h2', {}, 'People you know'), el('ul', { class: 'plain' }, suggested.map((who) => el('li', { class: 'pad row' }, el('span', {}, who), el('button', { type: 'button', class: 'btn small push', 'aria-label': `Follow ${who}`, onclick: () => follow(who) }, 'Follow'))))) : '');
}

function article(item) {
  const name = item.own ? 'You' : item.from.name;
  const text = el('div', { class: 'prose' });
  const long = item.text.length > 900 && item.title;
  text.append(render(long ? `${item.text.slice(0, 700).replace(/\s+\S*$/, '')} …` : item.text));
  const acts = item.own
    ? [el('button', { type: 'button', class: 'btn bare small', onclick: () => remove(item.own) }, icon('trash'), 'Delete')]
    : [long ? el('a', { class: 'btn bare small', href: item.url, target: '_blank', rel: 'noopener noreferrer' }, 'Read on') : null, el('button', { type: 'button', class: 'btn bare small', onclick: () => answer(item) }, icon('undo'), 'Answer')];
  return el('article', { class: 'item', tabindex: '-1', 'data-id': item.id, 'aria-label': `${name}, ${when(item.at)}` },
    el('p', { class: 'by' }, item.own ? el('b', {}, name) : el('a', { href: `#${encodeURIComponent(item.from._id)}`, onclick: (event) => { event.preventDefault(); go(item.from._id); } }, el('b', {}, name)),
      el('a', { class: 'soft small', href: item.url, target: '_blank', rel: 'noopener noreferrer' }, el('time', { datetime: new Date(item.at).toISOString() }, when(item.at)))),
    item.answers ? el('p', { class: 'small soft' }, 'In answer to ', el('a', { href: item.answers, target: '_blank', rel: 'noopener noreferrer' }, new URL(item.answers).hostname)) : null,
    item.title ? el('h3', {}, el('a', { href: item.url, target: '_blank', rel: 'noopener noreferrer' }, item.title)) : null, text, el('div', { class: 'acts' }, acts));
}

// --- saying something -----------------------------------------------------------------------

let answering = '';

function count() {
  const left = 2000 - $('text').value.length;
  $('left').textContent = [answering ? `In answer to ${new URL(answering).hostname}.` : '', left < 300 ? `${left} left.` : ''].filter(Boolean).join(' ');
}
$('text').addEventListener('input', count);
$('text').addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('say').requestSubmit(); });

function answer(item) {
  answering = item.url;
  go('');
  $('text').focus();
  count();
}

$('say').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  const answers = answering;
  $('text').value = '';
  answering = '';
  count();
  const { id, saved } = posts.create({ text, answers, published_at: Date.now() });
  try {
    await trying(saved);
  } catch {
    $('text').value = text;
    answering = answers;
    return;
  }
  if (may.posts === 'granted') await trying(share('posts', 'posts', [id], '_public'));
  toast(may.posts === 'granted' ? 'Posted.' : 'Kept on your server. Others see it as soon as you allow it.', () => remove(posts.get(id)));
});

/** What was taken away is shown to nobody, also not while it can be brought back. */
async function remove(post) {
  await trying(posts.erase(post._id));
  toast('The post is deleted.', () => trying(bring(post)));
}

async function bring({ _id, text, answers, published_at }) {
  await posts.create({ text, answers, published_at }, _id).saved;
  if (may.posts === 'granted') await share('posts', 'posts', [_id], '_public');
}

// --- following ------------------------------------------------------------------------------

async function askFollow() {
  const typed = await askText('Follow somebody', 'Who', { button: 'Follow', placeholder: 'bert@bert.example.org or blog.example.org', autocapitalize: 'off', spellcheck: 'false', hint: 'A person with a server of their own, or a site with a feed. Your browser asks their server; sites that do not let other pages read them cannot be followed.' });
  if (typed) await follow(typed);
}

async function follow(typed) {
  if (may.others !== 'granted') may.others = await trying(allowed('others'));
  let found;
  try {
    found = await find(typed);
  } catch (error) {
    if (may.others !== 'granted') await sheet('Follow somebody', el('p', {}, 'Your server asks you first whether this page may fetch what others publish. ', el('a', { href: `${serverAddress}/.freehold/permissions` }, 'Go there and allow it')), [{ label: 'Close', value: '', kind: 'main' }]);
    else toast(error.message);
    return;
  }
  const before = follows.all().find((one) => (found.server ? one.server === found.server : one.url === found.url));
  if (before) { toast(`You follow ${before.name} already.`); go(before._id); return; }
  const { id, saved } = follows.create(found);
  await trying(saved);
  go(id);
  toast(`You follow ${found.name}.`, () => trying(follows.erase(id)).then(() => go('')));
  await look([follows.get(id)]);
}

async function rename(one) {
  const name = await askText('Call it something else', 'Name', { value: one.name, button: 'Rename', maxlength: '120' });
  if (name) await trying(follows.change(one._id, { name }));
}

async function unfollow(one) {
  const done = follows.delete(one._id);
  go('');
  toast(`You follow ${one.name} no longer.`, () => trying(follows.restore(one._id)).then(() => look([one])));
  await trying(done);
}

const AT_ONCE = 6;

/** Asks those servers what is new. */
async function look(list) {
  if (may.others !== 'granted') return;
  const waiting = [...list];
  fetching += list.length;
  draw();
  const ask = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      try {
        read.set(one._id, { items: await (one.server ? person(one.server) : feed(one.url)), wrong: '' });
      } catch (error) {
        read.set(one._id, { items: read.get(one._id)?.items ?? [], wrong: error.message });
      }
      fetching -= 1;
      draw();
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, list.length) }, ask));
}

// --- keys and start -------------------------------------------------------------------------

const keys = [['N', 'Say something'], ['J K', 'Next, previous'], ['F', 'Follow somebody'], ['R', 'Look what is new'], ['Ctrl Enter', 'Post'], ['?', 'This list']];

function step(by) {
  const all = [...$('items').querySelectorAll('.item')];
  const at = all.indexOf(document.activeElement?.closest?.('.item'));
  all[Math.max(0, Math.min(all.length - 1, at + by))]?.focus();
}

onKeys({ n: () => { go(''); $('text').focus(); }, j: () => step(1), k: () => step(-1), f: askFollow, r: () => load(), '?': () => showKeys(keys), Escape: () => { $('app').dataset.view = 'open'; document.activeElement?.blur(); } });

let wanted = 0;
const soon = () => { cancelAnimationFrame(wanted); wanted = requestAnimationFrame(draw); };
posts.addEventListener('change', soon);
follows.addEventListener('change', soon);
addEventListener('popstate', draw);

/** Notes how far one has read, when one leaves. */
async function note() {
  const newest = Math.max(0, ...items().map((item) => item.at));
  if (newest > seenAt) await seen.upsert('seen', { at: newest }).catch(() => {});
}
document.addEventListener('visibilitychange', () => { if (document.hidden) note(); });

async function load() {
  try {
    await follows.load();
    await posts.load();
    for (const name of Object.keys(may)) may[name] = await allowed(name);
    seenAt = (await seen.read('seen').catch((error) => { if (error.kind === 'gone') return { at: 0 }; throw error; })).at;
    if (may.known_people === 'granted') known = (await tableOf('dev.ceps.contacts').all()).filter((one) => !one.blocked).map((one) => `${one.username}@${String(one.serverurl).replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, '')}`);
    if (may.posts === 'granted') {
      const waiting = posts.all().filter((post) => !(post._accessibles ?? []).some((one) => one.grantee === '_public' && one.granted)).map((post) => post._id);
      if (waiting.length) await share('posts', 'posts', waiting.slice(0, 1000), '_public');
    }
    problem = null;
  } catch (error) {
    problem = trouble(error, load, 'What you posted is safe on your server.');
  }
  draw();
  await look(follows.all());
}

onReturn(load);
draw();
await load();
