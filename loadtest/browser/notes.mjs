// Notes as a person uses it: write, search, without a line, delete and undo.

import { accessible, check, quiet, shoot } from './lib.mjs';
import { openApp } from './console.mjs';
import { hostile } from './markdown.mjs';

export const NOTE = {
  title: 'Sourdough',
  tags: 'recipes, kitchen',
  text: '## What goes in\n\n- 500 g flour\n- 350 g water\n\n- [x] Buy yeast\n- [ ] Weigh the salt\n\nSee https://example.org. <img src=x onerror=alert(1)> Grüße, 你好, 🥖',
};

/** Answers with the address of the app. */
export async function useNotes(anna, home) {
  await openApp(anna, home, 'Notes');
  const notesAddress = anna.url();
  await check('an app has an origin of its own', new URL(notesAddress).origin !== home, notesAddress);
  await anna.waitForSelector('#new');
  await shoot(anna, 'notes-empty');
  const write = async ({ title, tags, text }) => {
    await anna.click('#new');
    await anna.fill('.headline', title);
    await anna.fill('.tagline', tags);
    await anna.fill('.text', text);
  };
  const saved = () => anna.waitForFunction(() => document.querySelector('#state').textContent === 'Saved on your server' && !document.querySelector('.unsaved'));
  await write({ title: 'Night train to Rome', tags: 'travel', text: 'Leaves 20:04 from platform 9.' });
  await write({ title: 'Things for the garden', tags: '', text: '- tulip bulbs\n- a rake' });
  await write(NOTE);
  await anna.click('[aria-label="Pin to the top"]');
  await check('three notes are saved', () => saved().then(async () => (await anna.locator('#list a').count()) === 3));
  await check('a note shows as written, and nothing in it runs', async () => (await anna.locator('.preview li').count()) === 4 && (await anna.locator('.preview img, .preview script').count()) === 0);
  await hostile(anna);
  await accessible(anna, 'notes');
  await shoot(anna, 'notes');
  await anna.fill('#search', 'tulip');
  await check('search finds the one note with a word', async () => (await anna.locator('#list a').count()) === 1 && (await anna.locator('#list mark').innerText()) === 'tulip');
  await anna.fill('#search', '');
  await anna.context().setOffline(true);
  await anna.click('#list a:has-text("Night train")');
  await anna.fill('.text', 'Leaves 20:04 from platform 9.\n\nWritten without a line.');
  await check('without a line the change is kept and said to be', () => anna.waitForFunction(() => /Offline, 1 change kept here/.test(document.querySelector('#state').textContent)).then(() => true));
  await anna.context().setOffline(false);
  await check('with the line it is saved', () => saved().then(() => true));
  await anna.click('#list a:has-text("garden")');
  await check('what was changed elsewhere meanwhile is kept beside what is written here', async () => {
    await anna.evaluate(async () => {
      const { appName: app, userId: user } = globalThis.freezrMeta;
      const token = decodeURIComponent(document.cookie.split(`app_token_${user}=`)[1].split(';')[0]);
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
      const at = `${app}.notes/${location.hash.slice(1)}`;
      const note = await fetch(`/ceps/read/${at}`, { headers }).then((answer) => answer.json());
      await fetch(`/ceps/update/${at}`, { method: 'PUT', headers, body: JSON.stringify({ ...note, text: 'Changed elsewhere' }) });
    });
    await anna.fill('.text', 'Written here');
    await anna.waitForFunction(() => [...document.querySelectorAll('#list b')].some((title) => /other version/.test(title.textContent)));
    await saved();
    const texts = await anna.locator('#list .bottom').allInnerTexts();
    return texts.some((text) => text.includes('Changed elsewhere')) && texts.some((text) => text.includes('Written here'));
  });
  await anna.click('[aria-label="Delete this note"]');
  await check('a deleted note is gone from the list', async () => (await anna.locator('#list a').count()) === 3);
  await anna.click('.toast button:has-text("Undo")');
  await check('and comes back', async () => (await anna.locator('#list a').count()) === 4);
  await saved();
  await anna.reload();
  await anna.waitForSelector('#list a');
  await check('all is there after a reload', async () => (await anna.locator('#list a').count()) === 4);
  await quiet(anna, 'notes');
  return notesAddress;
}
