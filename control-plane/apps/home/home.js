// Home page: the form on one side, the page as visitors will see it on the other.

import { banner, el, icon, iconButton, toast, when } from './kit/dom.js';
import { files, permissions, serverAddress } from './kit/api.js';
import { Draft } from './draft.js';
import { CSS, LOOKS, address, nodes } from './page.js';

const $ = (id) => document.getElementById(id);
const draft = new Draft();
let allowed = true;
let problem = null;

$('home').append(icon('house'));
$('home').href = serverAddress;
$('publish').prepend(icon('globe'));
$('turn').addEventListener('click', () => {
  const seen = document.body.classList.toggle('looking');
  $('turn').setAttribute('aria-pressed', String(seen));
  $('turn').textContent = seen ? 'Write' : 'See it';
});

// --- the preview: the very nodes that are published, in a tree of their own so that no style leaks -------------------

const shadow = $('frame').attachShadow({ mode: 'open' });
const sheet = new CSSStyleSheet();
sheet.replaceSync(`${CSS} :host { display: grid !important; } .home { min-height: 0; }`);
shadow.adoptedStyleSheets = [sheet];

function preview() {
  const { page } = draft;
  shadow.replaceChildren(nodes(page, page.picture ? files.address(page.picture) : '', 'div'));
  for (const link of shadow.querySelectorAll('a')) link.target = '_blank';
}

// --- the form ---------------------------------------------------------------------------

function field(id, label, hint, input) {
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return el('div', { class: 'field' }, el('label', { for: id }, label), input, hint ? el('p', { class: 'hint', id: `${id}-hint` }, hint) : null);
}

function text(name, label, hint, more = {}, tag = 'input') {
  return field(name, label, hint, el(tag, { class: 'input', value: draft.page[name], autocomplete: 'off', ...more, oninput: (event) => draft.change({ [name]: event.target.value }) }));
}

function choice(name, legend, options) {
  return el('fieldset', { class: 'choices' }, el('legend', {}, legend), options.map(([value, label]) => el('label', { class: `look ${value}` },
    el('input', { type: 'radio', name, value, checked: draft.page[name] === value, onchange: () => draft.change({ [name]: value }) }), el('span', {}, label))));
}

function picture() {
  const input = el('input', { type: 'file', accept: 'image/*', hidden: true, onchange: async () => {
    const [file] = input.files;
    input.value = '';
    if (!file) return;
    try {
      await draft.setPicture(file);
      form();
      $('picture').focus();
    } catch (error) {
      toast(error.kind ? error.message : 'This browser cannot read that picture. Try a JPEG or PNG file.');
    }
  } });
  const has = Boolean(draft.page.picture);
  const remove = () => {
    const former = draft.page.picture;
    draft.change({ picture: '' });
    form();
    toast('The picture is taken out.', () => { draft.change({ picture: former }); form(); });
  };
  return el('div', { class: 'field' }, el('b', {}, 'Picture'), input,
    el('div', { class: 'row' }, el('button', { type: 'button', class: 'btn', id: 'picture', onclick: () => input.click() }, icon('picture'), has ? 'Another picture' : 'Choose a picture'),
      has ? el('button', { type: 'button', class: 'btn bare', onclick: remove }, 'Take it out') : null),
    has ? choice('shape', 'Shape', [['round', 'Round'], ['wide', 'Wide']]) : null);
}

function links() {
  const set = (list) => draft.change({ links: list });
  const move = (at, by) => { const list = [...draft.page.links]; const [link] = list.splice(at, 1); list.splice(at + by, 0, link); set(list); form(); $(`link-${at + by}`).focus(); };
  const remove = (at) => { const former = draft.page.links; set(former.filter((_, index) => index !== at)); form(); $('add-link').focus(); toast('The link is taken out.', () => { set(former); form(); }); };
  const rows = draft.page.links.map((link, at) => {
    const bad = el('p', { class: 'hint bad', id: `bad-${at}`, role: 'status' });
    const check = () => { bad.textContent = link.address.trim() && !address(link.address) ? 'This is no address yet; the link is left out until it is.' : ''; };
    const update = (name) => (event) => { link[name] = event.target.value; set([...draft.page.links]); check(); };
    check();
    return el('li', {}, el('div', { class: 'two' },
      el('input', { class: 'input', id: `link-${at}`, 'aria-label': `Link ${at + 1}, what it says`, placeholder: 'What it says', value: link.label, oninput: update('label') }),
      el('input', { class: 'input', 'aria-label': `Link ${at + 1}, address`, 'aria-describedby': `bad-${at}`, placeholder: 'example.org or name@example.org', inputmode: 'url', autocapitalize: 'off', spellcheck: 'false', value: link.address, oninput: update('address') })),
      el('div', { class: 'row tight' }, iconButton('up', `Move link ${at + 1} up`, () => move(at, -1), { disabled: at === 0 }), iconButton('down', `Move link ${at + 1} down`, () => move(at, 1), { disabled: at === draft.page.links.length - 1 }), iconButton('close', `Take link ${at + 1} out`, () => remove(at))), bad);
  });
  return el('fieldset', { class: 'field' }, el('legend', {}, 'Links'), rows.length ? el('ul', { class: 'links' }, rows) : el('p', { class: 'hint' }, 'Where else people find you: a shop, a profile, your e-mail.'),
    el('button', { type: 'button', class: 'btn', id: 'add-link', onclick: () => { set([...draft.page.links, { label: '', address: '' }]); form(); $(`link-${draft.page.links.length - 1}`).focus(); } }, icon('add'), 'Add a link'));
}

