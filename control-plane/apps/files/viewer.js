// One file over the page: a picture, sound, film or text is shown, anything else is offered for download.

import { bytes, el, icon, iconButton } from './kit/dom.js';
import { files } from './kit/api.js';
import { render } from './kit/markdown.js';
import { picture, shows } from './kinds.js';

export function showFile(list, at, { onshare, ondelete }) {
  const from = document.activeElement;
  const stage = el('div', { class: 'stage' });
  const title = el('h2', {});
  const original = el('a', { class: 'btn icon', 'aria-label': 'Download', title: 'Download' }, icon('download'));
  const back = iconButton('back', 'Previous file', () => to(at - 1), { class: 'btn icon side left' });
  const forth = iconButton('next', 'Next file', () => to(at + 1), { class: 'btn icon side right' });
  const dialog = el('dialog', { class: 'looking', 'aria-label': 'File' },
    el('div', { class: 'tools' }, iconButton('close', 'Close', () => dialog.close()), title, iconButton('share', 'Share by a link', () => onshare(list[at])), original, iconButton('trash', 'Delete', () => { const file = list[at]; dialog.close(); ondelete(file); })),
    stage, back, forth);

  function to(next) {
    if (next < 0 || next >= list.length) return;
    at = next;
    const file = list[at];
    title.textContent = file.name;
    original.href = files.address(file._id, true);
    original.download = file.name;
    back.disabled = at === 0;
    forth.disabled = at === list.length - 1;
    stage.replaceChildren(content(file));
  }

  function content(file) {
    const address = files.address(file._id);
    const nothing = (text) => el('div', { class: 'card' }, icon(picture(file._mime_type)), el('p', {}, text), el('a', { class: 'btn main', href: files.address(file._id, true), download: file.name }, icon('download'), `Download, ${bytes(file._file_size)}`));
    switch (shows(file._mime_type, file._file_size)) {
      case 'image': return el('img', { src: address, alt: file.name });
      case 'audio': return el('audio', { src: address, controls: true });
      case 'video': return el('video', { src: address, controls: true });
      case 'tab': return el('div', { class: 'card' }, icon('note'), el('p', {}, 'Papers open in a window of their own.'), el('a', { class: 'btn main', href: address, target: '_blank', rel: 'noopener' }, 'Open it'));
      case 'text': {
        const paper = el('div', { class: 'paper', tabindex: '0', role: 'region', 'aria-label': file.name }, el('p', { class: 'soft' }, 'Fetching …'));
        files.bytes(file._id).then((blob) => blob.text()).then((text) => {
          if (/\.(md|markdown)$/i.test(file.name)) { paper.classList.add('prose'); paper.replaceChildren(render(text)); } else paper.replaceChildren(el('pre', {}, text));
        }, (error) => paper.replaceChildren(el('p', {}, error.message)));
        return paper;
      }
      default: return nothing('This browser cannot show it.');
    }
  }

  dialog.addEventListener('keydown', (event) => {
    const act = { ArrowLeft: () => to(at - 1), ArrowRight: () => to(at + 1) }[event.key];
    if (act && !event.target.closest('audio, video')) { event.preventDefault(); act(); }
  });
  dialog.addEventListener('close', () => { dialog.remove(); if (from?.isConnected) from.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  to(at);
}
