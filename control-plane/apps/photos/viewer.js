// One picture over the whole screen: arrow keys, swipe, Escape; the original to download.

import { bytes, el, iconButton, icon } from './kit/dom.js';
import { files } from './kit/api.js';

export class Viewer {
  constructor({ ondelete, onalbum }) {
    this.ondelete = ondelete;
    this.onalbum = onalbum;
  }

  show(photos, at) {
    this.photos = photos;
    this.from = document.activeElement;
    this.stage = el('div', { class: 'stage' });
    this.caption = el('p', { class: 'caption', role: 'status' });
    this.facts = el('dl', { class: 'facts', hidden: true });
    this.original = el('a', { class: 'btn icon', 'aria-label': 'Download the original', title: 'Download the original', download: '' }, icon('download'));
    const facts = iconButton('info', 'About this picture', () => {
      this.facts.hidden = !this.facts.hidden;
      facts.setAttribute('aria-pressed', String(!this.facts.hidden));
    }, { 'aria-pressed': 'false' });
    this.back = iconButton('back', 'Previous picture', () => this.#go(-1), { class: 'btn icon side left' });
    this.forth = iconButton('next', 'Next picture', () => this.#go(1), { class: 'btn icon side right' });
    this.dialog = el('dialog', { class: 'viewer', 'aria-label': 'Picture' },
      el('div', { class: 'overtop' }, iconButton('close', 'Close', () => this.dialog.close()), this.caption,
        el('div', { class: 'row' }, facts, iconButton('album', 'Put into an album', () => this.onalbum(this.photos[this.at])), this.original,
          iconButton('trash', 'Delete this picture', () => this.#delete()))),
      this.stage, this.facts, this.back, this.forth);
    this.dialog.addEventListener('keydown', (event) => this.#key(event));
    this.dialog.addEventListener('close', () => { this.dialog.remove(); this.from?.isConnected && this.from.focus(); });
    this.#swipe();
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.#to(at);
  }

  #key(event) {
    const act = { ArrowLeft: () => this.#go(-1), ArrowRight: () => this.#go(1), Home: () => this.#to(0), End: () => this.#to(this.photos.length - 1), Delete: () => this.#delete() }[event.key];
    if (act) { event.preventDefault(); act(); }
  }

  #swipe() {
    let start = null;
    this.stage.addEventListener('pointerdown', (event) => { start = event.isPrimary ? event : null; });
    this.stage.addEventListener('pointerup', (event) => {
      if (!start) return;
      const [across, down] = [event.clientX - start.clientX, event.clientY - start.clientY];
      start = null;
      if (Math.abs(across) > 50 && Math.abs(across) > Math.abs(down)) this.#go(across < 0 ? 1 : -1);
      else if (down > 90) this.dialog.close();
    });
  }

  #go(by) {
    const to = this.at + by;
    if (to >= 0 && to < this.photos.length) this.#to(to);
  }

  #to(at) {
    this.at = at;
    const photo = this.photos[at];
    const date = new Date(photo.taken_at).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'short' });
    this.caption.textContent = `${at + 1} of ${this.photos.length}`;
    const rows = [['Name', photo.name], ['Taken', date], ['Size', bytes(photo.size)], photo.width && ['Measures', `${photo.width} × ${photo.height}`]].filter(Boolean);
    this.facts.replaceChildren(...rows.flatMap(([term, fact]) => [el('dt', {}, term), el('dd', {}, fact)]));
    this.original.href = files.address(photo.file, true);
    this.original.download = photo.name;
    this.back.disabled = at === 0;
    this.forth.disabled = at === this.photos.length - 1;
    this.stage.replaceChildren(photo.thumb ? this.#picture(photo) : el('p', { class: 'unseen' }, icon('picture'), `This browser cannot show ${photo.name}. The original is safe; you can download it.`));
    for (const near of [at + 1, at - 1]) if (this.photos[near]?.thumb) new Image().src = files.address(this.photos[near].file);
  }

  // The small version stands in until the original has come.
  #picture(photo) {
    const name = photo.name.replace(/\.[^.]+$/, '');
    const img = el('img', { src: files.address(photo.thumb), alt: name, draggable: 'false' });
    const whole = new Image();
    whole.onload = () => { img.src = whole.src; };
    whole.src = files.address(photo.file);
    return img;
  }

  #delete() {
    const photo = this.photos[this.at];
    this.ondelete(photo);
    this.photos = this.photos.filter((other) => other !== photo);
    if (this.photos.length) this.#to(Math.min(this.at, this.photos.length - 1));
    else this.dialog.close();
  }
}
