// Blog: all posts beside the one that is open. On a phone one of the two is shown, and the address says which.

import { banner, el, empty, icon, sheet, toast, when } from './kit/dom.js';
import { app, files, serverAddress } from './kit/api.js';
import { $, askToAllow, holdsAll, onKeys, onReturn, showKeys, takeDrops, trouble, trying, wayHome } from './kit/frame.js';
import { Writings } from './kit/writings.js';
import { Editor, standing } from './editor.js';
import { LOOKS, summary } from './paper.js';
import { Press } from './press.js';

const store = await Writings.open('drafts', { slug: '', tags: [], published_at: 0, published: '' });
const press = new Press();
let search = '';
let busy = false;
let ready = false;
let problem = null;

wayHome();
$('visit').append(icon('eye'));
$('visit').href = '/?as=visitor';
$('about').append(icon('gear'));
$('new').prepend(icon('add'));
$('new').addEventListener('click', begin);
$('about').addEventListener('click', askAbout);
$('search').addEventListener('input', () => { search = $('search').value; list(); });

const editor = new Editor($('editor'), store, { onback: () => open(null), onnew: begin, onpublish: publish, ondown: takeDown, ondelete: remove, busy: () => busy || !ready });
takeDrops('Let go to put these pictures into the post', (chosen) => { if (editor.id) editor.addPictures(chosen); });

const openId = () => decodeURIComponent(location.hash.slice(1));

function open(id) {
  if (openId() !== (id ?? '')) history.pushState(null, '', id ? `#${encodeURIComponent(id)}` : location.pathname + location.search);
  route();
}

function route() {
  const id = openId();
  if (id !== 'editor') editor.show(id && store.get(id) ? id : null);
  $('app').dataset.view = editor.id ? 'open' : 'list';
  document.title = editor.id ? `${store.get(editor.id).title || 'Untitled'} · Blog` : 'Blog';
  list();
}

function begin() {
  open(store.create());
  editor.focus();
}

const WORDS = { draft: ['', 'Draft'], published: ['ok', 'Published'], ahead: ['warn', 'Changed'], deleted: ['', 'Deleted'] };

function row(draft) {
  const [kind, words] = WORDS[draft.deleted_at ? 'deleted' : standing(draft)];
  return el('li', {}, el('a', { href: `#${encodeURIComponent(draft.id)}`, 'aria-current': draft.id === editor.id ? 'true' : undefined },
    el('span', { class: 'top' }, el('b', {}, draft.title || 'Untitled'), el('span', { class: `badge ${kind}` }, words)),
    el('span', { class: 'bottom' }, el('time', {}, when(draft.published_at || draft.written_at)), ' ', summary(draft.text, 110))));
}

function list() {
  const all = store.all().filter((draft) => holdsAll(`${draft.title}\n${draft.text}\n${draft.tags.join(' ')}`, search));
  const order = (a, b) => Boolean(a.deleted_at) - Boolean(b.deleted_at) || Boolean(a.published_at) - Boolean(b.published_at) || (b.published_at || b.written_at) - (a.published_at || a.written_at);
  const nothing = search ? empty('search', 'Nothing found', `No post holds “${search}”.`) : store.state === 'opening' ? el('p', { class: 'soft pad' }, 'Fetching your posts …') : empty('pen', 'Your first post', 'Write as long as you like. Nobody sees it until you publish it.');
  $('list').replaceChildren(...(all.length ? all.sort(order).map(row) : [el('li', { class: 'none' }, nothing)]));
}

function say() {
  const many = store.waiting();
  const waits = many ? `, ${many} ${many === 1 ? 'change' : 'changes'} kept here` : '';
  const [kind, text] = { opening: ['waiting', 'Opening'], saved: ['', 'Saved on your server'], saving: ['waiting', 'Saving'], waiting: ['waiting', 'Saving'], offline: ['waiting', `Offline${waits}`], busy: ['waiting', `Server busy${waits}`] }[store.state] ?? ['wrong', `Not saved${waits}`];
  $('state').className = `state ${kind}`;
  $('state').textContent = busy ? 'Publishing' : text;
  const published = store.all().some((draft) => draft.published_at);
  const warnings = [problem];
  if (store.state === 'signed-out') warnings.push(banner('warn', 'You are signed out. What you write is kept in this browser.', el('a', { href: `${serverAddress}/open/${app}` }, 'Sign in again')));
  if (['full', 'refused', 'broken'].includes(store.state)) warnings.push(banner('danger', `${store.problem} What you wrote is kept in this browser.`, el('button', { type: 'button', onclick: () => store.sync() }, 'Try again')));
  if (ready && published && press.pages !== 'granted') warnings.push(askToAllow('pages', 'Visitors see nothing yet: your server asks you first whether this app may show pages to everyone.'));
  else if (ready && published && press.followers === 'pending') warnings.push(askToAllow('followers', 'May people on other servers follow this blog with their readers? Any feed reader can already.'));
  $('warnings').replaceChildren(...warnings.filter(Boolean));
}

