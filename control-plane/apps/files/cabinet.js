// The files and folders on the server. A file is the server's own record of it, with a name and a folder beside; moving and
// renaming change that and never touch the file. A folder that has a link is a private feed of all that lies in it.

import { files, table } from './kit/api.js';
import { Records } from './kit/records.js';
import { codeOf, share, unshare } from './kit/sharing.js';
import { small } from './kit/small.js';
import { plainName } from './kinds.js';

const LINKS = 'links';
const SMALL = 'small/';

class Files extends Records {
  constructor() { super('files', { name: '', folder: '', changed_at: 0, small: '' }); }

  all() { return super.all().filter((file) => !file._id.startsWith(SMALL)); }

  async erase(id) {
    const file = this.get(id);
    await super.erase(id);
    if (file?.small) await super.erase(file.small);
  }
}

export class Cabinet extends EventTarget {
  files = new Files();
  folders = new Records('folders', { name: '', folder: '', code: '' });
  loaded = false;

  constructor() {
    super();
    for (const records of [this.files, this.folders]) records.addEventListener('change', () => this.dispatchEvent(new Event('change')));
  }

  async load() {
    await files.ready();
    await this.folders.load();
    await this.files.load();
    this.loaded = true;
    this.dispatchEvent(new Event('change'));
  }

  folder(id) { return id ? this.folders.all().find((one) => one._id === id) : null; }

  /** The folders from the top down to one. */
  way(id) {
    const out = [];
    for (let at = this.folder(id); at && out.length < 50; at = this.folder(at.folder)) out.unshift(at);
    return out;
  }

