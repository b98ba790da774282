// One note on the page: title, tags, text, preview. It tells the store of every keystroke and nothing else.

import { el, icon, iconButton, empty, toast, when } from './kit/dom.js';
import { render } from './kit/markdown.js';
import { grow, markdownKey, tick } from './kit/keys.js';
import { readTags } from './shelf.js';

export class Editor {
  constructor(root, store, { onback, ongone, onnew }) {
    Object.assign(this, { root, store, onback, ongone, onnew });
    this.reading = false;
    this.id = null;
    store.addEventListener('change', ({ detail }) => { if (detail.from && detail.from === this.id) this.#follow(); });
  }

  show(id) {
    if (id === this.id && this.root.firstChild) return;
    this.id = id;
    const note = id && this.store.get(id);
    if (!note) { this.id = null; this.#blank(); return; }
    if (note.deleted_at) this.#deleted(note);
    else this.#write(note);
  }

  /** Sets the cursor where one wants to write: the title of a new note, the text of another. */
  focus() {
    if (!this.title) return;
    (this.title.value ? this.text : this.title).focus();
  }

  #blank() {
    this.title = null;
    const act = el('button', { type: 'button', class: 'btn', onclick: this.onnew }, icon('add'), 'New note');
    this.root.replaceChildren(empty('note', 'No note is open', 'Choose one from the list, or begin a new one.', act));
  }

  #deleted(note) {
    this.title = null;
    const back = () => { this.store.change(note.id, { deleted_at: 0 }); this.id = null; this.show(note.id); };
    const erase = () => this.store.erase(note.id).then(this.ongone, (error) => toast(error.message));
    const body = el('div', { class: 'prose' });
    body.append(render(note.text));
    this.root.replaceChildren(
      el('div', { class: 'tools' }, iconButton('back', 'Back to the list', this.onback, { class: 'btn icon only-phone' }),
        el('span', { class: 'soft small' }, `Deleted ${when(note.deleted_at)}. It goes for good 30 days after that.`)),
      el('article', { class: 'page' }, el('h2', { class: 'headline' }, note.title || 'Untitled'), body,
        el('div', { class: 'row acts' },
          el('button', { type: 'button', class: 'btn main', onclick: back }, icon('undo'), 'Bring it back'),
          el('button', { type: 'button', class: 'btn stop', onclick: erase }, 'Delete for good'))));
  }

  #write(note) {
    const change = (fields) => this.store.change(this.id, fields);
    this.title = el('input', { class: 'headline', 'aria-label': 'Title', placeholder: 'Title', value: note.title, maxlength: '300', autocomplete: 'off',
      oninput: () => change({ title: this.title.value }) });
    this.tags = el('input', { class: 'tagline', 'aria-label': 'Tags, separated by commas', placeholder: 'Tags, separated by commas', value: note.tags.join(', '), autocomplete: 'off', list: 'known-tags',
      onchange: () => { const tags = readTags(this.tags.value); this.tags.value = tags.join(', '); change({ tags }); } });
    this.text = el('textarea', { class: 'text', 'aria-label': 'Text, in Markdown', placeholder: 'Write here. # makes a heading, - a list, **bold**, [ ] a task.', value: note.text, spellcheck: 'true',
      oninput: () => { change({ text: this.text.value }); this.#preview(); grow(this.text); },
      onkeydown: markdownKey });
    this.preview = el('div', { class: 'prose preview', role: 'region', 'aria-label': 'Preview', tabindex: '0' });
    this.pin = iconButton('pin', 'Pin to the top', () => {
      const pinned = this.pin.getAttribute('aria-pressed') !== 'true';
      this.pin.setAttribute('aria-pressed', String(pinned));
      change({ pinned });
    }, { 'aria-pressed': String(note.pinned) });
    this.ways = ['Write', 'Read'].map((label, index) => el('button', { type: 'button', onclick: () => this.read(index === 1) }, label));
    this.root.replaceChildren(
      el('div', { class: 'tools' },
        iconButton('back', 'Back to the list', this.onback, { class: 'btn icon only-phone' }),
        el('div', { class: 'segments', role: 'group', 'aria-label': 'Write or read' }, this.ways),
        el('span', { class: 'push' }),
        this.pin,
        iconButton('download', 'Download as a Markdown file', () => this.download()),
        iconButton('trash', 'Delete this note', () => this.remove())),
      el('article', { class: 'page' }, this.title,
        el('div', { class: 'tagrow' }, icon('tag'), this.tags),
        el('div', { class: 'sides' }, this.text, this.preview)));
    this.read(this.reading);
    this.#preview();
    grow(this.text);
  }

  read(reading) {
    this.reading = reading;
    this.root.toggleAttribute('data-reading', reading);
    this.ways?.forEach((button, index) => button.setAttribute('aria-pressed', String((index === 1) === reading)));
    grow(this.text);
  }

  remove() {
    const id = this.id;
    if (!id) return;
    this.store.change(id, { deleted_at: Date.now() });
    toast('The note is deleted.', () => { this.store.change(id, { deleted_at: 0 }); this.onback(id); });
    this.ongone();
  }

  download() {
    const note = this.store.get(this.id);
    const file = new Blob([`# ${note.title}\n\n${note.text}\n`], { type: 'text/markdown' });
    const name = `${(note.title || 'Untitled').replace(/[^\p{L}\p{N} _-]+/gu, '').slice(0, 60).trim() || 'note'}.md`;
    const a = el('a', { href: URL.createObjectURL(file), download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  }

  /** A newer version came from elsewhere: show it, unless the person is in the middle of a sentence here. */
  #follow() {
    const note = this.store.get(this.id);
    if (!note || Boolean(note.deleted_at) !== !this.title) { const id = this.id; this.id = null; this.show(id); return; }
    if (!this.title || this.store.unsaved(this.id)) return;
    if (this.title.value !== note.title) this.title.value = note.title;
    if (this.text.value !== note.text) { this.text.value = note.text; this.#preview(); grow(this.text); }
    if (document.activeElement !== this.tags) this.tags.value = note.tags.join(', ');
    this.pin.setAttribute('aria-pressed', String(note.pinned));
  }

  #preview() {
    const ticked = (at, done) => { this.text.value = tick(this.text.value, at, done); this.store.change(this.id, { text: this.text.value }); };
    this.preview.replaceChildren(render(this.text.value, { onTask: ticked }));
    if (!this.text.value.trim()) this.preview.replaceChildren(el('p', { class: 'soft' }, 'What you write shows here as it will be read.'));
  }
}