function form() {
  $('form').replaceChildren(
    text('title', 'Title', 'Usually your name.', { maxlength: '120' }),
    text('tagline', 'A line below it', '', { maxlength: '240' }),
    text('text', 'Text', 'As long as you like. Markdown works: **bold**, - lists, [links](https://example.org).', { rows: '7' }, 'textarea'),
    picture(), links(), choice('look', 'Look', LOOKS),
    el('div', { class: 'field' }, el('b', {}, 'Who sees it'), el('p', { class: 'hint' }, 'Nobody until you publish; then everyone who opens your address. The page has no script and sets no cookies.'),
      el('div', { class: 'row', id: 'public' })));
  said();
}

// --- state and publishing ---------------------------------------------------------------

function said() {
  const { state, page, published, ahead } = draft;
  const shown = published ? (ahead ? 'Changes not published yet' : `Published ${when(page.published_at)}`) : 'Not published';
  const [kind, words] = { opening: ['waiting', 'Opening'], offline: ['waiting', 'Offline, kept here'], busy: ['waiting', 'Kept here, server busy'], saved: [published && !ahead ? '' : 'waiting', shown], waiting: ['waiting', shown], saving: ['waiting', shown] }[state] ?? ['wrong', 'Not saved, kept here'];
  $('state').className = `state ${kind}`;
  $('state').textContent = words;
  $('publish').disabled = state === 'opening' || (published && !ahead);
  const warnings = [problem];
  if (!allowed) warnings.push(banner('warn', 'Your server asks you first: allow this app to use your address. Until then visitors do not see the page.', el('a', { href: serverAddress }, 'Go there and allow it')));
  if (state === 'signed-out') warnings.push(banner('warn', 'You are signed out. What you wrote is kept in this browser.', el('a', { href: `${serverAddress}/open/org.freehold.home` }, 'Sign in again')));
  if (['full', 'refused', 'broken', 'gone'].includes(state)) warnings.push(banner('danger', `${draft.problem} What you wrote is kept in this browser.`, el('button', { type: 'button', onclick: () => draft.save() }, 'Try again')));
  $('warnings').replaceChildren(...warnings.filter(Boolean));
  $('public')?.replaceChildren(...(published ? [
    el('a', { class: 'btn', href: `${serverAddress}/?as=visitor`, target: '_blank', rel: 'noopener' }, icon('eye'), 'Look at it as a visitor'),
    el('button', { type: 'button', class: 'btn bare', onclick: takeDown }, 'Take it down')] : []));
}

const trying = (promise) => promise.catch((error) => { toast(`${error.message} Nothing is lost; try again.`); throw error; });

$('publish').addEventListener('click', async () => {
  if (!draft.page.title.trim()) { $('title').focus(); toast('Give the page a title first.'); return; }
  $('publish').disabled = true;
  try {
    await trying(draft.publish());
    await ask();
    toast(allowed ? 'Published. Everyone who opens your address sees it.' : 'Published. It shows as soon as you allow it to use your address.');
  } finally {
    said();
  }
});

async function takeDown() {
  await trying(draft.takeDown());
  toast('The page is taken down.', () => trying(draft.publish()));
}

async function ask() {
  const all = await permissions();
  const list = Array.isArray(all) ? all : Object.values(all ?? {});
  allowed = list.some((one) => one.type === 'use_home_address' && one.granted);
  said();
}

draft.addEventListener('change', () => { said(); preview(); });
addEventListener('focus', () => { if (draft.state !== 'opening') ask().catch(() => {}); });
addEventListener('online', () => { if (draft.state === 'offline') draft.save(); });

async function start() {
  problem = null;
  try {
    await files.ready();
    await draft.load();
    form();
    await ask();
  } catch (error) {
    problem = banner('danger', `${error.message} What you published is still there.`, el('button', { type: 'button', onclick: start }, 'Try again'));
    said();
  }
}
await start();