  /** Whether a thing lies where one can get to: its folders are there. */
  #reachable(thing) {
    let seen = 0;
    for (let id = thing.folder; id; id = this.folder(id).folder) if (!this.folder(id) || (seen += 1) > 50) return false;
    return true;
  }

  /** What lies in a folder; what lost its folder lies at the top. */
  inside(id) {
    const here = (thing) => (thing.folder === id) || (!id && !this.#reachable(thing) && !this.folders.get(thing.folder)?.deleted_at);
    const byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });
    return { folders: this.folders.all().filter(here).sort(byName), files: this.files.all().filter(here).sort(byName) };
  }

  /** Everything below a folder. */
  below(id) {
    const out = { folders: [], files: [] };
    const walk = (at, depth) => {
      const { folders, files: own } = this.inside(at);
      out.files.push(...own);
      out.folders.push(...folders);
      if (depth < 50) for (const folder of folders) walk(folder._id, depth + 1);
    };
    walk(id, 0);
    return out;
  }

  /** What was deleted: files, and folders whose own folder was not deleted with them. */
  deleted() {
    return { folders: this.folders.deleted(), files: this.files.deleted().filter((file) => !file._id.startsWith(SMALL)) };
  }

  hasName(folder, name, except) {
    const { folders, files: own } = this.inside(folder);
    return [...folders, ...own].some((thing) => thing._id !== except && thing.name === name);
  }

  /** "tax.pdf", or "tax (2).pdf" where that is taken. */
  freeName(folder, name, except) {
    const ending = /\.[^.]{1,10}$/.exec(name)?.[0] ?? '';
    let free = name;
    for (let number = 2; this.hasName(folder, free, except); number += 1) free = `${name.slice(0, name.length - ending.length)} (${number})${ending}`;
    return free;
  }

  makeFolder(folder, name) { return this.folders.create({ name: this.freeName(folder, name), folder }); }

  /** The shared folder something is in, however deep. */
  #sharedAbove(id) { return this.way(id).filter((folder) => folder.code); }

  async move(things, to) {
    const isFile = (thing) => this.files.get(thing._id) === thing;
    const own = things.filter(isFile);
    const folders = things.filter((thing) => !isFile(thing));
    const moving = [...own, ...folders.flatMap((folder) => this.below(folder._id).files)];
    const before = new Set(moving.flatMap((file) => this.#sharedAbove(file.folder).map((folder) => folder._id)));
    await this.files.change(own.map((file) => file._id), (file) => ({ folder: to, name: this.freeName(to, file.name, file._id) }));
    await this.folders.change(folders.map((folder) => folder._id), (folder) => ({ folder: to, name: this.freeName(to, folder.name, folder._id) }));
    // Who has the link of a folder sees what lies in it: no more and no less.
    for (const id of before) {
      const out = moving.filter((file) => !this.#sharedAbove(file.folder).some((folder) => folder._id === id)).map((file) => file._id);
      if (out.length) await unshare(LINKS, 'files', out, `_privatefeed:${id}`);
    }
    for (const file of moving) await this.#shareAsFolder(file);
  }

  async #shareAsFolder(file) {
    for (const folder of this.#sharedAbove(file.folder)) {
      const [{ code }] = await share(LINKS, 'files', [file._id], `_privatefeed:${folder._id}`);
      if (code && code !== folder.code) await this.folders.change(folder._id, { code });
    }
  }

  /** Deletes folders with all that is in them. Answers with the way back. */
  delete(things) {
    const folders = things.filter((thing) => this.folders.get(thing._id));
    const below = folders.map((folder) => this.below(folder._id));
    const fileIds = [...new Set([...things.filter((thing) => this.files.get(thing._id)), ...below.flatMap((one) => one.files)].map((file) => file._id))];
    const folderIds = [...new Set([...folders, ...below.flatMap((one) => one.folders)].map((folder) => folder._id))];
    const done = Promise.all([this.files.delete(fileIds), this.folders.delete(folderIds)]);
    return { done, back: () => Promise.all([this.folders.restore(folderIds), this.files.restore(fileIds)]) };
  }

  /** The code of a file's link, made when there is none. */
  async link(file) {
    const [{ code }] = await share(LINKS, 'files', [file._id], '_privatelink');
    this.files.heard(file._id, { _accessibles: [...(file._accessibles ?? []).filter((one) => one.grantee !== '_privatelink'), { grantee: '_privatelink', granted: true, code }] });
    return code;
  }

  async unlink(file) {
    await unshare(LINKS, 'files', [file._id], '_privatelink');
    this.files.heard(file._id, { _accessibles: (file._accessibles ?? []).filter((one) => one.grantee !== '_privatelink') });
  }

  /** The code of a folder's link. A folder with nothing in it has none. */
  async linkFolder(folder) {
    const ids = this.below(folder._id).files.map((file) => file._id);
    if (!ids.length) return '';
    let code = '';
    for (let at = 0; at < ids.length; at += 500) code = (await share(LINKS, 'files', ids.slice(at, at + 500), `_privatefeed:${folder._id}`))[0].code;
    await this.folders.change(folder._id, { code });
    return code;
  }

  async unlinkFolder(folder) {
    const ids = this.files.all().map((file) => file._id);
    for (let at = 0; at < ids.length; at += 500) await unshare(LINKS, 'files', ids.slice(at, at + 500), `_privatefeed:${folder._id}`);
    await this.folders.change(folder._id, { code: '' });
  }

  /** How uploads are kept. */
  uploads = {
    place: ({ id, name }) => ({ folder: id, name: plainName(name) }),
    finish: async ({ id, name, file, more }, done) => {
      const folder = more.folder && this.folder(more.folder) ? more.folder : '';
      const fields = { name: this.freeName(folder, name), folder, changed_at: file.lastModified, small: '', deleted_at: 0 };
      const thumb = file.type.startsWith('image/') && await small(file, 240);
      if (thumb) fields.small = (await files.put('small', `${id}.jpg`, thumb.blob))._id;
      await table('files').change(done._id, fields);
      this.files.heard(done._id, { ...fields, _mime_type: file.type || 'application/octet-stream', _file_size: file.size, _date_created: Date.now() });
      await this.#shareAsFolder(this.files.get(done._id));
      return done;
    },
  };

  isShared = (thing) => Boolean(thing.code || codeOf(thing));
}

export { codeOf };
