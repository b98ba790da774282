// Photos: what is shown, what is chosen, and what the buttons do.

import { bytes, el, empty, icon, iconButton, sheet, toast } from './kit/dom.js';
import { $, askText, takeDrops, trouble, trying, wayHome } from './kit/frame.js';
import { showQueue } from './kit/queued.js';
import { Queue } from './kit/queue.js';
import { files } from './kit/api.js';
import { Library, byDay } from './library.js';
import { originals } from './originals.js';
import { Viewer } from './viewer.js';

const library = new Library();
const queue = await Queue.open(originals);
const picked = new Set();
let picking = false;
let problem = null;

wayHome();
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

async function newAlbum() {
  const name = await askText('A new album', 'Name', { button: 'Make it', maxlength: '80' });
  return name ? trying(library.addAlbum(name)) : null;
}

async function rename(one) {
  const name = await askText('Rename the album', 'Name', { value: one.name, button: 'Rename', maxlength: '80' });
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
  const doubles = await queue.add(pictures, (file) => library.has(file), { albums: albumId() ? [albumId()] : [] });
  if (others) toast(`${others} ${others === 1 ? 'file is not a picture and was' : 'files are not pictures and were'} left out.`);
  if (doubles) toast(`${doubles} ${doubles === 1 ? 'picture was' : 'pictures were'} here already.`);
}

showQueue($('queue'), queue, (many) => (many === 1 ? 'The picture is on your server.' : `${many} pictures are on your server.`));
queue.addEventListener('arrived', ({ detail }) => library.arrived(detail));
takeDrops('Let go to add these pictures', take);

// --- start ------------------------------------------------------------------------------

let wanted = 0;
library.addEventListener('change', () => { cancelAnimationFrame(wanted); wanted = requestAnimationFrame(draw); });

async function load() {
  problem = null;
  draw();
  try {
    await library.load();
  } catch (error) {
    problem = trouble(error, load, 'Your pictures are safe on your server.');
    draw();
  }
}

await load();
