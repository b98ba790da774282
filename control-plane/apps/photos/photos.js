// Photos: what is shown, what is chosen, and what the buttons do.

import { banner, bar, bytes, el, empty, icon, iconButton, sheet, toast } from './kit/dom.js';
import { files, serverAddress } from './kit/api.js';
import { Library, byDay } from './library.js';
import { Queue } from './queue.js';
import { Viewer } from './viewer.js';

const $ = (id) => document.getElementById(id);
const library = new Library();
const queue = await Queue.open();
const picked = new Set();
let picking = false;
let problem = null;

$('home').append(icon('house'));
$('home').href = serverAddress;
$('add').prepend(icon('upload'));
$('add').addEventListener('click', () => $('chosen').click());
$('chosen').addEventListener('change', () => { take([...$('chosen').files]); $('chosen').value = ''; });

// --- which view -------------------------------------------------------------------------

const VIEWS = [['', 'Photos'], ['albums', 'Albums'], ['deleted', 'Deleted']];
const view = () => decodeURIComponent(location.hash.slice(1)).replace(/^main$/, '');
const albumId = () => (view().startsWith('album/') ? view().slice(6) : '');
const album = () => library.albums.find((one) => one._id === albumId());

function go(to) {
  if (view() !== to) history.pushState(null, '', to ? `#${encodeURIComponent(to)}` : location.pathname + location.search);
  unpick();
  draw();
}
addEventListener('popstate', () => { unpick(); draw(); });

function unpick() {
  picked.clear();
  picking = false;
}

const shown = () => library.choose({ album: albumId(), deleted: view() === 'deleted' });

function draw() {
  const now = view();
  const section = now.startsWith('album/') ? 'albums' : now;
  $('views').replaceChildren(...VIEWS.map(([to, label]) => el('button', { type: 'button', 'aria-pressed': String(section === to), onclick: () => go(to) }, label)));
  $('warnings').replaceChildren(...(problem ? [problem] : []));
  document.title = album() ? `${album().name} · Photos` : 'Photos';
  if (!library.loaded) $('main').replaceChildren(problem ? '' : el('p', { class: 'soft opening' }, 'Fetching your pictures …'));
  else if (now === 'albums') $('main').replaceChildren(albumsPage());
  else $('main').replaceChildren(...picturesPage());
  toolbar();
}

// --- pictures ---------------------------------------------------------------------------

function picturesPage() {
  const photos = shown();
  const head = heading(photos);
  if (!photos.length) return [head, nothing()];
  const groups = byDay(photos).map(([day, group]) => el('section', { class: 'day', 'aria-label': day }, el('h3', {}, day), el('ul', { class: 'grid' }, group.map((photo) => tile(photo, photos)))));
  return [head, ...groups];
}

function heading(photos) {
  const one = album();
  const many = `${photos.length} ${photos.length === 1 ? 'picture' : 'pictures'}, ${bytes(photos.reduce((sum, photo) => sum + photo.size, 0))}`;
  const choose = photos.length ? el('button', { type: 'button', class: 'btn bare push', 'aria-pressed': String(picking), onclick: () => { picking = !picking; picked.clear(); draw(); } }, picking ? 'Done' : 'Choose') : null;
  if (one) {
    return el('div', { class: 'head row' }, iconButton('back', 'All albums', () => go('albums')), el('h2', {}, one.name), el('span', { class: 'soft small' }, many), choose,
      iconButton('pen', 'Rename this album', () => rename(one)), iconButton('trash', 'Remove this album', () => removeAlbum(one)));
  }
  const title = view() === 'deleted' ? 'Deleted pictures' : 'All pictures';
  return el('div', { class: 'head row' }, el('h2', { class: view() ? '' : 'vh' }, title), el('span', { class: 'soft small' }, photos.length ? many : ''), choose);
}

