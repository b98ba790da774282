// Photos as a person uses it: many at once, a cut line, albums, full screen, the original back.

import fs from 'node:fs';
import path from 'node:path';

import { accessible, check, pictures, quiet, sha256, shoot } from './lib.mjs';
import { openApp } from './console.mjs';

/** Answers with the files that were uploaded and the digests of their bytes. */
export async function usePhotos(world, anna, home, work) {
  const files = await pictures(world, work, 14);
  const drawn = !process.env.PHOTOS;
  await openApp(anna, home, 'Photos');
  await anna.waitForSelector('.empty');
  await shoot(anna, 'photos-empty');
  const offsets = [];
  let cut = drawn;
  await anna.route('**/feps/uploads/**', async (route) => {
    const at = new URL(route.request().url()).searchParams.get('offset');
    if (route.request().method() === 'PATCH') {
      offsets.push(Number(at));
      if (cut && Number(at) > 0) { cut = false; await route.abort('connectionreset'); return; }
    }
    await route.continue();
  });
  await anna.setInputFiles('#chosen', files);
  await check('every file shows its own progress', () => anna.locator('.uploads progress').first().waitFor().then(() => true));
  await shoot(anna, 'photos-uploading');
  await check(`${files.length} pictures are on the server`, async () => {
    await anna.waitForFunction((many) => document.querySelectorAll('.tile').length === many && document.querySelector('#queue').hidden, files.length, { timeout: 300000 });
    return true;
  });
  if (drawn) await check('an upload cut in the middle went on where it was', !cut && offsets.filter((offset) => offset > 0).length >= 2, offsets);
  await anna.unroute('**/feps/uploads/**');
  if (drawn) {
    const late = path.join(work, 'closed-window.jpg');
    fs.copyFileSync(files.at(-1), late);
    fs.appendFileSync(late, 'another picture than the one before');
    files.push(late);
    const sent = [];
    let open = false;
    await anna.route('**/feps/uploads/**', async (route) => {
      const at = Number(new URL(route.request().url()).searchParams.get('offset'));
      if (route.request().method() === 'PATCH') {
        if (!open && at > 0) { await route.abort('connectionreset'); return; }
        sent.push(at);
      }
      await route.continue();
    });
    await anna.setInputFiles('#chosen', late);
    await anna.waitForSelector('.uploads .cut');
    open = true;
    await anna.reload();
    await check('an upload goes on in a window that was closed meanwhile', async () => {
      await anna.waitForFunction((many) => document.querySelectorAll('.tile').length === many, files.length);
      return sent.length >= 2 && sent.filter((at) => at === 0).length === 1;
    }, sent);
    await anna.unroute('**/feps/uploads/**');
  }
  await check('small versions show', () => anna.waitForFunction(() => { const seen = [...document.querySelectorAll('.tile img')].slice(0, 4); return seen.length && seen.every((img) => img.complete && img.naturalWidth > 0); }).then(() => true));
  await accessible(anna, 'photos');
  await shoot(anna, 'photos');
  await check('a picture that is there already is not sent again', async () => {
    await anna.setInputFiles('#chosen', files.slice(0, 2));
    await anna.waitForSelector('text=2 pictures were here already.');
    return (await anna.locator('.tile').count()) === files.length;
  });
  await anna.click('text=Choose');
  for (const index of [0, 1, 2]) await anna.locator('.tile').nth(index).click();
  await anna.click('#picked button:has-text("Album")');
  await anna.click('button:text-is("Put in")');
  await anna.fill('dialog input', 'Summer at the lake');
  await anna.click('button:text-is("Make it")');
  await anna.waitForSelector('#picked', { state: 'hidden' });
  await anna.click('#views button:has-text("Albums")');
  await check('an album holds the three chosen', () => anna.locator('.albums a:has-text("3 pictures")').waitFor().then(() => true));
  await shoot(anna, 'photos-albums');
  await anna.click('#views button:has-text("Photos")');
  await anna.locator('.tile').first().click();
  await anna.waitForFunction(() => { const img = document.querySelector('.stage img'); return img && img.complete && img.naturalWidth > 0; });
  await accessible(anna, 'full screen');
  await shoot(anna, 'photos-viewer');
  await anna.keyboard.press('ArrowRight');
  await check('an arrow key shows the next picture', async () => (await anna.locator('.caption').innerText()).startsWith('2 of'));
  const [original] = await Promise.all([anna.waitForEvent('download'), anna.click('[aria-label="Download the original"]')]);
  const originals = new Set(files.map((file) => sha256(fs.readFileSync(file))));
  await check('the original comes back byte for byte', async () => originals.has(sha256(fs.readFileSync(await original.path()))));
  await anna.keyboard.press('Escape');
  await quiet(anna, 'photos');
  return { files, originals };
}
