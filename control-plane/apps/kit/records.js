// The records of one table, as the person sees them: what they do shows at once, and is taken back when the server refuses
// it. Deleting only marks a record; 30 days later it goes for good.

import { newId, table } from './api.js';

const KEEP_DELETED = 30 * 24 * 3600 * 1000;

export class Records extends EventTarget {
  #table;
  #fresh;
  #kept = new Map();
  #busy = 0;
  loaded = false;

  /** `fresh` has every field a record has, as it is when nobody said anything; `deleted_at` is added to them. */
  constructor(name, fresh) {
    super();
    this.#table = table(name);
    this.#fresh = { ...fresh, deleted_at: 0 };
  }

  /** Reads what is on the server. Does nothing while a change is on its way, which would seem undone for a moment. */
  async load() {
    if (this.#busy) return;
    const found = await this.#table.all();
    if (this.#busy) return;
    this.#kept = new Map(found.map((record) => [record._id, { ...this.#fresh, ...record }]));
    this.loaded = true;
    const old = this.deleted().filter((record) => record.deleted_at < Date.now() - KEEP_DELETED);
    for (const { _id } of old) await this.erase(_id);
    this.#changed();
  }

  get(id) { return this.#kept.get(id); }
  all() { return [...this.#kept.values()].filter((record) => !record.deleted_at); }
  deleted() { return [...this.#kept.values()].filter((record) => record.deleted_at); }

  /** Makes a record and answers with it, without waiting for the server. `saved` of the answer does. */
  create(fields, id = newId()) {
    const record = { ...this.#fresh, ...fields };
    this.#kept.set(id, { ...record, _id: id, _date_created: Date.now() });
    const saved = this.#doing(
      async () => Object.assign(this.#kept.get(id), serverFields(await this.#table.create(id, record))),
      () => this.#kept.delete(id),
    );
    return { id, saved };
  }

  /** Changes fields of records: `fieldsOf` is an object, or a function of the record. All go back when one is refused. */
  change(ids, fieldsOf) {
    const chosen = [ids].flat().map((id) => this.#kept.get(id)).filter(Boolean);
    const before = chosen.map((record) => ({ ...record }));
    const changes = chosen.map((record) => (typeof fieldsOf === 'function' ? fieldsOf(record) : fieldsOf));
    chosen.forEach((record, at) => Object.assign(record, changes[at]));
    return this.#doing(
      async () => {
        for (const [at, record] of chosen.entries()) Object.assign(record, serverFields(await this.#table.change(record._id, changes[at])));
      },
      () => chosen.forEach((record, at) => Object.assign(record, before[at])),
    );
  }

  delete(ids) { return this.change(ids, { deleted_at: Date.now() }); }
  restore(ids) { return this.change(ids, { deleted_at: 0 }); }

  /** Deletes for good. */
  erase(id) {
    const record = this.#kept.get(id);
    this.#kept.delete(id);
    return this.#doing(
      () => this.#table.remove(id).catch((error) => { if (error.kind !== 'gone') throw error; }),
      () => this.#kept.set(id, record),
    );
  }

  /** Takes in what the server has said of a record. */
  heard(id, fields) {
    this.#kept.set(id, { ...this.#fresh, ...this.#kept.get(id), ...fields, _id: id });
    this.#changed();
  }

  async #doing(act, back) {
    this.#busy += 1;
    this.#changed();
    try {
      await act();
    } catch (error) {
      back();
      throw error;
    } finally {
      this.#busy -= 1;
      this.#changed();
    }
  }

  #changed() { this.dispatchEvent(new Event('change')); }
}

const serverFields = ({ _date_created, _date_modified }) => ({ _date_created, _date_modified });
