// An app from a folder: installed, used, brought up to date with a version that breaks, which is taken back with the data as it
// was; a new permission that waits; removal and undo; and packages that are refused, in words.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { accessible, check, journey, person, quiet, shoot } from './lib.mjs';
import { openServer, setUp, signUp } from './console.mjs';

const ID = 'org.example.jar';
const TABLE = `${ID}.things`;
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-store-'));

const SCRIPT = `
  const call = async (method, path, body) => {
    const answer = await fetch(path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
    return answer.json();
  };
  const show = async () => {
    const all = await call('GET', '/ceps/query/${TABLE}');
    document.querySelector('output').textContent = all.map((one) => one.text).sort().join(', ') || 'nothing yet';
  };`;
const GOOD = `${SCRIPT}
  document.querySelector('form').onsubmit = async (event) => {
    event.preventDefault();
    await call('POST', '/ceps/write/${TABLE}', { text: event.target.elements.text.value });
    await show();
  };
  show();`;
// Spoils what is there, and then falls over: what a bad migration does.
const BROKEN = `${SCRIPT}
  const all = await call('GET', '/ceps/query/${TABLE}');
  for (const one of all) await call('PUT', '/ceps/update/${TABLE}/' + one._id, { text: 'spoiled' });
  await call('POST', '/ceps/write/${TABLE}', { text: 'rubbish' });
  setTimeout(() => neverDefined(), 50);`;

