// A small Markdown reader that builds nodes. It never writes markup: every piece of the text becomes a text node,
// and only http, https, mailto and tel addresses become links. So a note cannot run or load anything.
//
// Understood: headings, paragraphs, line breaks, bold, italic, struck, code, fenced code, quotes, nested lists, task
// lists, tables, rules, links, bare addresses, backslash escapes. Pictures become links, so that opening a note tells
// nobody about it, except those that `picture` makes a node of.

const SAFE = /^(https?:|mailto:|tel:)/i;

/**
 * Renders `text` to a fragment. `onTask(line)` is called when a task is ticked; without it tasks are only shown.
 * `picture(address, words)` may answer with the node of a picture, or with null where it is to be a link.
 */
export function render(text, options = {}) {
  const lines = text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n').map((content, at) => ({ content, at }));
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(lines, options, 0));
  // The largest heading in use becomes an h2, below the page's own, so that no level is skipped.
  const headings = [...fragment.querySelectorAll('h1, h2, h3, h4, h5, h6')];
  const largest = Math.min(...headings.map((heading) => Number(heading.tagName[1])));
  for (const heading of headings) {
    const level = Math.min(Number(heading.tagName[1]) - largest + 2, 6);
    heading.replaceWith(make(`h${level}`, ...heading.childNodes));
  }
  return fragment;
}

function make(tag, ...children) {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}>\s?(.*)$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:\s+(.*)|)$/;
const TASK = /^\[([ xX])\]\s+(.*)$/;
const TABLE_RULE = /^ *\|? *:?-+:? *(\| *:?-+:? *)*\|? *$/;

const blank = (line) => line.content.trim() === '';

function startsBlock(line) {
  const { content } = line;
  return FENCE.test(content) || HEADING.test(content) || RULE.test(content) || QUOTE.test(content) || ITEM.test(content);
}

// Deeper nesting than anyone writes is shown as plain text, so that a hostile note cannot exhaust the stack.
const DEEPEST = 12;

function blocks(lines, options, depth) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (blank(line)) { at += 1; continue; }
    if ((match = FENCE.exec(line.content))) {
      const end = lines.findIndex((other, index) => index > at && other.content.trim().startsWith(match[1]));
      const body = lines.slice(at + 1, end < 0 ? lines.length : end);
      out.push(make('pre', make('code', body.map((other) => other.content).join('\n'))));
      at = end < 0 ? lines.length : end + 1;
    } else if ((match = HEADING.exec(line.content))) {
      out.push(make(`h${match[1].length}`, ...inline(match[2] ?? '', 0, options)));
      at += 1;
    } else if (RULE.test(line.content)) {
      out.push(make('hr'));
      at += 1;
    } else if (QUOTE.test(line.content) && depth < DEEPEST) {
      const from = at;
      while (at < lines.length && !blank(lines[at]) && (QUOTE.test(lines[at].content) || !startsBlock(lines[at]))) at += 1;
      const inner = lines.slice(from, at).map((other) => ({ at: other.at, content: QUOTE.exec(other.content)?.[1] ?? other.content }));
      out.push(make('blockquote', ...blocks(inner, options, depth + 1)));
    } else if (ITEM.test(line.content) && depth < DEEPEST) {
      const end = endOfList(lines, at);
      out.push(list(lines.slice(at, end), options, depth));
      at = end;
    } else if (line.content.includes('|') && lines[at + 1] && TABLE_RULE.test(lines[at + 1].content) && lines[at + 1].content.includes('-')) {
      let end = at + 2;
      while (end < lines.length && !blank(lines[end]) && lines[end].content.includes('|')) end += 1;
      out.push(tableOf(lines.slice(at, end), options));
      at = end;
    } else {
      const from = at;
      at += 1;
      while (at < lines.length && !blank(lines[at]) && !(startsBlock(lines[at]) && depth < DEEPEST)) at += 1;
      out.push(make('p', ...withBreaks(lines.slice(from, at), options)));
    }
  }
  return out;
}

const indent = (line) => line.content.length - line.content.trimStart().length;
const ordered = (marker) => /\d/.test(marker);

function endOfList(lines, from) {
  const first = ITEM.exec(lines[from].content);
  let at = from + 1;
  for (; at < lines.length; at += 1) {
    const line = lines[at];
    if (blank(line)) {
      const next = lines.slice(at + 1).find((other) => !blank(other));
      if (!next || (indent(next) <= first[1].length && !ITEM.test(next.content))) return at;
      continue;
    }
    const item = ITEM.exec(line.content);
    if (item && item[1].length <= first[1].length && ordered(item[2]) !== ordered(first[2])) return at;
    if (!item && indent(line) <= first[1].length && (startsBlock(line) || blank(lines[at - 1]))) return at;
  }
  return at;
}

function list(lines, options, depth) {
  const first = ITEM.exec(lines[0].content);
  const node = make(ordered(first[2]) ? 'ol' : 'ul');
  const start = Number.parseInt(first[2], 10);
  if (start > 1) node.start = start;
  let at = 0;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at].content);
    const inside = [{ at: lines[at].at, content: item?.[3] ?? '' }];
    const base = item ? item[1].length : 0;
    let end = at + 1;
    while (end < lines.length) {
      const other = ITEM.exec(lines[end].content);
      if (other && other[1].length <= base + 1) break;
      inside.push({ at: lines[end].at, content: lines[end].content.slice(Math.min(indent(lines[end]), base + 2)) });
      end += 1;
    }
    node.append(listItem(inside, options, depth));
    at = end;
  }
  return node;
}

