// What people write, here and on the server: the records of one table, with a title and a text.
//
// Writing never waits for the line: a change goes to this browser's own store at once and to the server as soon as it
// can be reached. Rules that keep every word:
// - A record keeps the server's time of its last known version (`base`). A newer one on the server is never written over:
//   what was written here then becomes a record of its own, beside the other.
// - New records carry an id made here, so that sending one twice makes one.
// - A change made while an earlier one is on its way stays marked unsaved (`edits` has moved on).

import { Failure, newId, table, user } from './api.js';
import { Local } from './local.js';

const KEEP_DELETED = 30 * 24 * 3600 * 1000;

export class Writings extends EventTarget {
  #table;
  #name;
  #own;
  #kept = new Map(); // id → { id, note, base, edits, saved }
  #timer = 0;
  #pause = 1000;
  #pulled = 0;

  /** 'opening' | 'saved' | 'saving' | 'waiting' | a Failure kind. */
  state = 'opening';
  problem = '';

  /** `own` has the fields a record has beside title, text and its times, as they are when nobody said anything. */
  static async open(name, own) {
    const store = new Writings();
    store.#table = table(name);
    store.#name = `${name}-${user}`;
    store.#own = own;
    store.local = await Local.open(store.#name);
    for (const kept of await store.local.all().catch(() => [])) store.#kept.set(kept.id, kept);
    store.channel = globalThis.BroadcastChannel ? new BroadcastChannel(store.#name) : null;
    store.channel?.addEventListener('message', ({ data }) => store.#heard(data));
    return store;
  }

  #fresh() { return { title: '', text: '', ...structuredClone(this.#own), written_at: Date.now(), deleted_at: 0 }; }

  #fieldsOf(record) {
    const fresh = this.#fresh();
    return Object.fromEntries(Object.keys(fresh).map((name) => [name, record[name] ?? fresh[name]]));
  }

  /** Whether two differ in nothing a person would miss. */
  #same(a, b) { return Object.keys(this.#fresh()).every((name) => name === 'written_at' || JSON.stringify(a[name]) === JSON.stringify(b[name])); }

  all() { return [...this.#kept.values()].map(({ id, note }) => ({ id, ...note })); }
  get(id) { const kept = this.#kept.get(id); return kept && { id, ...kept.note }; }
  unsaved(id) { const kept = this.#kept.get(id); return Boolean(kept && kept.edits !== kept.saved); }
  waiting() { return [...this.#kept.values()].filter((kept) => kept.edits !== kept.saved).length; }
  get lasting() { return this.local.lasting; }

  create(fields = {}) {
    const id = newId();
    this.#kept.set(id, { id, note: { ...this.#fresh(), ...fields }, base: 0, edits: 1, saved: 0 });
    this.#touched(id);
    return id;
  }

  change(id, fields) {
    const kept = this.#kept.get(id);
    if (!kept) return;
    const written = 'title' in fields || 'text' in fields ? { written_at: Date.now() } : {};
    kept.note = { ...kept.note, ...fields, ...written };
    kept.edits += 1;
    this.#touched(id);
  }

  /** Forgets a record for good, here and there. */
  async erase(id) {
    const kept = this.#kept.get(id);
    if (kept?.base) await this.#table.remove(id).catch((error) => { if (error.kind !== 'gone') throw error; });
    this.#drop(id);
    this.#changed();
  }

  /** Sends what waits, then fetches what is new. Called at the start, on a timer, and when the page is looked at again. */
  async sync() {
    clearTimeout(this.#timer);
    const run = () => this.#syncAlone();
    await (navigator.locks ? navigator.locks.request(this.#name, run) : run());
  }

  async #syncAlone() {
    try {
      if (this.waiting()) this.#say('saving');
      for (const kept of [...this.#kept.values()]) if (kept.edits !== kept.saved) await this.#push(kept);
      await this.#pull();
      this.#pause = 1000;
      this.#say(this.waiting() ? 'waiting' : 'saved');
      if (this.waiting()) this.#later(800);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.problem = error.message;
      this.#say(error.kind);
      if (error.kind === 'offline' || error.kind === 'busy') {
        this.#pause = Math.min(this.#pause * 2, 60000);
        this.#later(this.#pause);
      }
    }
  }

  async #push(kept) {
    const sent = kept.edits;
    const note = { ...kept.note };
    let answer;
    try {
      answer = kept.base ? await this.#table.replace(kept.id, note, kept.base) : await this.#table.create(kept.id, note);
    } catch (error) {
      if (error.kind === 'conflict') return this.#settle(kept);
      if (error.kind !== 'gone') throw error;
      // Erased elsewhere while it was written here: what was written stays.
      kept.base = 0;
      answer = await this.#table.create(kept.id, note);
    }
    kept.base = answer._date_modified;
    kept.saved = sent;
    await this.#keep(kept);
    this.#changed();
  }

  /** The server has a version that was not known here. */
  async #settle(kept) {
    const theirs = await this.#table.read(kept.id);
    const remote = this.#fieldsOf(theirs);
    if (!this.#same(remote, kept.note)) {
      const day = new Date().toLocaleString(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
      const title = `${kept.note.title || 'Untitled'} (other version, ${day})`;
      const copy = this.create({ ...kept.note, ...structuredClone(this.#own), ...('tags' in kept.note ? { tags: kept.note.tags } : {}), title });
      this.dispatchEvent(new CustomEvent('both', { detail: { id: kept.id, copy } }));
    }
    kept.note = remote;
    kept.base = theirs._date_modified;
    kept.saved = kept.edits;
    await this.#keep(kept);
    this.#changed(kept.id);
  }

  async #pull() {
    const started = Date.now();
    const first = this.#pulled === 0;
    const found = await this.#table.all(first ? {} : { _date_modified: { $gte: this.#pulled - 60000 } });
    const seen = new Set();
    for (const record of found) {
      seen.add(record._id);
      const kept = this.#kept.get(record._id);
      if (kept && (kept.edits !== kept.saved || kept.base >= record._date_modified)) continue;
      const edits = kept?.edits ?? 0;
      const next = { id: record._id, note: this.#fieldsOf(record), base: record._date_modified, edits, saved: edits };
      this.#kept.set(record._id, next);
      await this.#keep(next);
      this.#changed(record._id);
    }
    if (first) {
      for (const kept of this.#kept.values()) if (kept.base && kept.edits === kept.saved && !seen.has(kept.id)) this.#drop(kept.id);
      for (const kept of [...this.#kept.values()]) {
        const old = kept.note.deleted_at && kept.note.deleted_at < started - KEEP_DELETED;
        if (old && kept.edits === kept.saved) await this.erase(kept.id);
      }
      this.#changed();
    }
    this.#pulled = Math.max(this.#pulled, ...found.map((record) => record._date_modified), 1);
  }

  #touched(id) {
    this.#keep(this.#kept.get(id)).catch(() => {});
    this.#say(this.state === 'offline' || this.state === 'signed-out' ? this.state : 'waiting');
    this.#changed();
    this.#later(this.#pause > 1000 ? this.#pause : 700);
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.sync(), ms);
  }

  async #keep(kept) {
    await this.local.put(kept.id, kept);
    this.channel?.postMessage(kept);
  }

  #drop(id) {
    this.#kept.delete(id);
    this.local.remove(id).catch(() => {});
    this.channel?.postMessage({ id, dropped: true });
  }

  // Another tab has changed a record. Both tabs share one store, and each keeps what its person is writing.
  #heard(data) {
    const mine = this.#kept.get(data.id);
    if (data.dropped) { if (mine && mine.edits === mine.saved) this.#kept.delete(data.id); }
    else if (!mine || mine.edits === mine.saved || mine.edits <= data.edits) this.#kept.set(data.id, data);
    this.#changed(data.id);
  }

  #say(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  #changed(from) {
    this.dispatchEvent(new CustomEvent('change', { detail: { from } }));
  }
}
