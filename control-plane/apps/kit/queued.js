// How uploads are shown: each with its progress, what went wrong, and a way to stop it.

import { bar, bytes, el, iconButton, toast } from './dom.js';

const SHOWN = 6;
const ORDER = { sending: 0, failed: 1, cut: 2, waiting: 3 };

function line(queue, item) {
  const state = { waiting: 'Waits', sending: `${bytes(item.sent)} of ${bytes(item.size)}`, cut: `Cut: ${item.problem} Goes on by itself.`, failed: item.problem }[item.state];
  return el('li', { 'data-upload': item.id, class: item.state }, el('span', { class: 'name' }, item.name), bar(item.sent, item.size, `Upload of ${item.name}`), el('small', { class: 'soft' }, state),
    item.state === 'failed' ? iconButton('undo', `Try ${item.name} again`, () => queue.retry(item)) : null,
    iconButton('close', `Stop the upload of ${item.name}`, () => queue.stop(item)));
}

/** Keeps `root` showing a queue, and says when all is done: `done(many)` is that sentence. */
export function showQueue(root, queue, done) {
  const draw = () => {
    const { items, finished } = queue;
    root.hidden = !items.length;
    if (!items.length) return;
    const sorted = [...items].sort((a, b) => ORDER[a.state] - ORDER[b.state]);
    const all = items.length + finished;
    const safe = queue.lasting ? 'You may close this window; it goes on when you come back.' : 'Keep this window open until it is done.';
    root.replaceChildren(
      el('h2', {}, `Uploading, ${finished} of ${all} done`), bar(finished, all, 'All uploads'), el('p', { class: 'soft small' }, safe),
      el('ul', { class: 'uploads' }, sorted.slice(0, SHOWN).map((item) => line(queue, item))),
      sorted.length > SHOWN ? el('p', { class: 'soft small' }, `and ${sorted.length - SHOWN} more`) : '');
  };
  queue.addEventListener('change', draw);
  queue.addEventListener('progress', ({ detail: item }) => {
    const row = root.querySelector(`[data-upload="${item.id}"]`);
    if (!row) return;
    row.querySelector('progress').value = Math.min(item.sent, item.size);
    row.querySelector('small').textContent = `${bytes(item.sent)} of ${bytes(item.size)}`;
  });
  queue.addEventListener('empty', () => {
    if (queue.finished && !queue.items.length) toast(done(queue.finished));
    queue.finished = 0;
  });
  addEventListener('online', () => queue.wake());
  addEventListener('beforeunload', (event) => { if (queue.busy && !queue.lasting) event.preventDefault(); });
  draw();
}