function nothing() {
  if (queue.items.length && !view()) return '';
  if (view() === 'deleted') return empty('trash', 'Nothing deleted', 'Deleted pictures stay here for 30 days.');
  const add = el('button', { type: 'button', class: 'btn main', onclick: () => $('chosen').click() }, icon('upload'), 'Add photos');
  if (album()) return empty('album', 'An empty album', 'Add pictures here, or choose some under Photos and put them in.', add);
  return empty('picture', 'Your first pictures', 'Choose as many as you like, or drop them here. The originals stay as they are, on your own server.', add);
}

function tile(photo, photos) {
  const name = photo.name.replace(/\.[^.]+$/, '');
  const look = photo.thumb
    ? el('img', { src: files.address(photo.thumb), alt: name, loading: 'lazy', decoding: 'async', onerror: (event) => again(event.target, photo) })
    : el('span', { class: 'card' }, icon('picture'), photo.name);
  const label = `${picking || view() === 'deleted' ? 'Choose' : 'Open'} ${photo.thumb ? name : photo.name}`;
  const chosen = picked.has(photo);
  const act = () => {
    if (!picking && view() !== 'deleted') { viewer.show(photos, photos.indexOf(photo)); return; }
    if (chosen) picked.delete(photo); else picked.add(photo);
    draw();
    document.querySelector(`[data-id="${photo._id}"]`)?.focus();
  };
  const pressed = picking || view() === 'deleted' ? String(chosen) : undefined;
  return el('li', {}, el('button', { type: 'button', class: 'tile', 'data-id': photo._id, 'aria-label': label, 'aria-pressed': pressed, onclick: act }, look, chosen ? el('span', { class: 'tick' }, icon('check')) : null));
}

// The token in a picture's address ends some day: fetch a new one, once.
async function again(img, photo) {
  if (img.dataset.again) return;
  img.dataset.again = '1';
  await files.ready(true).catch(() => {});
  img.src = files.address(photo.thumb);
}

// --- albums -----------------------------------------------------------------------------

function albumsPage() {
  const add = () => el('button', { type: 'button', class: 'btn', onclick: newAlbum }, icon('add'), 'New album');
  if (!library.albums.length) return empty('album', 'No album yet', 'An album gathers pictures from any day. A picture can be in several.', add());
  const cards = library.albums.map((one) => {
    const photos = library.choose({ album: one._id });
    const cover = photos.find((photo) => photo.thumb);
    const count = `${photos.length} ${photos.length === 1 ? 'picture' : 'pictures'}`;
    return el('li', {}, el('a', { href: `#${encodeURIComponent(`album/${one._id}`)}`, onclick: (event) => { event.preventDefault(); go(`album/${one._id}`); } },
      cover ? el('img', { src: files.address(cover.thumb), alt: '', loading: 'lazy' }) : el('span', { class: 'card' }, icon('album')),
      el('b', {}, one.name), el('span', { class: 'soft small' }, count)));
  });
  return el('div', {}, el('div', { class: 'head row' }, el('h2', {}, 'Albums'), el('span', { class: 'push' }), add()), el('ul', { class: 'albums' }, cards));
}

