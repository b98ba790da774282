// Files: the folder that is open, what is chosen in it, and what the buttons do.

import { bytes, el, empty, icon, iconButton, sheet, toast, when } from './kit/dom.js';
import { app, files } from './kit/api.js';
import { $, allowed, askText, askToAllow, copy, holdsAll, onKeys, onReturn, permissionPage, showKeys, takeDrops, trouble, trying, wayHome } from './kit/frame.js';
import { Queue } from './kit/queue.js';
import { showQueue } from './kit/queued.js';
import { recordAddress } from './kit/sharing.js';
import { Cabinet, codeOf } from './cabinet.js';
import { picture } from './kinds.js';
import { showFile } from './viewer.js';

const cabinet = new Cabinet();
const queue = await Queue.open(cabinet.uploads);
const picked = new Set();
let search = '';
let problem = null;
let mayShare = 'pending';

wayHome();
$('help').append(icon('help'));
$('add').prepend(icon('upload'));
$('new-folder').prepend(icon('folder'));
$('new-folder').setAttribute('aria-label', 'New folder');
$('help').addEventListener('click', () => showKeys(keys));
$('add').addEventListener('click', () => $('chosen').click());
$('new-folder').addEventListener('click', makeFolder);
$('chosen').addEventListener('change', () => { take([...$('chosen').files]); $('chosen').value = ''; });
$('search').addEventListener('input', () => { search = $('search').value; picked.clear(); draw(); });

// --- where one is ---------------------------------------------------------------------------

const BIN = 'deleted';
const at = () => decodeURIComponent(location.hash.slice(1)).replace(/^main$/, '');
const here = () => (at() === BIN || !cabinet.folder(at()) ? '' : at());

function go(to) {
  if (at() !== to) history.pushState(null, '', to ? `#${encodeURIComponent(to)}` : location.pathname + location.search);
  $('search').value = search = '';
  picked.clear();
  draw();
}
addEventListener('popstate', () => { picked.clear(); draw(); });

function draw() {
  const folder = cabinet.folder(at());
  document.title = folder ? `${folder.name} · Files` : 'Files';
  $('warnings').replaceChildren(...(problem ? [problem] : []));
  const focused = document.activeElement?.closest?.('#main [data-focus]')?.dataset.focus;
  if (!cabinet.loaded) $('main').replaceChildren(problem ? '' : el('p', { class: 'soft pad' }, 'Fetching your files …'));
  else $('main').replaceChildren(...(at() === BIN ? bin() : search ? found() : page()));
  if (focused) $('main').querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  toolbar();
}

// --- a folder -------------------------------------------------------------------------------

function trail() {
  const way = cabinet.way(here());
  const step = (folder, last) => el('li', {}, last ? el('h2', { 'aria-current': 'page' }, el('b', {}, folder.name)) : el('a', { href: `#${folder._id}`, onclick: (event) => { event.preventDefault(); go(folder._id); } }, folder.name));
  const steps = [{ _id: '', name: 'All files' }, ...way];
  const folder = way.at(-1);
  const gone = cabinet.deleted();
  return el('nav', { class: 'trail', 'aria-label': 'Where this is' }, el('ol', {}, steps.map((one, index) => step(one, index === steps.length - 1))), el('span', { class: 'push row' },
    folder ? iconButton('menu', `More about ${folder.name}`, () => more(folder)) : null,
    !folder && gone.files.length + gone.folders.length ? el('button', { type: 'button', class: 'btn bare small', onclick: () => go(BIN) }, icon('trash'), 'Deleted') : null));
}

function page() {
  const { folders, files: own } = cabinet.inside(here());
  if (!folders.length && !own.length) return [trail(), nothing()];
  return [trail(), el('ul', { class: 'files plain' }, folders.map(row), own.map((file) => row(file, own)))];
}

function nothing() {
  if (queue.items.length) return '';
  const add = el('button', { type: 'button', class: 'btn main', onclick: () => $('chosen').click() }, icon('upload'), 'Upload');
  return here() ? empty('folder', 'An empty folder', 'Drop files here, or choose some.', add) : empty('folder', 'Your first files', 'Choose as many as you like, or drop them here. They stay as they are, on your own server.', add);
}

