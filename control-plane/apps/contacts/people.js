// The people: this app's own records, and whom the server knows as contacts with a server of their own (dev.ceps.contacts),
// which the People page and sharing go by. One person may be in both; `server` joins them.

import { files, newId, tableOf } from './kit/api.js';
import { Records } from './kit/records.js';
import { allowed, fold, holdsAll } from './kit/frame.js';
import { small } from './kit/small.js';

export const fresh = () => ({
  name: '', given: '', family: '', org: '', title: '', phones: [], emails: [], addresses: [], urls: [], birthday: '', note: '', labels: [], photo: '', server: '', starred: false,
});

const known = tableOf('dev.ceps.contacts');
const address = (contact) => `${contact.username}@${String(contact.serverurl).replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, '')}`;

export class People extends Records {
  contacts = []; // records of dev.ceps.contacts
  permission = 'pending';

  constructor() { super('people', fresh()); }

  async load() {
    this.permission = await allowed('known_people');
    if (this.permission === 'granted') this.contacts = await known.all();
    await files.ready();
    await super.load();
  }

  /** Everyone to show, by name: own records, and contacts of the server nobody has written anything about yet. */
  everyone() {
    const own = this.all();
    const servers = new Set(own.map((one) => one.server).filter(Boolean));
    const others = this.contacts.map((contact) => ({ ...fresh(), _id: `known:${contact._id}`, name: contact.searchname || address(contact), server: address(contact), blocked: contact.blocked === true }));
    const blocked = new Set(others.filter((one) => one.blocked).map((one) => one.server));
    const all = [...own.map((one) => ({ ...one, blocked: blocked.has(one.server) })), ...others.filter((one) => !servers.has(one.server))];
    return all.sort((a, b) => sortKey(a).localeCompare(sortKey(b)) || (a._id < b._id ? -1 : 1));
  }

  find(id) { return this.everyone().find((one) => one._id === id); }

  labels() {
    const counts = new Map();
    for (const one of this.all()) for (const label of one.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts].sort(([a, many], [b, more]) => more - many || a.localeCompare(b)).map(([label]) => label);
  }

  /** Writes a person down, and the server's contact beside it. Answers with the id. */
  async save(id, fields) {
    const before = this.get(id);
    const isNews = fields.server && fields.server !== before?.server;
    if (!before) {
      const made = this.create(fields);
      ({ id } = made);
      await made.saved;
    } else if (Object.keys(fields).some((name) => JSON.stringify(fields[name]) !== JSON.stringify(before[name]))) await this.change(id, fields);
    if (isNews) await this.#know(fields.server, fields.name);
    return id;
  }

  /** Makes somebody a contact of the server, once. */
  async #know(server, name) {
    if (this.permission !== 'granted' || this.contacts.some((contact) => address(contact) === server)) return;
    const [username, serverurl] = server.split('@');
    const contact = { username, serverurl, searchname: name || server };
    const id = newId();
    await known.create(id, contact);
    this.contacts.push({ ...contact, _id: id });
    this.dispatchEvent(new Event('change'));
  }

  /** Takes a person away, here and among the server's contacts. Answers with the way back. */
  async remove(one) {
    const contact = this.contacts.find((other) => address(other) === one.server);
    if (this.get(one._id)) await this.delete(one._id);
    if (contact) {
      await known.remove(contact._id);
      this.contacts = this.contacts.filter((other) => other !== contact);
      this.dispatchEvent(new Event('change'));
    }
    return async () => {
      if (this.get(one._id)) await this.restore(one._id);
      if (contact) {
        const { _id, _date_created, _date_modified, ...fields } = contact;
        await known.create(_id, fields);
        this.contacts.push(contact);
        this.dispatchEvent(new Event('change'));
      }
    };
  }

  /** Keeps a picture, small; answers with its path. */
  async keepPicture(blob) {
    const picture = await small(blob, 320);
    return picture ? (await files.put('photos', `${newId()}.jpg`, picture.blob))._id : '';
  }

  /** Takes in what a file of vCards says. Those who are here already are left as they are. */
  async takeIn(found, progress) {
    const here = new Set(this.all().flatMap(marks));
    const added = [];
    let doubles = 0;
    for (const [at, { picture, ...person }] of found.entries()) {
      if (marks(person).some((mark) => here.has(mark))) { doubles += 1; continue; }
      marks(person).forEach((mark) => here.add(mark));
      const photo = picture ? await this.keepPicture(picture) : '';
      const { id, saved } = this.create({ ...person, photo });
      await saved;
      added.push(id);
      progress(at + 1, found.length);
    }
    return { added, doubles };
  }
}

const sortKey = (one) => fold(one.family ? `${one.family} ${one.given}` : one.name);

/** By what two cards are one person: the name together with a number, an address, or nothing else at all. */
function marks(one) {
  const name = fold(one.name);
  const ways = [...one.phones.map(({ value }) => value.replace(/\D/g, '').slice(-9)), ...one.emails.map(({ value }) => value.toLowerCase())].filter(Boolean);
  return ways.length ? ways.map((way) => `${name} ${way}`) : [name];
}

/** The first letter under which somebody stands. */
export const letter = (one) => { const first = (sortKey(one)[0] ?? '#').toUpperCase(); return /\p{L}/u.test(first) ? first : '#'; };

export const initials = (one) => {
  const words = one.given && one.family ? [one.given, one.family] : one.name.split(/\s+/);
  return [words[0], words.length > 1 ? words.at(-1) : ''].map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
};

export const fits = (one, search) => holdsAll([one.name, one.given, one.family, one.org, one.title, one.note, one.server, ...one.labels,
  ...one.phones.flatMap(({ value }) => [value, value.replace(/[^\d+]/g, '')]), ...one.emails.map(({ value }) => value), ...one.addresses.flatMap((at) => Object.values(at))].join('\n'), search);
