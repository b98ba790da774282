// A folder as whoever has its link sees it: names, sizes, and the files themselves. The feed and its code are in the address
// behind #, which browsers send to nobody.

import { app, serverAddress } from '../kit/api.js';
import { bytes, el, empty, icon } from '../kit/dom.js';
import { $ } from '../kit/frame.js';
import { picture } from '../kinds.js';

const asked = new URLSearchParams(location.hash.slice(1));
const [feed, code] = [asked.get('f') ?? '', asked.get('c') ?? ''];
const owner = globalThis.freezrMeta.publicOwner;

const address = (record, download) => {
  const path = record._id.split('/').map(encodeURIComponent).join('/');
  const ask = new URLSearchParams({ code, ...(download ? { download: '1' } : {}) });
  return `/public/userfiles/${app}/${encodeURIComponent(owner)}/${path}?${ask}`;
};

function row(record) {
  const name = record.name || record._id.split('/').at(-1);
  return el('li', {}, el('a', { class: 'file', href: address(record), target: '_blank', rel: 'noopener noreferrer' }, icon(picture(record._mime_type)), el('span', {}, el('b', {}, name), el('small', { class: 'soft' }, bytes(record._file_size ?? 0)))),
    el('a', { class: 'btn icon', href: address(record, true), download: name, 'aria-label': `Download ${name}`, title: `Download ${name}` }, icon('download')));
}

async function all() {
  const found = [];
  for (;;) {
    const ask = new URLSearchParams({ feed, code, skip: String(found.length), count: '500' });
    const answer = await fetch(`/public/query?${ask}`, { cache: 'no-store' });
    if (!answer.ok) throw new Error('gone');
    const { results, total } = await answer.json();
    found.push(...results.filter((record) => !record.deleted_at));
    if (!results.length || found.length >= total) return found;
  }
}

$('from').textContent = `From ${new URL(serverAddress).hostname}`;
try {
  const found = (await all()).sort((a, b) => String(a.name).localeCompare(String(b.name), undefined, { numeric: true }));
  $('name').textContent = asked.get('n') || 'A folder for you';
  document.title = $('name').textContent;
  $('says').textContent = `${found.length} ${found.length === 1 ? 'file' : 'files'}, ${bytes(found.reduce((sum, record) => sum + (record._file_size ?? 0), 0))}`;
  $('list').replaceChildren(...found.map(row));
} catch {
  $('says').textContent = '';
  $('list').replaceWith(empty('link', 'This link opens nothing', 'It may be cut short, or whoever gave it to you has taken it back.'));
}
