// Contacts as a person uses it: an address book comes along, somebody is written down, found, deleted and brought back, and all goes out again.

import fs from 'node:fs';
import path from 'node:path';

import { accessible, check, quiet, shoot } from './lib.mjs';
import { allow, openApp } from './console.mjs';

// As an old phone, Apple and Google write them: 2.1 with quoted-printable, 3.0 with groups, 4.0; and one that is broken.
const CARDS = [
  'BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:G=C3=B6deke;J=C3=B6rg;;;\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg G=\r\n=C3=B6deke\r\nTEL;CELL:+49 170 1234567\r\nEND:VCARD',
  'BEGIN:VCARD\r\nVERSION:3.0\r\nN:Okafor;Ada;;;\r\nFN:Ada Okafor\r\nORG:Lindenhof;Workshop\r\nitem1.EMAIL;type=INTERNET:ada@lindenhof.example\r\nitem1.X-ABLabel:_$!<Boat>!$_\r\nADR;TYPE=WORK:;;12 Quay Street\\, back door;Galway;;H91;Ireland\r\nBDAY:1984-02-29\r\nNOTE:Knows boats\\, stairs;\r\n  and knots\r\nCATEGORIES:choir,work\r\nEND:VCARD',
  'BEGIN:VCARD\nVERSION:4.0\nFN:Li Wei\nN:Li;Wei;;;\nTEL;TYPE="cell,voice";VALUE=uri:tel:+86-10-5555\nX-CEPS:wei@wei.example.org\nBDAY:--0517\nEND:VCARD',
  'BEGIN:VCARD\nVERSION:3.0\nTEL;;;:\nnonsense without a colon\nEND:VCARD',
].join('\r\n');

export async function useContacts(anna, home, work) {
  await openApp(anna, home, 'Contacts');
  await anna.waitForSelector('.shelf .empty');
  await shoot(anna, 'contacts-empty');
  await accessible(anna, 'contacts, empty');
  await anna.setViewportSize({ width: 1280, height: 800 });
  const file = path.join(work, 'book.vcf');
  fs.writeFileSync(file, CARDS);
  await anna.setInputFiles('#cards', file);
  await check('an address book comes along, whatever wrote it', () => anna.locator('.toast:has-text("3 people are added.")').waitFor().then(() => true));
  await anna.click('#list a:has-text("Ada Okafor")');
  const ada = await anna.locator('#card dl').innerText();
  await check('with all that its cards say', ['ada@lindenhof.example', '12 Quay Street, back door', '29 February 1984', 'Knows boats, stairs;', 'choir, work'].every((word) => ada.includes(word) || ada.includes(word.replace('29 February', 'February 29,'))), ada);
  await check('and names in any alphabet', async () => (await anna.locator('#list a:has-text("Jörg Gödeke")').count()) === 1);
  await anna.setInputFiles('#cards', file);
  await check('the same book again adds nobody', () => anna.locator('.toast:has-text("All 3 are here already.")').waitFor().then(() => true));
  await anna.click('#new');
  await anna.fill('#f-given', 'Berta');
  await anna.fill('#f-family', 'Zeller');
  await anna.fill('[aria-label="Phone 1, a number"]', '0664 555 77');
  await anna.fill('#f-server', 'berta@berta.example.org');
  await accessible(anna, 'contacts form');
  await shoot(anna, 'contacts-form');
  await anna.click('button:text-is("Save")');
  await check('somebody new is written down', () => anna.locator('#card h2:has-text("Berta Zeller")').waitFor().then(() => true));
  await anna.click('[aria-label="Keep at the top"]');
  await accessible(anna, 'contacts');
  await shoot(anna, 'contacts');
  await anna.fill('#search', '066455577');
  await check('and found by a number as one types it', async () => (await anna.locator('#list a').count()) === 1 && (await anna.locator('#list a').innerText()).includes('Berta'));
  await anna.fill('#search', '');
  await anna.click('[aria-label="Delete Berta Zeller"]');
  await check('whom one deletes is gone', async () => (await anna.locator('#list a:has-text("Berta")').count()) === 0);
  await anna.click('.toast:has-text("deleted") button');
  await check('and back by Undo', () => anna.locator('#card h2:has-text("Berta Zeller")').waitFor().then(() => true));
  await allow(anna, home, 'Contacts');
  await openApp(anna, home, 'Contacts');
  await anna.click('#list a:has-text("Li Wei")');
  await anna.click('#edit');
  await anna.fill('#f-server', 'wei@wei.example.com');
  await anna.click('button:text-is("Save")');
  await anna.locator('#card dd:has-text("wei@wei.example.com")').waitFor();
  await anna.goto(`${home}/.freehold/people`);
  await check('somebody with a server of their own stands on the People page as well', async () => (await anna.locator('main').innerText()).includes('wei@wei.example.com'));
  await anna.fill('[name=address]', 'tom@tom.example.org');
  await anna.click('form:has([name=address]) button');
  await openApp(anna, home, 'Contacts');
  await check('and who was added there stands here', () => anna.locator('#list a:has-text("tom@tom.example.org")').first().waitFor().then(() => true));
  await anna.click('#more');
  const [download] = await Promise.all([anna.waitForEvent('download'), anna.click('dialog button:has-text("Download everyone")')]);
  const out = fs.readFileSync(await download.path(), 'utf8');
  await check('everyone goes out as cards', (out.match(/BEGIN:VCARD/g) ?? []).length === 5 && out.includes('FN:Jörg Gödeke') && out.includes('item1.X-ABLABEL:boat') && out.includes('ADR;TYPE=WORK:;;12 Quay Street\\, back door;Galway;;H91;Ireland') && out.split('\r\n').every((line) => Buffer.byteLength(line) <= 75), out);
  const again = await anna.evaluate(async (text) => {
    const own = document.querySelector('script[type=module][src*="contacts.js"]').src;
    const { parse } = await import(new URL('vcard.js', own).href);
    return parse(text).map(({ name, birthday, note }) => ({ name, birthday, note }));
  }, out);
  await check('and reads back as the same', again.some((one) => one.name === 'Li Wei' && one.birthday === '--05-17') && again.some((one) => one.note === 'Knows boats, stairs; and knots'), JSON.stringify(again));
  await quiet(anna, 'contacts');
}
