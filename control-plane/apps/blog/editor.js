// One post on the page: title, tags, text, pictures, preview, and what visitors see of it.

import { el, icon, iconButton, empty, sheet, toast, when } from './kit/dom.js';
import { files, newId } from './kit/api.js';
import { trying } from './kit/frame.js';
import { grow, link, markdownKey, type, wrap } from './kit/keys.js';
import { small } from './kit/small.js';
import { body } from './paper.js';
import { wordsOf } from './press.js';

/** Whether a post is a draft, published, or published and changed since. */
export const standing = (draft) => (!draft.published_at ? 'draft' : wordsOf(draft) === draft.published ? 'published' : 'ahead');

export class Editor {
  constructor(root, store, acts) {
    Object.assign(this, { root, store, acts, id: null });
    store.addEventListener('change', ({ detail }) => { if (this.id) this.#follow(detail.from === this.id); });
  }

  show(id) {
    if (id === this.id && this.root.firstChild) return;
    this.id = id;
    const draft = id && this.store.get(id);
    if (!draft) { this.id = null; this.#blank(); } else if (draft.deleted_at) this.#deleted(draft); else this.#write(draft);
  }

  focus() { (this.title?.value ? this.text : this.title)?.focus(); }

  #blank() {
    this.title = null;
    this.root.replaceChildren(empty('pen', 'No post is open', 'Choose one from the list, or begin a new one.', el('button', { type: 'button', class: 'btn', onclick: this.acts.onnew }, icon('add'), 'New post')));
  }

  #deleted(draft) {
    this.title = null;
    const text = el('div', { class: 'prose' });
    text.append(body(draft.text, files.address));
    this.root.replaceChildren(el('div', { class: 'tools' }, iconButton('back', 'Back to the list', this.acts.onback, { class: 'btn icon only-phone' }), el('span', { class: 'soft small' }, `Deleted ${when(draft.deleted_at)}. It goes for good 30 days after that.`)),
      el('article', { class: 'page' }, el('h2', { class: 'headline' }, draft.title || 'Untitled'), text, el('div', { class: 'row acts' },
        el('button', { type: 'button', class: 'btn main', onclick: () => { this.store.change(draft.id, { deleted_at: 0 }); this.id = null; this.show(draft.id); } }, icon('undo'), 'Bring it back'),
        el('button', { type: 'button', class: 'btn stop', onclick: () => trying(this.store.erase(draft.id)).then(this.acts.onback) }, 'Delete for good'))));
  }

  #write(draft) {
    const change = (fields) => this.store.change(this.id, fields);
    this.title = el('input', { class: 'headline', 'aria-label': 'Title', placeholder: 'Title', value: draft.title, maxlength: '200', autocomplete: 'off', oninput: () => change({ title: this.title.value }) });
    this.tags = el('input', { class: 'tagline', 'aria-label': 'Tags, separated by commas', placeholder: 'Tags, separated by commas', value: draft.tags.join(', '), autocomplete: 'off',
      onchange: () => change({ tags: [...new Set(this.tags.value.split(',').map((tag) => tag.trim().replace(/^#/, '').slice(0, 40)).filter(Boolean))].slice(0, 20) }) });
    this.text = el('textarea', { class: 'text', 'aria-label': 'Text, in Markdown', placeholder: 'Write here. # makes a heading, - a list, **bold**. Pictures can be dropped or pasted.', value: draft.text, spellcheck: 'true',
      oninput: () => { change({ text: this.text.value }); this.#preview(); grow(this.text); }, onkeydown: markdownKey,
      onpaste: (event) => { const pasted = [...event.clipboardData.files]; if (pasted.length) { event.preventDefault(); this.addPictures(pasted); } } });
    this.preview = el('div', { class: 'prose preview', role: 'region', 'aria-label': 'Preview', tabindex: '0' });
    this.ways = ['Write', 'Read'].map((label, index) => el('button', { type: 'button', onclick: () => this.read(index === 1) }, label));
    this.publish = el('button', { type: 'button', class: 'btn main', id: 'publish', onclick: () => this.acts.onpublish(this.id) });
    const chosen = el('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, onchange: () => { this.addPictures([...chosen.files]); chosen.value = ''; } });
    const mark = (label, name, act) => el('button', { type: 'button', class: 'btn bare small', 'aria-label': label, title: label, onclick: act }, name);
    this.root.replaceChildren(
      el('div', { class: 'tools' }, iconButton('back', 'Back to the list', this.acts.onback, { class: 'btn icon only-phone' }), el('div', { class: 'segments', role: 'group', 'aria-label': 'Write or read' }, this.ways), el('span', { class: 'push' }),
        iconButton('menu', 'More about this post', () => this.#more()), this.publish),
      el('article', { class: 'page' }, this.title, el('div', { class: 'tagrow' }, icon('tag'), this.tags),
        el('div', { class: 'writing', role: 'toolbar', 'aria-label': 'Write' }, mark('Bold', el('b', {}, 'B'), () => wrap(this.text, '**')), mark('Italic', el('i', {}, 'I'), () => wrap(this.text, '*')), mark('Heading', 'H', () => this.#lineMark('## ')), mark('List', icon('list'), () => this.#lineMark('- ')), mark('Quotation', '“', () => this.#lineMark('> ')), mark('Link', icon('link'), () => link(this.text)), mark('Picture', icon('picture'), () => chosen.click()), chosen),
        el('div', { class: 'sides' }, this.text, this.preview)));
    this.read(false);
    this.#preview();
    this.#said();
  }

  #lineMark(mark) {
    const at = this.text.value.lastIndexOf('\n', this.text.selectionStart - 1) + 1;
    this.text.setSelectionRange(at, at);
    type(this.text, mark);
  }

  read(reading) {
    this.root.toggleAttribute('data-reading', reading);
    this.ways?.forEach((button, index) => button.setAttribute('aria-pressed', String((index === 1) === reading)));
    grow(this.text);
  }

  /** Keeps pictures, as large as a page needs them, and writes them into the text. */
  async addPictures(chosen) {
    for (const file of chosen.filter((one) => one.type.startsWith('image/'))) {
      const picture = await small(file, 1400);
      if (!picture) { toast('This browser cannot read that picture. Try a JPEG or PNG file.'); continue; }
      const { _id } = await trying(files.put('images', `${newId()}.jpg`, picture.blob));
      const words = file.name.replace(/\.[^.]+$/, '').replace(/[[\]]/g, '');
      type(this.text, `${this.text.selectionStart && this.text.value[this.text.selectionStart - 1] !== '\n' ? '\n\n' : ''}![${words}](${_id})\n\n`);
    }
  }

  async #more() {
    const draft = this.store.get(this.id);
    const address = el('input', { class: 'input', id: 'slug', value: draft.slug, placeholder: 'by its title', maxlength: '60', pattern: '[a-z0-9][a-z0-9\\-]*', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false' });
    const buttons = [{ label: 'Save', value: 'save', kind: 'main' }, ...(draft.published_at ? [{ label: 'Take down', value: 'down' }] : []), { label: 'Delete', value: 'delete', kind: 'stop' }];
    const facts = { draft: 'Nobody sees it until you publish it.', published: `Published ${when(draft.published_at)}.`, ahead: 'Visitors still see what you published before.' }[standing(draft)];
    const answer = await sheet('This post', el('div', { class: 'stack' }, el('p', {}, facts), el('div', { class: 'field' }, el('label', { for: 'slug' }, 'Address'), el('div', { class: 'slug' }, el('span', {}, `${location.host}/`), address), el('p', { class: 'hint' }, 'Small letters, digits and dashes.'))), buttons);
    if (answer === 'save') this.store.change(this.id, { slug: address.value.trim() });
    if (answer === 'down') await this.acts.ondown(this.id);
    if (answer === 'delete') await this.acts.ondelete(this.id);
  }

  #follow(fromElsewhere) {
    const draft = this.store.get(this.id);
    if (!draft || Boolean(draft.deleted_at) !== !this.title) { const { id } = this; this.id = null; this.show(id); return; }
    if (!this.title) return;
    if (fromElsewhere && !this.store.unsaved(this.id)) {
      if (this.title.value !== draft.title) this.title.value = draft.title;
      if (this.text.value !== draft.text) { this.text.value = draft.text; this.#preview(); }
      if (document.activeElement !== this.tags) this.tags.value = draft.tags.join(', ');
    }
    this.#said();
  }

  #said() {
    const now = standing(this.store.get(this.id));
    this.publish.replaceChildren(icon('globe'), { draft: 'Publish', published: 'Published', ahead: 'Publish again' }[now]);
    this.publish.disabled = now === 'published' || this.acts.busy();
  }

  said() { if (this.title) this.#said(); }

  #preview() {
    this.preview.replaceChildren(body(this.text.value, files.address));
    if (!this.text.value.trim()) this.preview.replaceChildren(el('p', { class: 'soft' }, 'What you write shows here as it will be read.'));
  }
}