// --- publishing -----------------------------------------------------------------------------

/** One thing at a time is changed of what visitors see, and only from words that are on the server. */
async function pressing(act) {
  busy = true;
  editor.said();
  say();
  try {
    await store.sync();
    if (store.waiting()) { toast('What you wrote is not on your server yet. It is published when it can be reached.'); return false; }
    await trying(act());
    await store.sync();
    return true;
  } finally {
    busy = false;
    editor.said();
    say();
  }
}

async function publish(id) {
  const draft = store.get(id);
  if (!draft.title.trim()) { $('editor').querySelector('.headline').focus(); toast('Give the post a title first.'); return; }
  const done = await pressing(async () => store.change(id, await press.publish(store.get(id), store.all())));
  if (done) toast(press.pages === 'granted' ? `Published at ${location.host}/${store.get(id).slug}` : 'Published. Visitors see it as soon as you allow this app to show pages.');
}

async function takeDown(id) {
  const done = await pressing(async () => store.change(id, await press.takeDown(store.get(id), store.all())));
  if (done) toast('The post is taken down.', () => publish(id));
  return done;
}

async function remove(id) {
  const was = store.get(id).published_at;
  if (was && !await takeDown(id)) return;
  store.change(id, { deleted_at: Date.now() });
  open(null);
  toast(was ? 'The post is taken down and deleted.' : 'The post is deleted.', () => { store.change(id, { deleted_at: 0 }); open(id); });
}

async function askAbout() {
  const { about } = press;
  const title = el('input', { class: 'input', id: 'blog-title', value: about.title, maxlength: '120', required: true, autocomplete: 'off' });
  const tagline = el('input', { class: 'input', id: 'blog-tagline', value: about.tagline, maxlength: '240', autocomplete: 'off' });
  const looks = el('fieldset', {}, el('legend', {}, 'Look'), el('div', { class: 'looks' }, LOOKS.map(([value, label]) => el('label', { class: 'choice' }, el('input', { type: 'radio', name: 'look', value, checked: about.look === value }), label))));
  const answer = await sheet('The blog', el('div', { class: 'stack' }, el('div', { class: 'field' }, el('label', { for: 'blog-title' }, 'Title'), title), el('div', { class: 'field' }, el('label', { for: 'blog-tagline' }, 'A line below it'), tagline), looks), [{ label: 'Save', value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  if (answer !== 'yes') return;
  const fields = { title: title.value.trim() || about.title, tagline: tagline.value.trim(), look: looks.querySelector(':checked').value };
  if (await pressing(() => press.change(fields, store.all()))) toast('Every page of the blog is so from now on.');
}

// --- start ----------------------------------------------------------------------------------

const keys = [['N', 'New post'], ['/', 'Search'], ['Ctrl B, I, K', 'Bold, italic, link'], ['Esc', 'Back to the list'], ['?', 'This list']];
onKeys({ n: begin, '/': () => $('search').focus(), '?': () => showKeys(keys), Escape: () => { if (search) { $('search').value = search = ''; list(); } else open(null); } });

store.addEventListener('state', () => { say(); list(); });
store.addEventListener('change', () => { say(); list(); });
store.addEventListener('both', ({ detail }) => { toast('This post was also changed elsewhere. Both versions are kept; yours is the one marked “other version”.'); if (editor.id === detail.id) open(detail.copy); });
addEventListener('popstate', route);
addEventListener('hashchange', route);
addEventListener('beforeunload', (event) => { if (busy || (store.waiting() && !store.lasting)) event.preventDefault(); });

async function load() {
  try {
    await files.ready();
    await press.load();
    ready = true;
    problem = null;
  } catch (error) {
    problem = trouble(error, load, 'What you wrote is safe, and what you published is still there.');
  }
  editor.said();
  say();
}

onReturn(() => { store.sync(); load(); });
route();
say();
await Promise.all([store.sync(), load()]);
editor.id = null;
route();
