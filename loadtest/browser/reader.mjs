// Reader as a person uses it: says something, follows a person and a blog, reads, answers, deletes.

import { accessible, check, person, quiet, shoot } from './lib.mjs';
import { allow, openApp } from './console.mjs';

const FEEDS = {
  '<rss version="2.0"><channel><title>A &amp; B</title><item><title>One</title><link>https://a.example/1</link><pubDate>Mon, 30 Nov 2026 10:00:00 GMT</pubDate><description>&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;/p&gt;&lt;p&gt;*stars*&lt;/p&gt;</description></item><item><title>Bad</title><link>javascript:alert(1)</link></item></channel></rss>': 'A & B|One https://a.example/1 Hello you  \\*stars\\*|Bad  ',
  '<feed xmlns="http://www.w3.org/2005/Atom"><title>C</title><entry><title>Two</title><id>x</id><link rel="self" href="https://c.example/no"/><link href="/2"/><updated>2026-11-30T10:00:00Z</updated><content type="html">Hi &amp;amp; &amp;lt;img src=x onerror=alert(1)&amp;gt;</content></entry></feed>': 'C|Two https://c.example/2 Hi & \\<img src=x onerror=alert(1)\\>',
  '<rss><channel><title>cut': 'null',
  '<html><body>no feed</body></html>': 'null',
};

export async function useReader(world, anna, home, blog) {
  await openApp(anna, home, 'Reader');
  await anna.waitForSelector('#items .empty');
  await accessible(anna, 'reader, empty');
  await shoot(anna, 'reader-empty');
  await anna.setViewportSize({ width: 1280, height: 800 });
  const parsed = await anna.evaluate(async (feeds) => {
    const own = document.querySelector('script[type=module][src*="reader.js"]').src;
    const { parseFeed } = await import(new URL('sources.js', own).href);
    return feeds.map((text) => { const found = parseFeed(text, 'https://c.example/feed'); return found ? [found.name, ...found.items.map((item) => `${item.title} ${item.url} ${item.text.replace(/\n+/g, '  ')}`)].join('|') : 'null'; });
  }, Object.keys(FEEDS));
  await check('feeds are read as plain words, whatever is in them', Object.values(FEEDS).every((wanted, at) => parsed[at] === wanted), JSON.stringify(parsed));
  await anna.fill('#text', 'Good morning from the bench. <img src=x onerror=alert(1)> **Oak** today.');
  await anna.click('#say button:text-is("Post")');
  await anna.locator('.item:has-text("Good morning")').waitFor();
  await check('before the owner allows it, others do not see what one says', () => anna.locator('.toast:has-text("as soon as you allow it")').waitFor().then(() => true));
  await allow(anna, home, 'Reader');
  await openApp(anna, home, 'Reader');
  await anna.locator('.item:has-text("Good morning")').waitFor();
  const stranger = await person(world);
  // Asked as anyone may, until the answer is as expected.
  const outside = async (words, there = true) => {
    for (let tries = 0; tries < 40; tries += 1) {
      const text = await (await stranger.goto(`${home}/public/query?app=org.freehold.reader`)).text();
      if (text.includes(words) === there) return true;
      await stranger.waitForTimeout(250);
    }
    return false;
  };
  await check('then they do, also what was said before', () => outside('Good morning'));
  const address = new URL(home);
  const follow = async (who) => { await anna.click('#follow'); await anna.fill('dialog input', who); await anna.click('dialog button:text-is("Follow")'); };
  await follow(`anna@${address.host}`);
  await check('a person is followed by their address', () => anna.locator('.item h3:has-text("Second")').waitFor().then(() => true));
  await follow(blog);
  await check('a blog is followed by the address of its site', () => anna.locator('#head h2:text-is("Anna at the bench")').waitFor().then(() => anna.locator('.item h3:has-text("Holz")').waitFor()).then(() => true));
  await follow('http://localhost:1/nothing');
  await check('what cannot be read is said in words', () => anna.locator('.toast:has-text("does not answer")').waitFor().then(() => true));
  await anna.click('#lists a:has-text("Everything")');
  await anna.locator('.item:has-text("Good morning")').first().waitFor();
  await accessible(anna, 'reader');
  await shoot(anna, 'reader');
  await anna.setViewportSize({ width: 1280, height: 800 });
  await check('nothing that others wrote runs or loads', async () => (await anna.locator('.item img, .item script').count()) === 0);
  await anna.locator('.item:has(h3:has-text("Second")) button:has-text("Answer")').first().click();
  await anna.fill('#text', 'Two is enough.');
  await anna.press('#text', 'Control+Enter');
  await check('an answer says to what', () => anna.locator('.item:has-text("Two is enough"):has-text("In answer to")').first().waitFor().then(() => true));
  await outside('Two is enough');
  await anna.click('#lists a:has-text("What you said")');
  await anna.locator('.item:has-text("Two is enough") button:has-text("Delete")').click();
  await check('a deleted post is gone for everyone', () => outside('Two is enough', false));
  await anna.click('.toast:has-text("deleted") button');
  await check('and back by Undo', () => outside('Two is enough'));
  await anna.click('#lists a:has-text("Anna at the bench")');
  await anna.click('[aria-label="Follow Anna at the bench no longer"]');
  await check('whom one follows no longer is gone from the list', async () => { await anna.locator('#lists a:has-text("Anna at the bench")').waitFor({ state: 'detached' }); return true; });
  await stranger.context().close();
  await quiet(anna, 'reader');
}
