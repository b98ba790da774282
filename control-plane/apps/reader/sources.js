// Where things to read come from: what people on CEPS servers show to everyone (/public/query), and RSS and Atom feeds of sites
// that let other pages read them.
//
// All of it is other people's word. It becomes plain fields and text here, never markup, and is bounded in size.

const LONGEST = 4 << 20;
const PATIENCE = 15000;

/** Why something could not be read, in words for the person. */
export class Unread extends Error {}

async function fetched(address) {
  let answer;
  try {
    answer = await fetch(address, { credentials: 'omit', referrerPolicy: 'no-referrer', signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Unread('It does not answer, or does not let pages of other people read it. Blogs and people on servers like yours do.');
  }
  if (!answer.ok) throw new Unread(answer.status === 404 ? 'There is nothing at this address.' : `It answers with ${answer.status}.`);
  const text = await answer.text();
  if (text.length > LONGEST) throw new Unread('It is too large to be read here.');
  return { text, address: answer.url || address, type: answer.headers.get('content-type') ?? '' };
}

const clip = (text, length) => String(text ?? '').trim().slice(0, length);
const web = (text, base) => { const url = URL.canParse(text, base) ? new URL(text, base) : null; return url && /^https?:$/.test(url.protocol) ? url.href : ''; };
const time = (value) => { const ms = typeof value === 'number' ? value : Date.parse(value); return Number.isFinite(ms) ? Math.min(ms, Date.now()) : 0; };

// --- people on servers ----------------------------------------------------------------------

/** The address of a person's server, spoken to as this one is. */
const serverOf = (person) => `${location.protocol}//${person.split('@')[1]}`;

export async function person(who) {
  const base = serverOf(who);
  const { text } = await fetched(`${base}/public/query?count=100`);
  let results;
  try { ({ results } = JSON.parse(text)); } catch { /* told below */ }
  if (!Array.isArray(results)) throw new Unread('This is no server that people can be followed on.');
  return results.filter((one) => one && typeof one._id === 'string' && typeof one._app_table === 'string').map((one) => {
    const title = [one.title, one.name, one.subject].find((text) => typeof text === 'string' && text.trim()) ?? '';
    const words = [one.text, one.body, one.content, one.caption, one.description, one.summary].find((text) => typeof text === 'string' && text.trim()) ?? '';
    const page = `${base}/public/readobject/@${encodeURIComponent(one._data_owner ?? who.split('@')[0])}/${one._app_table}/${one._id.split('/').map(encodeURIComponent).join('/')}`;
    return { id: `${who} ${one._app_table} ${one._id}`, by: who, title: clip(title, 300), text: clip(words, 20000), url: web(one.url, base) || page, answers: web(one.answers), at: time(one.published_at) || time(one._date_published) || time(one._date_created) };
  }).filter((one) => one.title || one.text);
}

// --- feeds ----------------------------------------------------------------------------------

const child = (node, ...names) => [...node.children].find((one) => names.includes(one.localName))?.textContent ?? '';

/** The words of HTML, a paragraph each. Nothing of it is loaded or run: the document is in no window. */
function words(html) {
  const doc = new DOMParser().parseFromString(String(html), 'text/html');
  for (const node of doc.querySelectorAll('script, style, template, noscript')) node.remove();
  for (const node of doc.querySelectorAll('p, div, li, br, h1, h2, h3, h4, blockquote, pre, tr')) node.append('\n\n');
  const text = (doc.body?.textContent ?? '').replace(/[^\S\n]+/g, ' ').replace(/ *\n */g, '\n').replace(/\n{2,}/g, '\n\n').trim();
  // It is shown as Markdown, in which these signs would mean something.
  return text.replace(/[\\`*_[\]<>#|~]/g, '\\$&');
}

export function parseFeed(text, address) {
  const doc = new DOMParser().parseFromString(text, 'text/xml');
  const root = doc.documentElement;
  if (doc.querySelector('parsererror') || !['rss', 'feed', 'RDF'].includes(root.localName)) return null;
  const head = root.localName === 'feed' ? root : [...root.children].find((one) => one.localName === 'channel') ?? root;
  const entries = [...doc.getElementsByTagNameNS('*', root.localName === 'feed' ? 'entry' : 'item')].slice(0, 100);
  const items = entries.map((entry) => {
    const links = [...entry.children].filter((one) => one.localName === 'link');
    const link = links.find((one) => one.getAttribute('href') && (one.getAttribute('rel') ?? 'alternate') === 'alternate')?.getAttribute('href') ?? links[0]?.textContent ?? '';
    const url = web(link, address) || web(child(entry, 'guid'));
    return { id: `${address} ${child(entry, 'id', 'guid') || url}`, by: address, title: clip(child(entry, 'title'), 300), text: clip(words(child(entry, 'encoded') || child(entry, 'content') || child(entry, 'description', 'summary')), 4000), url, answers: '', at: time(child(entry, 'published', 'pubDate', 'date', 'updated')) };
  });
  return { name: clip(child(head, 'title'), 120), items: items.filter((one) => one.title || one.text) };
}

export async function feed(address) {
  const { text, address: at } = await fetched(address);
  const found = parseFeed(text, at);
  if (!found) throw new Unread('This is no feed any more.');
  return found.items.map((item) => ({ ...item, by: address }));
}

// --- what one types -------------------------------------------------------------------------

/** From what a person typed to somebody to follow: { name, server } or { name, url }. */
export async function find(typed) {
  const text = typed.trim().replace(/^@/, '').replace(/^acct:/, '');
  if (/^[^@\s/]+@[^@\s/]+$/.test(text)) {
    await person(text);
    return { name: text, server: text, url: '' };
  }
  const address = web(/^https?:/i.test(text) ? text : `https://${text}`);
  if (!address) throw new Unread('Write it as name@server, or as the address of a site or feed.');
  const { text: page, address: at } = await fetched(address);
  const direct = parseFeed(page, at);
  if (direct) return { name: direct.name || new URL(at).hostname, server: '', url: at };
  const doc = new DOMParser().parseFromString(page, 'text/html');
  const link = doc.querySelector('link[rel~=alternate][type="application/atom+xml"], link[rel~=alternate][type="application/rss+xml"]')?.getAttribute('href');
  if (!link) throw new Unread('This site has no feed.');
  const inside = await fetched(new URL(link, at).href);
  const found = parseFeed(inside.text, inside.address);
  if (!found) throw new Unread('The feed of this site cannot be read.');
  return { name: found.name || new URL(at).hostname, server: '', url: inside.address };
}