function found() {
  const own = cabinet.files.all().filter((file) => holdsAll(file.name, search));
  const folders = cabinet.folders.all().filter((folder) => holdsAll(folder.name, search));
  if (!own.length && !folders.length) return [empty('search', 'Nothing found', `No file and no folder is called “${search}”.`)];
  const where = (thing) => cabinet.way(thing.folder).map((folder) => folder.name).join(' / ') || 'All files';
  return [el('p', { class: 'pad soft', role: 'status' }, `${own.length + folders.length} found`), el('ul', { class: 'files plain' }, folders.map((folder) => row(folder, [], where(folder))), own.map((file) => row(file, own, where(file))))];
}

function row(thing, own, where) {
  const isFolder = Boolean(cabinet.folders.get(thing._id));
  const inside = isFolder ? cabinet.below(thing._id).files : [];
  const facts = isFolder ? `${inside.length} ${inside.length === 1 ? 'file' : 'files'}` : [bytes(thing._file_size ?? 0), when(thing.changed_at || thing._date_created)].join(' · ');
  const look = isFolder ? icon('folder') : thing.small ? el('img', { src: files.address(thing.small), alt: '', loading: 'lazy', onerror: (event) => again(event.target, thing) }) : icon(picture(thing._mime_type));
  if (isFolder) look.classList.add('folder');
  const open = () => (isFolder ? go(thing._id) : lookAt(thing, Array.isArray(own) ? own : [thing]));
  const box = el('input', { type: 'checkbox', checked: picked.has(thing._id), 'aria-label': `Choose ${thing.name}`, 'data-focus': `box-${thing._id}`, onchange: () => { if (box.checked) picked.add(thing._id); else picked.delete(thing._id); toolbar(); } });
  return el('li', {}, el('label', { class: 'tickbox' }, box),
    el('button', { type: 'button', class: 'file', 'data-focus': `open-${thing._id}`, onclick: open }, look, el('span', {}, el('b', {}, thing.name), el('small', { class: 'soft' }, typeof where === 'string' ? `${facts} · in ${where}` : facts, cabinet.isShared(thing) ? el('span', {}, icon('link'), el('span', { class: 'vh' }, 'has a link')) : null))),
    iconButton('menu', `More about ${thing.name}`, () => more(thing), { 'data-focus': `more-${thing._id}` }));
}

// The token in a picture's address ends some day: fetch a new one, once.
async function again(img, file) {
  if (img.dataset.again) return;
  img.dataset.again = '1';
  await files.ready(true).catch(() => {});
  img.src = files.address(file.small);
}

function lookAt(file, list) {
  const shown = list.filter((one) => !one.deleted_at);
  showFile(shown, shown.indexOf(file), { onshare: shareThing, ondelete: (one) => remove([one]) });
}

function bin() {
  const { folders, files: own } = cabinet.deleted();
  const line = (thing, records) => el('li', {}, el('span', { class: 'tickbox' }), el('span', { class: 'file' }, icon(records === cabinet.folders ? 'folder' : picture(thing._mime_type)), el('span', {}, el('b', {}, thing.name), el('small', { class: 'soft' }, `Deleted ${when(thing.deleted_at)}`))),
    el('span', { class: 'row' }, el('button', { type: 'button', class: 'btn small', onclick: () => trying(records.restore(thing._id)) }, icon('undo'), 'Bring back'), iconButton('trash', `Delete ${thing.name} for good`, () => erase(thing, records), { class: 'btn icon stop' })));
  const list = [...folders.map((folder) => line(folder, cabinet.folders)), ...own.map((file) => line(file, cabinet.files))];
  return [el('nav', { class: 'trail', 'aria-label': 'Where this is' }, iconButton('back', 'All files', () => go('')), el('h2', {}, 'Deleted')), list.length ? el('ul', { class: 'files plain' }, list) : empty('trash', 'Nothing deleted', 'What you delete stays here for 30 days.')];
}

// --- what one does --------------------------------------------------------------------------

