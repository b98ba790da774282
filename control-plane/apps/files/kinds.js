// What kind of thing a file is, and how it is shown.

const starts = [['image/', 'picture'], ['audio/', 'sound'], ['video/', 'film'], ['text/', 'note'], ['application/pdf', 'note']];

/** The drawing for a media type. */
export const picture = (mime = '') => starts.find(([begin]) => mime.startsWith(begin))?.[1] ?? 'file';

/** How a browser can show it: image, audio, video, text, tab (in a window of its own), or nothing. */
export function shows(mime = '', size = 0) {
  if (/^image\/(png|jpe?g|gif|webp|avif|svg\+xml|bmp|x-icon)$/.test(mime)) return 'image';
  if (mime.startsWith('audio/')) return 'audio';
  if (mime.startsWith('video/')) return 'video';
  if (mime === 'application/pdf') return 'tab';
  if ((/^text\//.test(mime) || /^application\/(json|xml|javascript|toml|yaml|x-sh)/.test(mime)) && size < 1_000_000) return 'text';
  return '';
}

/** A file's name as it may stand in a path: what other systems cannot have becomes a dash, the ending stays. */
export function plainName(name) {
  const plain = name.normalize('NFC').replace(/[\\/:*?"<>|\p{Cc}]/gu, '-').replace(/^[ .]+|[ .]+$/g, '') || 'file';
  const ending = /\.[^.]{1,10}$/.exec(plain)?.[0] ?? '';
  let stem = plain.slice(0, plain.length - ending.length);
  while (new TextEncoder().encode(stem + ending).length > 200) stem = [...stem].slice(0, -1).join('');
  return stem + ending;
}