function listItem(lines, options, depth) {
  const task = TASK.exec(lines[0].content);
  const loose = lines.some((line, index) => index > 0 && index < lines.length - 1 && blank(line));
  if (task) lines[0] = { ...lines[0], content: task[2] };
  const content = blocks(lines, options, depth + 1);
  const li = make('li', ...content.flatMap((node) => (!loose && node.tagName === 'P' ? [...node.childNodes] : [node])));
  if (task) {
    li.className = 'task';
    const box = make('input');
    box.type = 'checkbox';
    box.checked = task[1] !== ' ';
    box.disabled = !options.onTask;
    box.setAttribute('aria-label', task[2]);
    const at = lines[0].at;
    box.addEventListener('change', () => options.onTask?.(at, box.checked));
    li.prepend(box, ' ');
  }
  return li;
}

function cells(line) {
  const plain = line.trim().replace(/^\|/, '').replace(/\|$/, '');
  return plain.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function tableOf(lines, options) {
  const head = cells(lines[0].content);
  const row = (tag, texts) => make('tr', ...head.map((_, index) => make(tag, ...inline(texts[index] ?? '', 0, options))));
  const body = lines.slice(2).map((line) => row('td', cells(line.content)));
  const wrap = make('div', make('table', make('thead', row('th', head)), make('tbody', ...body)));
  wrap.className = 'scroll';
  wrap.tabIndex = 0;
  return wrap;
}

function withBreaks(lines, options) {
  return lines.flatMap((line, index) => {
    const nodes = inline(line.content.trim(), 0, options);
    return index + 1 < lines.length ? [...nodes, make('br')] : nodes;
  });
}

// Each pattern is linear: what it repeats excludes what ends it.
const SPANS = [
  [/^\\([\\`*_{}[\]()#+\-.!~|>])/, (match) => match[1]],
  [/^(`+)([^`]+)\1(?!`)/, (match) => make('code', match[2].trim() || match[2])],
  [/^!?\[([^\][]*)\]\(\s*<?([^\s()<>]+(?:\([^\s()<>]*\))?)>?(?:\s+"[^"]*")?\s*\)/, (match, depth, options) => (match[0][0] === '!' && options.picture?.(match[2], match[1])) || link(match[2], match[1] || match[2], depth)],
  [/^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i, (match) => link(match[1], match[1], DEEPEST)],
  [/^https?:\/\/[^\s<>"')\]]*[^\s<>"')\].,;:!?*_~]/i, (match) => link(match[0], match[0], DEEPEST)],
  [/^\*\*(?=\S)((?:[^*]|\*(?!\*))+?\S?)\*\*/, (match, depth, options) => make('strong', ...inline(match[1], depth + 1, options))],
  [/^__(?=\S)([^_]+)__(?!\w)/, (match, depth, options) => make('strong', ...inline(match[1], depth + 1, options))],
  [/^\*(?=[^\s*])([^*]+)\*/, (match, depth, options) => make('em', ...inline(match[1], depth + 1, options))],
  [/^_(?=[^\s_])([^_]+)_(?!\w)/, (match, depth, options) => make('em', ...inline(match[1], depth + 1, options))],
  [/^~~(?=\S)([^~]+)~~/, (match, depth, options) => make('s', ...inline(match[1], depth + 1, options))],
];

function link(address, text, depth) {
  if (!SAFE.test(address)) return text;
  const node = make('a', ...(depth < DEEPEST ? inline(text, DEEPEST) : [text]));
  node.href = address;
  node.target = '_blank';
  node.rel = 'noopener noreferrer';
  return node;
}

/** Renders the inside of a line. */
export function inline(text, depth = 0, options = {}) {
  const out = [];
  let plain = '';
  let at = 0;
  const special = /[\\`*_~!<[]|https?:/gi;
  while (at < text.length) {
    special.lastIndex = at;
    const found = special.exec(text);
    if (!found || depth > DEEPEST) { plain += text.slice(at); break; }
    plain += text.slice(at, found.index);
    at = found.index;
    // An underscore inside a word is a letter, not emphasis.
    const inWord = text[at] === '_' && /\w/.test(text[at - 1] ?? '');
    const rest = text.slice(at, at + 4000);
    const span = inWord ? undefined : SPANS.map(([pattern, build]) => [pattern.exec(rest), build]).find(([match]) => match);
    if (!span) { plain += text[at]; at += 1; continue; }
    const [match, build] = span;
    if (plain) { out.push(plain); plain = ''; }
    out.push(build(match, depth, options));
    at += match[0].length;
  }
  if (plain) out.push(plain);
  return out;
}

/** The text without its marks, for titles and snippets. */
export function plain(text) {
  return text
    .replace(/^ {0,3}(#{1,6}|>|[-*+]|\d+[.)])\s+(\[[ xX]\]\s+)?/gm, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^ *\|?[ :|-]+\|[ :|-]*$/gm, '')
    .replace(/ *\| */g, ' ')
    .replace(/[*_~`]+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}
