// Home page as a person uses it: write, publish, allow; and as a visitor sees it.

import { accessible, check, person, quiet, shoot } from './lib.mjs';
import { openApp } from './console.mjs';

/** Answers with the address of the editor. */
export async function useHomePage(world, anna, home, files, notesAddress) {
  await openApp(anna, home, 'Home page');
  await anna.fill('#title', 'Anna Berg');
  await anna.fill('#tagline', 'Carpenter in Graz.');
  await anna.fill('#text', 'Kitchens, stairs, and **the odd boat**. <script>alert(1)</script>');
  await anna.click('#add-link');
  await anna.fill('#link-0', 'The workshop');
  await anna.fill('[aria-label="Link 1, address"]', 'workshop.example');
  await anna.setInputFiles('#form input[type=file]', files[0]);
  await anna.waitForSelector('text=Take it out');
  await anna.check('input[value=paper]');
  await accessible(anna, 'home page editor');
  await shoot(anna, 'home-editor');
  await anna.click('#publish');
  await anna.waitForFunction(() => /^Published/.test(document.querySelector('#state').textContent));
  await quiet(anna, 'home page editor');
  const editor = anna.url();
  const visitor = await person(world);
  await visitor.goto(home);
  await check('before the owner allows it, visitors see nothing of it', async () => !(await visitor.locator('body').innerText()).includes('Carpenter'));
  await anna.goto(`${home}/.freehold/permissions`);
  await accessible(anna, 'permissions');
  await shoot(anna, 'permissions');
  await anna.click('main li:has(b:text-is("Home page")) button:text-is("Allow")');
  await anna.waitForLoadState();
  await visitor.goto(home);
  await check('then they see the page', async () => (await visitor.locator('h1').innerText()) === 'Anna Berg');
  await check('with its picture and style', () => visitor.waitForFunction(() => { const img = document.querySelector('img'); return img && img.complete && img.naturalWidth > 0 && getComputedStyle(document.querySelector('.home')).backgroundColor === 'rgb(233, 228, 216)'; }).then(() => true));
  await check('and it carries no script', async () => (await visitor.locator('script').count()) === 0);
  await shoot(visitor, 'home-page-public');
  await visitor.goto(`${notesAddress.split('/apps/')[0]}/apps/org.freehold.notes/index`);
  await check('a visitor does not get into an app', async () => (await visitor.locator('#new').count()) === 0);
  await visitor.context().close();
  return editor;
}
