// Which notes to show, in which order: pure functions over plain records.

import { fold } from './kit/frame.js';
import { plain } from './kit/markdown.js';

export const titleOf = (note) => note.title.trim() || plain(note.text).slice(0, 60) || 'Untitled';

/** The notes that hold every word of `search` and carry `tag`; pinned first, then the latest written. */
export function choose(notes, { search = '', tag = '', deleted = false } = {}) {
  const words = fold(search).split(/\s+/).filter(Boolean);
  const fits = (note) => {
    if (Boolean(note.deleted_at) !== deleted) return false;
    if (tag && !note.tags.includes(tag)) return false;
    const all = fold(`${note.title}\n${note.text}\n${note.tags.join(' ')}`);
    return words.every((word) => all.includes(word));
  };
  const order = (a, b) => Number(b.pinned) - Number(a.pinned) || b.written_at - a.written_at;
  return notes.filter(fits).sort(order);
}

/** The tags in use, most used first. */
export function tagsOf(notes) {
  const counts = new Map();
  for (const note of notes) if (!note.deleted_at) for (const tag of note.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts].sort(([a, many], [b, more]) => more - many || a.localeCompare(b)).map(([tag]) => tag);
}

/** Tags as typed ("recipes, summer house") to a list without doubles. */
export function readTags(text) {
  return [...new Set(text.split(',').map((tag) => tag.trim().replace(/^#/, '').slice(0, 40)).filter(Boolean))].slice(0, 20);
}

/** A piece of the text around the first searched word, as [text, isMatch] pairs. */
export function snippet(note, search, length = 110) {
  const text = plain(note.text);
  const words = fold(search).split(/\s+/).filter(Boolean);
  const folded = fold(text);
  // Folding can shorten a text; then places do not match, and the start is shown unmarked.
  if (!words.length || folded.length !== text.length) return [[text.slice(0, length), false]];
  const first = Math.min(...words.map((word) => folded.indexOf(word)).filter((at) => at >= 0));
  const from = Number.isFinite(first) ? Math.max(0, first - 30) : 0;
  const out = from > 0 ? [['…', false]] : [];
  let at = from;
  const end = Math.min(text.length, from + length);
  while (at < end) {
    const next = words.map((word) => [folded.indexOf(word, at), word.length]).filter(([found]) => found >= 0 && found < end).sort(([a], [b]) => a - b)[0];
    if (!next) break;
    if (next[0] > at) out.push([text.slice(at, next[0]), false]);
    out.push([text.slice(next[0], next[0] + next[1]), true]);
    at = next[0] + next[1];
  }
  if (at < end) out.push([text.slice(at, end), false]);
  return out;
}
