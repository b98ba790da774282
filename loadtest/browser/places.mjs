// Storage of one's own in the browser: add a bucket, seal copies, send one there, and bring one here elsewhere.
//
// Environment: PLACE is the address of an S3 server with a bucket `copies`, PLACE_KEY and PLACE_SECRET open it.

import { accessible, check, shoot } from './lib.mjs';

const PHRASE = 'violet harbour counts seven';

async function addBucket(page, origin, server, name) {
  await page.goto(`${origin}${server}/leave`);
  await page.click('main a:has-text("Storage of mine")');
  await page.waitForURL(/\/places$/);
  await page.click('main a:has-text("Add a bucket")');
  await page.waitForURL(/\/places\/add\/s3$/);
  const answers = { name, endpoint: process.env.PLACE, bucket: 'copies', prefix: 'freehold/anna', key_id: process.env.PLACE_KEY, secret: process.env.PLACE_SECRET };
  for (const [field, answer] of Object.entries(answers)) await page.fill(`[name=${field}]`, answer);
}

/** Copies everything, sealed, to a bucket. Answers with the name of the copy. */
export async function copyToBucket(page, origin, server) {
  await addBucket(page, origin, server, 'Attic');
  await accessible(page, 'add a bucket');
  await shoot(page, 'place-add');
  await page.fill('[name=secret]', 'guessed');
  await page.click('button:has-text("Try it and add it")');
  await check('a key that does not open the bucket is refused with words', () => page.locator('.banner.danger:has-text("refuses the key")').waitFor().then(() => true));
  await page.fill('[name=secret]', process.env.PLACE_SECRET);
  await page.click('button:has-text("Try it and add it")');
  await page.waitForURL(/\/places\/plc_/);
  await check('the bucket is added, and copies go there open', async () => (await page.locator('#sealing').innerText()).includes('Copies go there open'));
  await accessible(page, 'place');
  await shoot(page, 'place');

  await page.fill('[name=passphrase]', PHRASE);
  await page.fill('[name=again]', 'violet harbor counts seven');
  await page.click('button:has-text("Seal copies from now on")');
  await check('a slip in the passphrase is told at its field', async () => (await page.locator('.field.bad').innerText()).includes('another one'));
  await page.fill('[name=passphrase]', PHRASE);
  await page.fill('[name=again]', PHRASE);
  await page.click('button:has-text("Seal copies from now on")');
  await page.waitForURL(/done=sealed/);
  await check('copies are sealed from now on', async () => (await page.locator('#sealing').innerText()).includes('Copies are sealed with the passphrase you set on'));
  await page.click('button:has-text("Copy everything there now")');
  await page.waitForURL(/\/exports\//);
  await shoot(page, 'copy-going');
  await check('the copy gets there', () => page.locator('h1:has-text("lies in your storage")').waitFor({ timeout: 120000 }).then(() => true));
  await accessible(page, 'copy done');
  await shoot(page, 'copy-done');
  await page.click('main a:has-text("Attic"), main a[href*="/places/plc_"]');
  await page.waitForURL(/\/places\/plc_/);
  const copy = page.locator('section:has(#h-c) li');
  await check('it stands on the page of the storage, sealed', async () => /\.pcc\.zip\.age/.test(await copy.innerText()) && (await copy.innerText()).includes('sealed'), await copy.innerText());
  await accessible(page, 'place with a sealed copy');
  await shoot(page, 'place-sealed');
  await page.locator('#sealing').scrollIntoViewIfNeeded();
  await shoot(page, 'place-sealing');
  await page.click('a:has-text("Seal no longer")');
  await page.waitForURL(/\/unseal$/);
  await accessible(page, 'seal no longer');
  await shoot(page, 'place-unseal');
  await page.click('a:has-text("Go on sealing")');
  return copy.locator('b').innerText();
}

/** Brings a sealed copy here from the same bucket, at another provider. */
export async function importFromBucket(page, origin, server, name) {
  await addBucket(page, origin, server, 'What I left');
  await page.click('button:has-text("Try it and add it")');
  await page.waitForURL(/\/places\/plc_/);
  await page.click('a:has-text("Import from there")');
  await page.waitForURL(/\/archives$/);
  const line = page.locator('main li', { hasText: name });
  await check('what another provider wrote there is found, sealed', async () => (await line.innerText()).includes('sealed'), await page.locator('main').innerText());
  await accessible(page, 'archives in a place');
  await shoot(page, 'place-archives');
  await line.locator('button').click();
  await page.waitForURL(/\/imports\//);
  await page.locator('[name=passphrase]').waitFor({ timeout: 120000 });
  await accessible(page, 'sealed archive');
  await shoot(page, 'import-sealed');
  await page.fill('[name=passphrase]', 'seven counts of violet harbour');
  await page.click('button:has-text("Open and check it")');
  await check('a wrong passphrase is said to be one', async () => (await page.locator('.field.bad').innerText()).includes('not the passphrase'));
  await shoot(page, 'import-sealed-wrong');
  await page.fill('[name=passphrase]', PHRASE);
  await page.click('button:has-text("Open and check it")');
  const confirm = page.locator('button:has-text("Import and check")');
  await confirm.waitFor({ timeout: 120000 });
  await confirm.click();
  await check('the import from the bucket is done', () => page.locator('main a:has-text("Open my server")').waitFor({ timeout: 180000 }).then(() => true));
}
