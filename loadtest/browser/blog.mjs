// Blog as a person uses it: write, put a picture in, publish, allow; and as visitors and feed readers see it.

import { accessible, check, person, quiet, shoot } from './lib.mjs';
import { allow, openApp } from './console.mjs';

/** Answers with the address of the blog. */
export async function useBlog(world, anna, home, files) {
  await openApp(anna, home, 'Blog');
  await anna.waitForSelector('.shelf .empty');
  await shoot(anna, 'blog-empty');
  await anna.setViewportSize({ width: 1280, height: 800 });
  const blog = new URL(anna.url()).origin;
  const saved = () => anna.waitForFunction(() => document.querySelector('#state').textContent === 'Saved on your server');
  await anna.click('#new');
  await anna.fill('.headline', 'Übers Holz: a first post');
  await anna.fill('.tagline', 'wood, tools');
  await anna.fill('.text', '## Oak\n\nHard, **heavy**, patient. <script>alert(1)</script>\n\n![far](https://elsewhere.example/x.png)\n\n');
  await anna.locator('.text').press('Control+End');
  await anna.setInputFiles('.writing input[type=file]', files[0]);
  await check('a picture goes into the text', () => anna.waitForFunction(() => { const img = document.querySelector('.preview img'); return img && img.complete && img.naturalWidth > 0; }).then(async () => (await anna.locator('.preview img').count()) === 1));
  await saved();
  await accessible(anna, 'blog editor');
  await shoot(anna, 'blog-editor');
  await anna.setViewportSize({ width: 1280, height: 800 });
  await anna.click('#publish');
  await anna.locator('#list .badge.ok').waitFor();
  const visitor = await person(world);
  await visitor.goto(`${blog}/ubers-holz-a-first-post`);
  await check('before the owner allows it, visitors see nothing of it', async () => !(await visitor.locator('body').innerText()).includes('patient'));
  await accessible(anna, 'blog, published and not yet allowed');
  await anna.setViewportSize({ width: 1280, height: 800 });
  await allow(anna, home, 'Blog');
  await visitor.goto(`${blog}/ubers-holz-a-first-post`);
  await check('then they read it at a clean address', async () => (await visitor.locator('h1').innerText()) === 'Übers Holz: a first post');
  await check('with its picture and no script', () => visitor.waitForFunction(() => { const img = document.querySelector('img'); return img && img.complete && img.naturalWidth > 0; }).then(async () => (await visitor.locator('script').count()) === 0 && (await visitor.locator('img').count()) === 1));
  await shoot(visitor, 'blog-post');
  await visitor.setViewportSize({ width: 1280, height: 800 });
  // Back in the editor, the post is shared with followers too, since that was allowed only now.
  await openApp(anna, home, 'Blog');
  await saved();
  await anna.click('#list a:has-text("Holz")');
  await anna.fill('.text', 'Shorter, and better.');
  await check('a change is not shown before it is published', () => anna.locator('#list .badge.warn:has-text("Changed")').waitFor().then(async () => { await visitor.reload(); return (await visitor.locator('main').innerText()).includes('patient'); }));
  await anna.click('#about');
  await anna.fill('#blog-title', 'Anna at the bench');
  await anna.fill('#blog-tagline', 'Wood, stairs, the odd boat.');
  await anna.check('dialog input[value=garden]');
  await accessible(anna, 'title and look of the blog');
  await anna.click('dialog button:text-is("Save")');
  await anna.locator('.toast:has-text("Every page")').waitFor();
  await anna.click('#new');
  await anna.fill('.headline', 'Second');
  await anna.fill('.text', 'Two. '.repeat(100));
  await saved();
  await anna.click('#publish');
  await anna.locator('.toast:has-text("/second")').waitFor();
  await visitor.goto(blog);
  await check('all posts stand at the start, the newest first', async () => (await visitor.locator('h1').innerText()) === 'Anna at the bench' && (await visitor.locator('.posts h2').allInnerTexts()).join('|') === 'Second|Übers Holz: a first post');
  await check('in the look that was chosen', () => visitor.evaluate(() => getComputedStyle(document.documentElement).backgroundColor === 'rgb(12, 58, 47)'));
  // A published page is sandboxed without script; what looks for faults in it is one.
  const looking = await person(world, { bypassCSP: true });
  await looking.goto(blog);
  await accessible(looking, 'the blog');
  await looking.goto(`${blog}/second`);
  await accessible(looking, 'a post of the blog');
  await looking.context().close();
  await shoot(visitor, 'blog-public');
  await visitor.setViewportSize({ width: 1280, height: 800 });
  for (const [name, root, entry] of [['feed.xml', 'feed', 'entry'], ['rss.xml', 'rss', 'item']]) {
    const found = await anna.evaluate(async ([path, tag, each]) => {
      const text = await fetch(path).then((answer) => answer.text());
      const doc = new DOMParser().parseFromString(text, 'text/xml');
      return { sound: !doc.querySelector('parsererror') && doc.documentElement.localName === tag, titles: [...doc.querySelectorAll(`${each} > title`)].map((node) => node.textContent), links: [...doc.querySelectorAll(`${each} > link`)].map((node) => node.getAttribute('href') ?? node.textContent), html: doc.querySelector(`${each}:last-of-type > content, ${each}:last-of-type > description`)?.textContent ?? '' };
    }, [`/${name}`, root, entry]);
    await check(`${name} is a feed of both, with whole addresses`, found.sound && found.titles.join('|') === 'Second|Übers Holz: a first post' && found.links[0] === `${blog}/second` && found.html.includes(`src="${blog}/images/`) && !found.html.includes('<script'), JSON.stringify(found));
  }
  const server = await (await visitor.goto(`${home}/public/atom`)).text();
  await check('the server\'s own feed has them too', server.includes('<title>Second</title>'), server.slice(0, 200));
  await anna.click('[aria-label="More about this post"]');
  await anna.click('dialog button:text-is("Take down")');
  await anna.locator('.toast:has-text("taken down")').waitFor();
  await check('what is taken down is gone', async () => { await visitor.goto(`${blog}/second`); return (await visitor.locator('body').innerText()).includes('There is no such page'); });
  await anna.click('.toast:has-text("taken down") button');
  await check('and back by Undo', () => anna.locator('#list li:has-text("Second") .badge.ok').waitFor().then(async () => { await visitor.goto(`${blog}/second`); return (await visitor.locator('h1').innerText()) === 'Second'; }));
  await visitor.context().close();
  await quiet(anna, 'blog');
  return blog;
}
