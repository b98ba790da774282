// What the person is writing: kept in this browser at every keystroke, on the server as soon as it can be reached.

import { files, newId, table, user } from './kit/api.js';
import { CSS, fresh, html } from './page.js';

const pages = table('page');
const ID = 'page';
const KEY = `home-draft-${user}`;
const WORDS = ['title', 'tagline', 'text', 'links', 'picture', 'shape', 'look'];

export class Draft extends EventTarget {
  page = fresh();
  state = 'opening'; // opening | saved | waiting | saving | a Failure kind
  problem = '';
  #edits = 0;
  #timer = 0;
  #pause = 1000;

  async load() {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    const record = await pages.read(ID).catch((error) => { if (error.kind === 'gone') return null; throw error; });
    this.page = { ...fresh(), ...record, ...kept };
    if (kept) this.#later(0);
    this.#say(kept ? 'waiting' : 'saved');
  }

  /** What a visitor would see differently since it was last published. */
  get words() { return JSON.stringify(WORDS.map((name) => this.page[name])); }
  get published() { return this.page.published_at > 0; }
  get ahead() { return this.words !== this.page.published; }

  change(fields) {
    Object.assign(this.page, fields);
    this.#edits += 1;
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(WORDS.map((name) => [name, this.page[name]]))));
    this.#say('waiting');
    this.#later(700);
  }

  async save() {
    clearTimeout(this.#timer);
    const edits = this.#edits;
    this.#say('saving');
    try {
      const { _id, _date_created, _date_modified, _accessibles, ...fields } = this.page;
      await pages.upsert(ID, fields);
      this.#pause = 1000;
      if (edits === this.#edits) { localStorage.removeItem(KEY); this.#say('saved'); } else this.#later(700);
    } catch (error) {
      this.problem = error.message;
      this.#say(error.kind ?? 'broken');
      if (error.kind === 'offline' || error.kind === 'busy') { this.#pause = Math.min(this.#pause * 2, 60000); this.#later(this.#pause); }
    }
  }

  /** Stores a picture of at most 1,600 pixels; the address stays private until it is published. */
  async setPicture(file) {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, 1600 / Math.max(picture.width, picture.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.86));
    const { _id } = await files.put('draft', `picture-${newId()}.jpg`, blob);
    this.change({ picture: _id });
  }

  /** Puts the page where visitors find it. The page itself comes last, when all it shows is there. */
  async publish() {
    const { page, words } = this;
    let name = '';
    if (page.picture) {
      name = page.picture.split('/').at(-1);
      await files.put('public', name, await files.bytes(page.picture));
    }
    await files.put('public', 'style.css', new Blob([CSS], { type: 'text/css' }));
    await files.put('public', 'index.html', new Blob([html(page, name)], { type: 'text/html' }));
    const former = page.published_picture;
    Object.assign(page, { published_at: Date.now(), published: words, published_picture: name });
    await this.save();
    if (former && former !== name) await files.remove(`public/${former}`).catch(() => {});
  }

  /** Takes the page away from visitors; what was written stays. */
  async takeDown() {
    await files.remove('public/index.html').catch((error) => { if (error.kind !== 'gone') throw error; });
    Object.assign(this.page, { published_at: 0, published: '' });
    await this.save();
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.save(), ms);
  }

  #say(state) {
    this.state = state;
    this.dispatchEvent(new Event('change'));
  }
}