function release(version, script, permissions = []) {
  const folder = path.join(work, `jar-${version}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify({
    identifier: ID, display_name: 'Jar', version, author: 'Ada Example', description: 'Keeps short words.', permissions,
    pages: { index: { page_title: 'Jar', html_file: 'index.html', modules: ['jar.js'] } },
  }));
  fs.writeFileSync(path.join(folder, 'index.html'),
    `<h1>Jar ${version}</h1><form><label>A word <input name="text" required></label><button>Keep</button></form><p><output></output></p>`);
  fs.writeFileSync(path.join(folder, 'jar.js'), script);
  return folder;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A zip of stored entries, with the names as they are given. */
function zip(name, entries) {
  const parts = [];
  const list = [];
  let at = 0;
  for (const [file, text] of entries) {
    const [label, bytes] = [Buffer.from(file), Buffer.from(text)];
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0);
    head.writeUInt16LE(0x21, 8);
    head.writeUInt32LE(crc32(bytes), 10);
    head.writeUInt32LE(bytes.length, 14);
    head.writeUInt32LE(bytes.length, 18);
    head.writeUInt16LE(label.length, 22);
    parts.push(Buffer.from('PK\u0003\u0004', 'latin1'), head, label, bytes);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    list.push(Buffer.from('PK\u0001\u0002\u0014\u0000', 'latin1'), head, tail, label);
    at += 30 + label.length + bytes.length;
  }
  const index = Buffer.concat(list);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(index.length, 8);
  end.writeUInt32LE(at, 12);
  const file = path.join(work, name);
  fs.writeFileSync(file, Buffer.concat([...parts, index, Buffer.from('PK\u0005\u0006', 'latin1'), end]));
  return file;
}

await journey('store', async (world) => {
  // After the journey the provider is set up; by itself this one sets it up.
  const console_ = process.env.STORE_ALONE
    ? (await setUp(world, process.env.A_SETUP, { business: 'Nordhaus', email: 'olga@nordhaus.example', password: 'a long walk by the river' })).origin
    : process.env.A_ORIGIN;
  const page = await person(world);
  const { path: server } = await signUp(page, console_, { address: 'jar', email: 'jo@store.example', password: 'seven green bottles stand' });
  const add = `${console_}${server}/add`;
  const hand = async (input, files) => {
    await page.goto(add);
    await page.setInputFiles(`#${input}`, files);
    await page.click('button:has-text("Show what it is")');
    await page.waitForLoadState();
  };
  const words = () => page.locator('main').innerText();
  const jar = async () => {
    await page.goto(launcher);
    await page.click('.apps a:has-text("Jar")');
    await page.waitForURL(/\/apps\/org\.example\.jar/);
  };
  const kept = (text) => page.locator('output', { hasText: text }).waitFor().then(() => true);

  await page.goto(add);
  await accessible(page, 'add an app');
  await shoot(page, 'store-add');
  for (const [name, entries, word] of [
    ['out.zip', [['../index.html', 'x'], ['index.html', 'x']], 'not a plain path'],
    ['twice.zip', [['index.html', 'x'], ['Index.html', 'y']], 'lists a file twice'],
    ['nothing.zip', [['readme.txt', 'x']], 'neither a manifest.json nor an index.html'],
  ]) {
    await hand('package', zip(name, entries));
    const said = await words();
    await check(`${name} is refused in words`, said.includes(word), said.slice(0, 300));
  }
  await shoot(page, 'store-refused');
  await page.goto(add);
  await page.fill('#address', 'ftp://example.org/app.zip');
  await page.click('button:has-text("Show what it is")');
  await page.waitForLoadState();
  await check('an address that cannot be is refused beside its field', page.locator('#address-says').isVisible());

  await hand('folder', release('1.0.0', GOOD));
  const first = await words();
  await check('what it is stands there before it is installed',
    first.includes('Install Jar?') && first.includes('Nobody signed it') && first.includes('Nothing beyond its own data') && first.includes('Ada Example'), first.slice(0, 500));
  await accessible(page, 'what a package is');
  await shoot(page, 'store-package');
  await page.click('main button:has-text("Install")');
  await page.waitForURL('**/apps?done=installed**');
  await openServer(page, console_, server);
  const launcher = `${new URL(page.url()).origin}/`;
  await jar();
  for (const word of ['salt', 'pepper']) {
    await page.fill('[name=text]', word);
    await page.click('button:has-text("Keep")');
    await kept(word);
  }
  await check('it keeps what it is given', kept('pepper, salt'));

  const asks = [{ name: 'look', type: 'read_all', table_id: 'org.freehold.notes.notes', description: 'To find words you have noted.' }];
  await hand('folder', release('2.0.0', BROKEN, asks));
  const second = await words();
  await check('an update says so, and what is new in what it asks', second.includes('Update Jar to 2.0.0?') && second.includes('You have 1.0.0') && second.includes('May it read everything in org.freehold.notes.notes?'), second.slice(0, 500));
  await shoot(page, 'store-update');
  await page.click('main button:has-text("Update")');
  await page.waitForURL('**/apps?done=installed**');
  await jar();
  await page.locator('h1:has-text("Jar 1.0.0")').waitFor();
  await check('the version before is back by itself, with its data as it was', kept('pepper, salt'));
  page.complaints.length = 0;
  await page.goto(launcher);
  await check('the start page of the server says so', page.locator('.banner:has-text("Version 2.0.0 did not start")').isVisible());
  await check('what only the broken version asked for is not asked', page.locator('.banner:has-text("asks to")').count().then((count) => count === 0));
  await shoot(page, 'store-launcher');
  await page.goto(`${console_}${server}/apps`);
  await check('and so does the console', page.locator('.banner:has-text("Version 2.0.0 did not start")').isVisible());
  await accessible(page, 'apps after a roll-back');
  await shoot(page, 'store-back');
  await page.goto(`${console_}${server}/activity`);
  await check('and the activity log', page.locator('main :text("did not start")').first().isVisible());

  await hand('folder', release('3.0.0', GOOD, asks));
  await page.click('main button:has-text("Update")');
  await page.waitForURL('**/apps?done=installed**');
  await jar();
  await check('a good version stays', page.locator('h1:has-text("Jar 3.0.0")').waitFor().then(() => true));
  await check('with all data', kept('pepper, salt'));
  await page.waitForTimeout(4500);
  await page.goto(launcher);
  await check('its new permission waits', page.locator('.banner:has-text("Jar") a:has-text("Decide")').isVisible());
  await page.goto(`${console_}${server}/apps`);
  await check('and it is not watched any more', page.locator('li:has-text("Jar"):has-text("watched until")').count().then((count) => count === 0));
  await quiet(page, 'the console');

  await page.click('li:has-text("Jar") button:has-text("Keep 3.0.0")');
  await page.waitForURL('**/apps?done=pinned**');
  await check('a version can be kept', page.locator('li:has-text("stays at this version")').isVisible());
  await page.click('li:has-text("Jar") button:has-text("Remove")');
  await page.click('dialog[open] button:has-text("Remove")');
  await page.waitForURL('**/apps?done=removed**');
  await shoot(page, 'store-removed');
  await page.click('section:has(#h-r) button:has-text("Undo")');
  await page.waitForURL('**/apps?done=restored**');
  await jar();
  await check('removal is taken back, and nothing is missing', kept('pepper, salt'));
});
fs.rmSync(work, { recursive: true, force: true });
