// Uploads: many at once, each with its own progress, and none lost.
//
// A chosen file is first kept in this browser together with what is known of its upload. So a cut line, a closed
// window or a crash costs nothing: the next time the page is open, the upload goes on where the server has got to.
// What came of a file appears in the app only when it is whole on the server: `finish` makes a record of it then.

import { newId, uploads, user } from './api.js';
import { Local } from './local.js';

const AT_ONCE = 2;

/** Whether this window is the one that holds `name`, from now until it is closed. */
function holds(name) {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      resolve(Boolean(lock));
      return lock && new Promise(() => {});
    });
  });
}

export class Queue extends EventTarget {
  /** Uploads that are not finished: { id, file, name, size, sent, state, problem }. */
  items = [];
  finished = 0;

  /** `place(item)` says in which folder and under which name a file is kept, `finish(item, done)` what is made of it. */
  static async open({ place, finish }) {
    const queue = new Queue();
    Object.assign(queue, { place, finish });
    queue.local = await Local.open(`uploads-${user}`);
    // Two windows must not send the same file: the first one open takes up what is left over.
    const leftOver = (await holds(`uploads-${user}`)) ? await queue.local.all().catch(() => []) : [];
    for (const kept of leftOver) queue.items.push({ ...kept, sent: 0, state: 'waiting', problem: '', pause: 1000 });
    queue.#go();
    return queue;
  }

  get busy() { return this.items.some((item) => item.state !== 'failed'); }
  get lasting() { return this.local.lasting; }

  /** Takes files in; `known(file)` says whether such a one is already there. Answers with how many were. `more` is kept with each. */
  async add(chosen, known, more = {}) {
    let doubles = 0;
    for (const file of chosen) {
      const double = known(file) || this.items.some((item) => item.name === file.name && item.size === file.size && item.file.lastModified === file.lastModified);
      if (double) { doubles += 1; continue; }
      const kept = { id: newId(), file, name: file.name, size: file.size, upload: null, more };
      const item = { ...kept, sent: 0, state: 'waiting', problem: '', pause: 1000 };
      // A full disk here only means that a closed window forgets the file; the upload itself goes on.
      await this.local.put(kept.id, kept).catch(() => {});
      this.items.push(item);
      this.#say();
    }
    this.#go();
    return doubles;
  }

  retry(item) {
    Object.assign(item, { state: 'waiting', problem: '', pause: 1000 });
    this.#say();
    this.#go();
  }

  /** Tries again at once what waits for the line. */
  wake() {
    for (const item of this.items) if (item.state === 'cut') item.state = 'waiting';
    this.#go();
  }

  async stop(item) {
    item.state = 'stopped';
    item.control?.abort();
    this.#forget(item);
    if (item.upload) await uploads.abort(item.upload).catch(() => {});
  }

  #go() {
    const running = this.items.filter((item) => item.state === 'sending').length;
    const next = this.items.filter((item) => item.state === 'waiting').slice(0, Math.max(0, AT_ONCE - running));
    for (const item of next) this.#run(item);
  }

  async #run(item) {
    item.state = 'sending';
    item.control = new AbortController();
    this.#say();
    try {
      await this.#send(item);
      this.finished += 1;
      this.#forget(item);
    } catch (error) {
      if (error.name !== 'AbortError') this.#failed(item, error);
    }
    if (!this.busy) this.dispatchEvent(new Event('empty'));
    this.#say();
    this.#go();
  }

  #failed(item, error) {
    item.problem = error.message;
    if (error.kind === 'gone') item.upload = null; // the server has forgotten the half-done upload: begin it anew
    if (['offline', 'busy', 'signed-out', 'gone'].includes(error.kind)) {
      item.state = 'cut';
      item.pause = Math.min(item.pause * 2, 30000);
      setTimeout(() => { if (item.state === 'cut') { item.state = 'waiting'; this.#go(); } }, item.pause);
    } else {
      item.state = 'failed';
    }
  }

  async #send(item) {
    const { file } = item;
    const offset = await this.#offset(item);
    const progress = (sent) => { item.sent = sent; this.dispatchEvent(new CustomEvent('progress', { detail: item })); };
    const done = await uploads.send(item.upload, file, offset, progress, item.control.signal);
    this.dispatchEvent(new CustomEvent('arrived', { detail: await this.finish(item, done) }));
  }

  /** Begins the upload, or asks how far an earlier one has got. */
  async #offset(item) {
    if (item.upload) {
      try {
        return (await uploads.where(item.upload)).offset;
      } catch (error) {
        if (error.kind !== 'gone') throw error;
      }
    }
    const { folder, name } = this.place(item);
    const { upload_id: upload, offset } = await uploads.begin(folder, name, item.size, item.file.type || 'application/octet-stream');
    item.upload = upload;
    const { id, file, size, more } = item;
    await this.local.put(id, { id, file, name: item.name, size, upload, more }).catch(() => {});
    return offset ?? 0;
  }

  #forget(item) {
    this.items = this.items.filter((other) => other !== item);
    this.local.remove(item.id).catch(() => {});
    this.#say();
  }

  #say() { this.dispatchEvent(new Event('change')); }
}
