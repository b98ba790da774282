// Publishing: puts what a draft says where visitors find it, and takes it away again. The page that leads to something comes
// last, when all it shows is there; in taking away it comes first.

import { files, table } from './kit/api.js';
import { allowed } from './kit/frame.js';
import { share } from './kit/sharing.js';
import { CSS, TAKEN, atom, indexPage, picturesOf, postPage, rss, slugOf, summary } from './paper.js';

const posts = table('posts');
const abouts = table('about');
const gone = (error) => { if (error.kind !== 'gone') throw error; };

/** What a visitor would see differently. */
export const wordsOf = (draft) => JSON.stringify([draft.title, draft.text, draft.slug, draft.tags]);

export class Press {
  about = { title: '', tagline: '', look: 'plaster' };
  pages = 'pending';
  followers = 'pending';

  async load() {
    this.about = { ...this.about, title: `${globalThis.freezrMeta.userDisplayName}’s blog`, ...await abouts.read('about').catch((error) => { gone(error); return {}; }) };
    await this.look();
  }

  /** Looks what the owner allows, and shares with followers what was published before that was allowed. */
  async look() {
    [this.pages, this.followers] = [await allowed('pages'), await allowed('followers')];
    if (this.followers !== 'granted') return;
    const waiting = (await posts.all()).filter((post) => !(post._accessibles ?? []).some((one) => one.grantee === '_public' && one.granted));
    for (const post of waiting) await this.#tell(post._id, post.url.split('/').at(-1));
  }

  #own() { return { ...this.about, author: globalThis.freezrMeta.userDisplayName }; }
  #id() { return `tag:${location.hostname},2026:blog`; }

  /** A last part of an address that no other post has. */
  freeSlug(draft, all) {
    const wished = draft.slug || slugOf(draft.title) || `post-${draft.id.slice(0, 9)}`;
    const taken = new Set([...TAKEN, ...all.filter((other) => other.id !== draft.id && other.published_at).map((other) => JSON.parse(other.published)[2])]);
    let free = wished;
    for (let number = 2; taken.has(free); number += 1) free = `${wished}-${number}`;
    return free;
  }

  /** Publishes a draft, given all of them; answers with the fields the draft has from then on. */
  async publish(draft, all) {
    const slug = this.freeSlug(draft, all);
    const before = draft.published ? JSON.parse(draft.published)[2] : '';
    const now = { ...draft, slug, published_at: draft.published_at || Date.now() };
    const post = { ...now, _id: draft.id };
    for (const path of picturesOf(draft.text)) await files.put('public/images', path.slice(7), await files.bytes(path));
    await files.put('public', `${slug}.html`, new Blob([postPage(this.#own(), post)], { type: 'text/html' }));
    const record = { title: post.title, text: post.text, summary: summary(post.text), url: `${location.origin}/${slug}`, tags: post.tags, published_at: post.published_at, updated_at: Date.now() };
    await posts.upsert(draft.id, record);
    if (this.followers === 'granted') await this.#tell(draft.id, slug);
    const fields = { slug, published_at: post.published_at, published: wordsOf(now) };
    await this.#front(all.map((other) => (other.id === draft.id ? { ...other, ...now, ...fields } : other)));
    if (before && before !== slug) await files.remove(`public/${before}.html`).catch(gone);
    return fields;
  }

  async #tell(id, slug) {
    // Another record may have the name; then it is found by where it stands.
    const named = (more) => share('followers', 'posts', [id], '_public', more);
    await named({ publicid: `blog/${slug}` }).catch((error) => { if (error.kind !== 'conflict') throw error; return named(); });
  }

  async takeDown(draft, all) {
    const [, , slug] = JSON.parse(draft.published);
    await this.#front(all.filter((other) => other.id !== draft.id));
    await posts.remove(draft.id).catch(gone);
    await files.remove(`public/${slug}.html`).catch(gone);
    const still = new Set(all.filter((other) => other.id !== draft.id && other.published_at).flatMap((other) => picturesOf(JSON.parse(other.published)[1])));
    for (const path of picturesOf(JSON.parse(draft.published)[1])) if (!still.has(path)) await files.remove(`public/${path}`).catch(gone);
    return { published_at: 0, published: '' };
  }

  /** What is published of each draft, the newest first. */
  #shown(all) {
    return all.filter((draft) => draft.published_at && !draft.deleted_at).map((draft) => {
      const [title, text, slug, tags] = JSON.parse(draft.published);
      return { _id: draft.id, title, text, slug, tags, published_at: draft.published_at };
    }).sort((a, b) => b.published_at - a.published_at);
  }

  async #front(all) {
    const [own, shown] = [this.#own(), this.#shown(all)];
    const put = (name, text, type) => files.put('public', name, new Blob([text], { type }));
    await put('style.css', CSS, 'text/css');
    await put('feed.xml', atom(own, shown, location.origin, this.#id()), 'application/atom+xml');
    await put('rss.xml', rss(own, shown, location.origin, this.#id()), 'application/rss+xml');
    await put('index.html', indexPage(own, shown), 'text/html');
  }

  /** Another title or look: every page is written anew. */
  async change(fields, all) {
    Object.assign(this.about, fields);
    await abouts.upsert('about', fields);
    const shown = this.#shown(all);
    for (const post of shown) await files.put('public', `${post.slug}.html`, new Blob([postPage(this.#own(), post)], { type: 'text/html' }));
    if (shown.length) await this.#front(all);
  }
}

