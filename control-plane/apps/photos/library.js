// The pictures and albums that are on the server, and how they are ordered. What the person does shows at once and is
// taken back when the server refuses it.

import { files, newId, table } from './kit/api.js';

const photos = table('photos');
const albums = table('albums');
const KEEP_DELETED = 30 * 24 * 3600 * 1000;

export class Library extends EventTarget {
  photos = [];
  albums = [];
  loaded = false;

  async load() {
    await files.ready();
    [this.photos, this.albums] = await Promise.all([photos.all(), albums.all()]);
    this.loaded = true;
    this.#sort();
    const old = this.photos.filter((photo) => photo.deleted_at && photo.deleted_at < Date.now() - KEEP_DELETED);
    if (old.length) await this.erase(old);
  }

  /** Those to show: in an album, or all; or the deleted ones. */
  choose({ album = '', deleted = false } = {}) {
    return this.photos.filter((photo) => Boolean(photo.deleted_at) === deleted && (!album || photo.albums.includes(album)));
  }

  has(file) {
    return this.photos.some((photo) => !photo.deleted_at && photo.name === file.name && photo.size === file.size && photo.changed_at === file.lastModified);
  }

  arrived(photo) {
    this.photos = [...this.photos.filter((other) => other._id !== photo._id), photo];
    this.#sort();
  }

  /** Changes fields of several pictures; all of them go back when one is refused. */
  async change(chosen, fieldsOf) {
    const before = chosen.map((photo) => ({ ...photo }));
    for (const photo of chosen) Object.assign(photo, fieldsOf(photo));
    this.#sort();
    try {
      for (const [index, photo] of chosen.entries()) await photos.change(photo._id, fieldsOf(before[index]));
    } catch (error) {
      chosen.forEach((photo, index) => Object.assign(photo, before[index]));
      this.#sort();
      throw error;
    }
  }

  /** Deletes for good: the record first, so that nothing ever points at a missing file. */
  async erase(chosen) {
    for (const photo of chosen) {
      const skip = (error) => { if (error.kind !== 'gone') throw error; };
      await photos.remove(photo._id).catch(skip);
      await files.remove(photo.file).catch(skip);
      if (photo.thumb) await files.remove(photo.thumb).catch(skip);
      this.photos = this.photos.filter((other) => other !== photo);
      this.#changed();
    }
  }

  async addAlbum(name) {
    const album = { _id: newId(), name };
    await albums.create(album._id, { name });
    this.albums.push(album);
    this.#sort();
    return album;
  }

  async renameAlbum(album, name) {
    await albums.change(album._id, { name });
    album.name = name;
    this.#sort();
  }

  /** Takes an album away; the pictures stay. Answers with a function that brings it back. */
  async removeAlbum(album) {
    await albums.remove(album._id);
    this.albums = this.albums.filter((other) => other !== album);
    this.#changed();
    return async () => {
      await albums.create(album._id, { name: album.name });
      this.albums.push(album);
      this.#sort();
    };
  }

  #sort() {
    this.photos.sort((a, b) => b.taken_at - a.taken_at || (a._id < b._id ? 1 : -1));
    this.albums.sort((a, b) => a.name.localeCompare(b.name));
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event('change')); }
}

/** Pictures by day, the latest first: [[day's name, photos], …]. */
export function byDay(photos) {
  const year = new Date().getFullYear();
  const groups = [];
  let last = '';
  for (const photo of photos) {
    const date = new Date(photo.taken_at);
    const day = date.toDateString();
    if (day !== last) {
      const form = { weekday: 'long', day: 'numeric', month: 'long', ...(date.getFullYear() === year ? {} : { year: 'numeric' }) };
      groups.push([date.toLocaleDateString(undefined, form), []]);
      last = day;
    }
    groups.at(-1)[1].push(photo);
  }
  return groups;
}