async function askName(heading, value, label) {
  const field = el('input', { class: 'input', id: 'album-name', maxlength: '80', value, autocomplete: 'off', required: true });
  const answer = await sheet(heading, el('div', { class: 'field' }, el('label', { for: 'album-name' }, 'Name'), field), [{ label, value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  return answer === 'yes' ? field.value.trim() : '';
}

const trying = (promise) => promise.catch((error) => { toast(error.message); throw error; });

async function newAlbum() {
  const name = await askName('A new album', '', 'Make it');
  return name ? trying(library.addAlbum(name)) : null;
}

async function rename(one) {
  const name = await askName('Rename the album', one.name, 'Rename');
  if (name) await trying(library.renameAlbum(one, name));
}

async function removeAlbum(one) {
  const back = await trying(library.removeAlbum(one));
  go('albums');
  toast(`The album “${one.name}” is removed. Its pictures stay.`, () => trying(back()));
}

async function intoAlbum(photos) {
  const choice = el('div', { class: 'stack' }, library.albums.map((one, index) => el('label', { class: 'choice' }, el('input', { type: 'radio', name: 'album', value: one._id, checked: index === 0 }), one.name)),
    el('label', { class: 'choice' }, el('input', { type: 'radio', name: 'album', value: '', checked: !library.albums.length }), 'A new album'));
  const answer = await sheet('Put into an album', choice, [{ label: 'Put in', value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }]);
  if (answer !== 'yes') return;
  const id = choice.querySelector(':checked').value;
  const to = id ? library.albums.find((one) => one._id === id) : await newAlbum();
  if (!to) return;
  await trying(library.change(photos, (photo) => ({ albums: [...new Set([...photo.albums, to._id])] })));
  unpick();
  draw();
  toast(`${photos.length === 1 ? 'The picture is' : `${photos.length} pictures are`} in “${to.name}”.`);
}

// --- what to do with chosen pictures ------------------------------------------------------

function toolbar() {
  const bin = view() === 'deleted';
  const chosen = [...picked];
  $('picked').hidden = !chosen.length;
  const act = (name, label, run, kind = '') => el('button', { type: 'button', class: `btn ${kind}`, onclick: run }, icon(name), el('span', {}, label));
  const acts = bin
    ? [act('undo', 'Bring back', () => restore(chosen)), act('trash', 'Delete for good', () => erase(chosen), 'stop')]
    : [act('album', 'Album', () => intoAlbum(chosen)), albumId() ? act('close', 'Take out', () => takeOut(chosen)) : null, act('download', 'Download', () => download(chosen)), act('trash', 'Delete', () => remove(chosen))];
  $('picked').replaceChildren(el('b', { role: 'status' }, `${chosen.length} chosen`), ...acts.filter(Boolean));
}

async function remove(photos) {
  const done = library.change(photos, () => ({ deleted_at: Date.now() }));
  unpick();
  draw();
  toast(photos.length === 1 ? 'The picture is deleted.' : `${photos.length} pictures are deleted.`, () => trying(done.then(() => restore(photos))));
  await trying(done);
}

async function restore(photos) {
  const done = library.change(photos, () => ({ deleted_at: 0 }));
  unpick();
  draw();
  await trying(done);
}

async function erase(photos) {
  const text = photos.length === 1 ? 'The original is deleted from your server.' : `${photos.length} originals are deleted from your server.`;
  const answer = await sheet('Delete for good?', el('p', {}, `${text} This cannot be undone.`), [{ label: 'Delete for good', value: 'yes', kind: 'stop' }, { label: 'Keep', value: '', kind: 'bare' }]);
  if (answer !== 'yes') return;
  unpick();
  await trying(library.erase(photos));
}

async function takeOut(photos) {
  const id = albumId();
  await trying(library.change(photos, (photo) => ({ albums: photo.albums.filter((other) => other !== id) })));
  unpick();
  draw();
  toast('Taken out of the album.', () => trying(library.change(photos, (photo) => ({ albums: [...photo.albums, id] }))));
}

function download(photos) {
  photos.forEach((photo, index) => setTimeout(() => {
    const a = el('a', { href: files.address(photo.file, true), download: photo.name });
    document.body.append(a);
    a.click();
    a.remove();
  }, index * 300));
}

const viewer = new Viewer({ ondelete: (photo) => remove([photo]), onalbum: (photo) => intoAlbum([photo]) });

// --- uploads ----------------------------------------------------------------------------

async function take(chosen) {
  const pictures = chosen.filter((file) => file.type.startsWith('image/') || /\.(heic|heif|avif|tiff?|dng)$/i.test(file.name));
  const others = chosen.length - pictures.length;
  const doubles = await queue.add(pictures, (file) => library.has(file), albumId());
  if (others) toast(`${others} ${others === 1 ? 'file is not a picture and was' : 'files are not pictures and were'} left out.`);
  if (doubles) toast(`${doubles} ${doubles === 1 ? 'picture was' : 'pictures were'} here already.`);
}

function line(item) {
  const state = { waiting: 'Waits', sending: `${bytes(item.sent)} of ${bytes(item.size)}`, cut: `Cut: ${item.problem} Goes on by itself.`, failed: item.problem }[item.state];
  return el('li', { 'data-upload': item.id, class: item.state }, el('span', { class: 'name' }, item.name), bar(item.sent, item.size, `Upload of ${item.name}`), el('small', { class: 'soft' }, state),
    item.state === 'failed' ? iconButton('undo', `Try ${item.name} again`, () => queue.retry(item)) : null,
    iconButton('close', `Stop the upload of ${item.name}`, () => queue.stop(item)));
}

const SHOWN = 6;

function drawQueue() {
  const { items, finished } = queue;
  $('queue').hidden = !items.length;
  if (!items.length) return;
  const order = { sending: 0, failed: 1, cut: 2, waiting: 3 };
  const sorted = [...items].sort((a, b) => order[a.state] - order[b.state]);
  const all = items.length + finished;
  const safe = queue.lasting ? 'You may close this window; it goes on when you come back.' : 'Keep this window open until it is done.';
  $('queue').replaceChildren(
    el('h2', {}, `Uploading, ${finished} of ${all} done`), bar(finished, all, 'All uploads'), el('p', { class: 'soft small' }, safe),
    el('ul', { class: 'uploads' }, sorted.slice(0, SHOWN).map(line)),
    sorted.length > SHOWN ? el('p', { class: 'soft small' }, `and ${sorted.length - SHOWN} more`) : '');
}

queue.addEventListener('change', drawQueue);
queue.addEventListener('progress', ({ detail: item }) => {
  const row = document.querySelector(`[data-upload="${item.id}"]`);
  if (!row) return;
  row.querySelector('progress').value = Math.min(item.sent, item.size);
  row.querySelector('small').textContent = `${bytes(item.sent)} of ${bytes(item.size)}`;
});
queue.addEventListener('photo', ({ detail }) => library.arrived(detail));
queue.addEventListener('empty', () => {
  const failed = queue.items.length;
  if (queue.finished && !failed) toast(queue.finished === 1 ? 'The picture is on your server.' : `${queue.finished} pictures are on your server.`);
  queue.finished = 0;
});
addEventListener('online', () => queue.wake());
addEventListener('beforeunload', (event) => { if (queue.busy && !queue.lasting) event.preventDefault(); });

let over = 0;
const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
addEventListener('dragenter', (event) => { if (carries(event)) { event.preventDefault(); over += 1; $('drop').hidden = false; } });
addEventListener('dragover', (event) => { if (carries(event)) event.preventDefault(); });
addEventListener('dragleave', () => { over = Math.max(0, over - 1); $('drop').hidden = over === 0; });
addEventListener('drop', (event) => { event.preventDefault(); over = 0; $('drop').hidden = true; take([...event.dataTransfer.files]); });

// --- start ------------------------------------------------------------------------------

let wanted = 0;
library.addEventListener('change', () => { cancelAnimationFrame(wanted); wanted = requestAnimationFrame(draw); });

async function load() {
  problem = null;
  draw();
  try {
    await library.load();
  } catch (error) {
    problem = banner(error.kind === 'offline' ? 'warn' : 'danger', `${error.message} Your pictures are safe on your server.`,
      error.kind === 'signed-out' ? el('a', { href: `${serverAddress}/open/org.freehold.photos` }, 'Sign in again') : el('button', { type: 'button', onclick: load }, 'Try again'));
    draw();
  }
}

drawQueue();
await load();
