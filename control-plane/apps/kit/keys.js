// Keys that help while writing. Each works on a textarea and leaves the browser's own undo intact.

/** Replaces the selection as if it were typed, so that Ctrl+Z takes it back. */
export function type(area, text) {
  area.focus();
  if (!document.execCommand('insertText', false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
    area.dispatchEvent(new Event('input', { bubbles: true }));
  }
}

/** Puts marks around the selection, or takes them away. */
export function wrap(area, mark) {
  const { selectionStart: from, selectionEnd: to, value } = area;
  const inside = value.slice(from, to);
  if (value.slice(from - mark.length, from) === mark && value.slice(to, to + mark.length) === mark) {
    area.setSelectionRange(from - mark.length, to + mark.length);
    type(area, inside);
    area.setSelectionRange(from - mark.length, to - mark.length);
  } else {
    type(area, mark + inside + mark);
    area.setSelectionRange(from + mark.length, to + mark.length);
  }
}

/** Makes the selection a link and selects the place for its address. */
export function link(area) {
  const { selectionStart: from, selectionEnd: to, value } = area;
  const text = value.slice(from, to) || 'text';
  type(area, `[${text}](https://)`);
  area.setSelectionRange(from + text.length + 3, from + text.length + 11);
}

const ITEM = /^(\s*)([-*+]|(\d+)([.)]))\s+(\[[ xX]\]\s+)?/;

/** On Enter in a list: begins the next item, or ends the list when this one is empty. True when it did. */
export function nextItem(area) {
  const { selectionStart: at, value } = area;
  if (at !== area.selectionEnd) return false;
  const start = value.lastIndexOf('\n', at - 1) + 1;
  const line = value.slice(start, at);
  const item = ITEM.exec(line);
  if (!item) return false;
  if (line.length === item[0].length) {
    area.setSelectionRange(start, at);
    type(area, '\n');
  } else {
    const marker = item[3] ? `${Number(item[3]) + 1}${item[4]}` : item[2];
    type(area, `\n${item[1]}${marker} ${item[5] ? '[ ] ' : ''}`);
  }
  return true;
}

/** The text with the task in line `at` ticked or not. */
export function tick(text, at, done) {
  const lines = text.split('\n');
  lines[at] = lines[at].replace(/\[[ xX]\]/, done ? '[x]' : '[ ]');
  return lines.join('\n');
}

/** Ctrl+B, I and K, and Enter in a list. */
export function markdownKey(event) {
  const area = event.currentTarget;
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey && !event.shiftKey) {
    const act = { b: () => wrap(area, '**'), i: () => wrap(area, '*'), k: () => link(area) }[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && nextItem(area)) event.preventDefault();
}

/** Makes a field as high as its text: the page scrolls, not the field, so that title and text move together. */
export function grow(area) {
  if (!area || CSS.supports('field-sizing', 'content')) return;
  area.rows = Math.max(12, area.value.split('\n').length + 2);
}