const thing = (id) => cabinet.files.get(id) ?? cabinet.folders.get(id);

function toolbar() {
  const chosen = [...picked].map(thing).filter((one) => one && !one.deleted_at);
  $('picked').hidden = !chosen.length;
  const act = (name, label, run, kind = '') => el('button', { type: 'button', class: `btn ${kind}`, onclick: run }, icon(name), el('span', {}, label));
  const only = chosen.filter((one) => cabinet.files.get(one._id));
  $('picked').replaceChildren(el('b', { role: 'status' }, `${chosen.length} chosen`), act('folder', 'Move', () => move(chosen)), ...(only.length === chosen.length ? [act('download', 'Download', () => download(only))] : []), act('trash', 'Delete', () => remove(chosen)));
}

async function makeFolder() {
  const name = await askText('A new folder', 'Name', { button: 'Make it', maxlength: '120' });
  if (!name) return;
  if (at() === BIN) go('');
  const { id, saved } = cabinet.makeFolder(here(), name);
  await trying(saved);
  toast(`The folder “${cabinet.folders.get(id).name}” is made.`);
}

async function more(one) {
  const isFolder = Boolean(cabinet.folders.get(one._id));
  const facts = isFolder ? '' : `${bytes(one._file_size ?? 0)}, ${one._mime_type || 'unknown kind'}, ${when(one.changed_at || one._date_created)}`;
  const answer = await sheet(one.name, el('p', { class: 'soft' }, facts), [
    { label: cabinet.isShared(one) ? 'Its link' : 'Share by a link', value: 'share', kind: 'main' }, ...(isFolder ? [] : [{ label: 'Download', value: 'download' }]), { label: 'Rename', value: 'rename' }, { label: 'Move', value: 'move' }, { label: 'Delete', value: 'delete', kind: 'stop' }]);
  await ({ share: () => shareThing(one), download: () => download([one]), rename: () => rename(one), move: () => move([one]), delete: () => remove([one]) }[answer])?.();
}

async function rename(one) {
  const records = cabinet.folders.get(one._id) ? cabinet.folders : cabinet.files;
  const name = await askText('Rename', 'Name', { value: one.name, button: 'Rename', maxlength: '200' });
  if (!name || name === one.name) return;
  const before = one.name;
  await trying(records.change(one._id, { name: cabinet.freeName(one.folder, name, one._id) }));
  toast('Renamed.', () => trying(records.change(one._id, { name: before })));
}

async function move(things) {
  const below = new Set(things.flatMap((one) => (cabinet.folders.get(one._id) ? [one._id, ...cabinet.below(one._id).folders.map((folder) => folder._id)] : [])));
  const options = [];
  const walk = (id, depth) => { for (const folder of cabinet.inside(id).folders) if (!below.has(folder._id)) { options.push([folder._id, `${'\u2003'.repeat(depth)}${folder.name}`]); if (depth < 20) walk(folder._id, depth + 1); } };
  walk('', 1);
  const select = el('select', { class: 'input', id: 'move-to', size: '8' }, [['', 'All files'], ...options].map(([id, name]) => el('option', { value: id, selected: id === things[0].folder }, name)));
  const answer = await sheet(things.length === 1 ? `Move “${things[0].name}”` : `Move ${things.length} things`, el('div', { class: 'field' }, el('label', { for: 'move-to' }, 'Into'), select), [{ label: 'Move', value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  if (answer !== 'yes') return;
  const [to, from] = [select.value, new Map(things.map((one) => [one._id, one.folder]))];
  picked.clear();
  await trying(cabinet.move(things, to));
  toast(`Moved to “${cabinet.folder(to)?.name ?? 'All files'}”.`, () => trying((async () => { for (const one of things) await cabinet.move([thing(one._id)], from.get(one._id)); })()));
}

async function remove(things) {
  picked.clear();
  const folder = cabinet.folder(at());
  const { done, back } = cabinet.delete(things);
  if (folder && things.includes(folder)) go(folder.folder);
  toast(things.length === 1 ? `“${things[0].name}” is deleted.` : `${things.length} things are deleted.`, () => trying(done.then(back)));
  await trying(done);
}

async function erase(one, records) {
  const answer = await sheet('Delete for good?', el('p', {}, `“${one.name}” is deleted from your server. This cannot be undone.`), [{ label: 'Delete for good', value: 'yes', kind: 'stop' }, { label: 'Keep', value: '', kind: 'bare' }]);
  if (answer === 'yes') await trying(records.erase(one._id));
}

function download(list) {
  list.forEach((file, index) => setTimeout(() => {
    const link = el('a', { href: files.address(file._id, true), download: file.name });
    document.body.append(link);
    link.click();
    link.remove();
  }, index * 300));
}

const folderAddress = (folder) => `${location.origin}/public/pages/${app}/folder#${new URLSearchParams({ f: folder._id, c: folder.code, n: folder.name })}`;

async function shareThing(one) {
  if (mayShare !== 'granted') mayShare = await trying(allowed('links'));
  if (mayShare !== 'granted') {
    await sheet('Share by a link', el('p', {}, 'Your server asks you first whether this app may hand out links. ', el('a', { href: permissionPage }, 'Go there and allow it')), [{ label: 'Close', value: '', kind: 'main' }]);
    return;
  }
  const isFolder = Boolean(cabinet.folders.get(one._id));
  if (!cabinet.isShared(one)) await trying(isFolder ? cabinet.linkFolder(one) : cabinet.link(one));
  const now = thing(one._id);
  if (!cabinet.isShared(now)) { toast('The folder is empty. Put something in first.'); return; }
  const address = isFolder ? folderAddress(now) : recordAddress('files', now._id, codeOf(now));
  const says = isFolder ? 'Whoever has this link sees what is in the folder, also what you put in later.' : 'Whoever has this link sees the file.';
  const answer = await sheet(`Link to “${now.name}”`, el('div', { class: 'stack' }, el('p', {}, says, ' Nobody else does, and no search finds it.'), el('p', { class: 'link' }, address)), [{ label: 'Copy the link', value: 'copy', kind: 'main' }, { label: 'Close', value: '' }, { label: 'Take the link back', value: 'stop', kind: 'stop' }]);
  if (answer === 'copy') await copy(address);
  if (answer === 'stop') {
    await trying(isFolder ? cabinet.unlinkFolder(now) : cabinet.unlink(now));
    toast('The link opens nothing any more.');
  }
}

// --- uploads, keys, start -------------------------------------------------------------------

async function take(chosen) {
  if (at() === BIN) go('');
  await queue.add(chosen, () => false, { folder: here() });
}

showQueue($('queue'), queue, (many) => (many === 1 ? 'The file is on your server.' : `${many} files are on your server.`));
takeDrops('Let go to put these files here', take);

const keys = [['U', 'Upload'], ['N', 'New folder'], ['/', 'Search'], ['↑ ↓', 'Move in the list'], ['Enter', 'Open'], ['Backspace', 'One folder up'], ['?', 'This list']];

function step(by) {
  const rows = [...$('main').querySelectorAll('button.file')];
  const index = rows.indexOf(document.activeElement?.closest?.('li')?.querySelector('button.file'));
  rows[Math.max(0, Math.min(rows.length - 1, index + by))]?.focus();
}

onKeys({
  u: () => $('chosen').click(), n: makeFolder, '/': () => $('search').focus(), '?': () => showKeys(keys), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  Backspace: () => { if (at()) go(cabinet.folder(at())?.folder ?? ''); }, Escape: () => { if (search) { $('search').value = search = ''; draw(); } else if (picked.size) { picked.clear(); draw(); } },
});

let wanted = 0;
cabinet.addEventListener('change', () => { cancelAnimationFrame(wanted); wanted = requestAnimationFrame(draw); });

async function load() {
  try {
    await cabinet.load();
    mayShare = await allowed('links');
    problem = mayShare === 'pending' ? askToAllow('links', 'May this app hand out links to files? Until you say so it keeps everything to yourself.') : null;
  } catch (error) {
    problem = trouble(error, load, 'Your files are safe on your server.');
  }
  draw();
}

onReturn(load);
draw();
await load();
