// The main job: a person gets a server, uses it, and takes everything to another provider.
//
// Environment: A_SETUP and B_SETUP are the one-time links the two providers print at their first start. SHOTS is a
// folder for pictures of the pages, PHOTOS one with photographs to upload; both may be left out.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { accessible, check, journey, person, pictures, quiet, sha256, shoot } from './lib.mjs';
import { exportAll, fillSignUp, install, openApp, openServer, setUp, signUp, uploadArchive } from './console.mjs';
import { differences, holdings } from './data.mjs';
import { hostile } from './markdown.mjs';

const PASSWORD = 'plaster door brass knob';
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-journey-'));
process.on('exit', () => fs.rmSync(work, { recursive: true, force: true }));

const NOTE = {
  title: 'Sourdough',
  tags: 'recipes, kitchen',
  text: '## What goes in\n\n- 500 g flour\n- 350 g water\n\n- [x] Buy yeast\n- [ ] Weigh the salt\n\nSee https://example.org. <img src=x onerror=alert(1)> Grüße, 你好, 🥖',
};

await journey('journey', async (world) => {
  // --- two providers open for business ---------------------------------------------------
  const a = await setUp(world, process.env.A_SETUP, { business: 'Nordhaus', email: 'olga@nordhaus.example', password: PASSWORD });
  await check('operator A is in by the one-time link', true);
  await accessible(a.page, 'operator overview');
  await shoot(a.page, 'operator-overview');
  const stale = await person(world);
  await stale.goto(process.env.A_SETUP);
  await check('the one-time link opens nothing a second time', async () => (await stale.locator('[name=business_name]').count()) === 0);
  await stale.context().close();
  const b = await setUp(world, process.env.B_SETUP, { business: 'Lindenhof', email: 'otto@lindenhof.example', password: PASSWORD });
  await check('operator B is in by the one-time link', true);

  // --- sign up ---------------------------------------------------------------------------
  const anna = await person(world);
  await anna.goto(a.origin);
  await accessible(anna, 'landing');
  await shoot(anna, 'landing');
  await fillSignUp(anna, a.origin, { address: 'anna', email: 'anna@berg.example', password: PASSWORD });
  await check('the address is said to be free while typing', () => anna.locator('#address-says:not([hidden])').waitFor().then(() => true));
  await accessible(anna, 'sign-up');
  await shoot(anna, 'sign-up');
  const server = await signUp(anna, a.origin, { address: 'anna', email: 'anna@berg.example', password: PASSWORD });
  await check(`the server is ready (after ${server.ms} ms)`, /^\/servers\//.test(server.path));
  await accessible(anna, 'dashboard');
  await shoot(anna, 'dashboard-empty');
  await quiet(anna, 'the console so far');

  const late = await person(world);
  const refused = async (name, who, words) => {
    await fillSignUp(late, a.origin, { address: 'berta', email: 'berta@example.org', password: PASSWORD, ...who });
    await late.click('button:has-text("Create my server")');
    await late.waitForLoadState();
    const said = await late.locator('main').innerText();
    await check(name, new URL(late.url()).pathname === '/sign-up' && words.test(said), said.slice(0, 300));
  };
  await refused('a taken address is refused with words', { address: 'anna' }, /taken|in use|somebody|someone/i);
  await refused('an illegal address is refused with words', { address: 'An na!' }, /letters|digits|hyphen/i);
  await refused('a weak password is refused with words', { password: 'password1' }, /guess|weak|10 characters|password/i);
  await fillSignUp(late, a.origin, { address: 'berta', email: 'berta@example.org', password: PASSWORD });
  await late.locator('button:has-text("Create my server")').dblclick();
  await late.waitForURL(/\/servers\/[a-z0-9-]+$/);
  await check('a double click makes one server', true);
  await late.context().close();
  await a.page.goto(`${a.origin}/operator/servers`);
  const rows = await a.page.locator('main').innerText();
  await check('the operator sees exactly two servers', (rows.match(/\banna\b/g) ?? []).length >= 1 && (rows.match(/\bberta\b/g) ?? []).length >= 1 && (await a.page.locator('main tbody tr').count()) === 2, rows.slice(0, 300));
  await accessible(a.page, 'operator servers');
  await shoot(a.page, 'operator-servers');

  // --- apps ------------------------------------------------------------------------------
  await anna.goto(`${a.origin}${server.path}/apps`);
  await accessible(anna, 'app catalogue');
  await shoot(anna, 'catalogue');
  for (const name of ['Notes', 'Photos', 'Home page']) await install(anna, a.origin, server.path, name);
  await openServer(anna, a.origin, server.path);
  const home = new URL(anna.url()).origin;
  await check('two clicks lead to the own server', new URL(home).hostname.startsWith('anna.'), home);
  await accessible(anna, 'launcher');
  await shoot(anna, 'launcher');

  // --- notes -----------------------------------------------------------------------------
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
  await anna.click('[aria-label="Delete this note"]');
  await check('a deleted note is gone from the list', async () => (await anna.locator('#list a').count()) === 2);
  await anna.click('.toast button:has-text("Undo")');
  await check('and comes back', async () => (await anna.locator('#list a').count()) === 3);
  await saved();
  await anna.reload();
  await anna.waitForSelector('#list a');
  await check('all is there after a reload', async () => (await anna.locator('#list a').count()) === 3);
  await quiet(anna, 'notes');

  // --- photos ----------------------------------------------------------------------------
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
  await check('small versions show', () => anna.waitForFunction(() => { const seen = [...document.querySelectorAll('.tile img')].slice(0, 4); return seen.length && seen.every((img) => img.complete && img.naturalWidth > 0); }).then(() => true));
  await accessible(anna, 'photos');
  await shoot(anna, 'photos');
  await anna.click('text=Choose');
  for (const index of [0, 1, 2]) await anna.locator('.tile').nth(index).click();
  await anna.click('#picked button:has-text("Album")');
  await anna.click('button:text-is("Put in")');
  await anna.fill('#album-name', 'Summer at the lake');
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

  // --- home page -------------------------------------------------------------------------
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
  await anna.click('button:text-is("Allow")');
  await anna.waitForLoadState();
  await visitor.goto(home);
  await check('then they see the page', async () => (await visitor.locator('h1').innerText()) === 'Anna Berg');
  await check('with its picture and style', () => visitor.waitForFunction(() => { const img = document.querySelector('img'); return img && img.complete && img.naturalWidth > 0 && getComputedStyle(document.querySelector('.home')).backgroundColor === 'rgb(233, 228, 216)'; }).then(() => true));
  await check('and it carries no script', async () => (await visitor.locator('script').count()) === 0);
  await shoot(visitor, 'home-page-public');
  await visitor.goto(`${notesAddress.split('/apps/')[0]}/apps/org.freehold.notes/index`);
  await check('a visitor does not get into an app', async () => (await visitor.locator('#new').count()) === 0);
  await visitor.context().close();

  // --- what the server holds -------------------------------------------------------------
  const look = async (page, launcher) => {
    const held = {};
    for (const [name, tables] of [['Notes', ['notes']], ['Photos', ['photos', 'albums', 'files']], ['Home page', ['page', 'files']]]) {
      await openApp(page, launcher, name);
      held[name] = await holdings(page, tables);
    }
    return held;
  };
  const before = await look(anna, home);
  await anna.goto(`${a.origin}${server.path}`);
  await accessible(anna, 'dashboard with apps');
  await shoot(anna, 'dashboard');
  await anna.goto(`${a.origin}${server.path}/leave`);
  await accessible(anna, 'leave');
  await shoot(anna, 'leave');

  // --- export ----------------------------------------------------------------------------
  const archive = await exportAll(anna, a.origin, server.path, path.join(work, 'anna.pcc.zip'));
  await accessible(anna, 'export');
  await shoot(anna, 'export-ready');
  await check(`the archive is down (${fs.statSync(archive).size} bytes)`, fs.statSync(archive).size > 10000);
  await check('unzip finds no fault in it', () => execFileSync('unzip', ['-tq', archive]).toString().includes('No errors'));
  const bag = path.join(work, 'bag');
  execFileSync('unzip', ['-q', archive, '-d', bag]);
  const root = fs.existsSync(path.join(bag, 'bagit.txt')) ? bag : path.join(bag, fs.readdirSync(bag)[0]);
  await check('sha256sum agrees with its manifest', () => execFileSync('sha256sum', ['-c', '--quiet', 'manifest-sha256.txt'], { cwd: root }).toString() === '');
  await check('the originals lie in it as files', () => {
    const manifest = fs.readFileSync(path.join(root, 'manifest-sha256.txt'), 'utf8');
    return [...originals].every((digest) => manifest.includes(digest));
  });

  // --- to provider B ---------------------------------------------------------------------
  const there = await person(world);
  const second = await signUp(there, b.origin, { address: 'anna', email: 'anna@berg.example', password: PASSWORD });
  await check(`a server at provider B is ready (after ${second.ms} ms)`, true);

  const zeros = path.join(work, 'zeros.zip');
  fs.writeFileSync(zeros, Buffer.alloc(200000));
  const short = path.join(work, 'short.zip');
  fs.writeFileSync(short, fs.readFileSync(archive).subarray(0, Math.floor(fs.statSync(archive).size * 0.6)));
  for (const [name, file] of [['an archive of zeros', zeros], ['a truncated archive', short]]) {
    await check(`${name} is refused with words, nothing is imported`, async () => {
      await uploadArchive(there, b.origin, second.path, file);
      await there.locator('.banner.danger').waitFor({ timeout: 60000 });
      return (await there.locator('button:has-text("Import and check")').count()) === 0;
    });
  }
  await shoot(there, 'import-refused');

  await uploadArchive(there, b.origin, second.path, archive);
  const confirm = there.locator('button:has-text("Import and check")');
  await confirm.waitFor({ timeout: 120000 });
  const report = await there.locator('main').innerText();
  await check('the report says what comes', ['Notes', 'Photos', 'Home page'].every((name) => report.includes(name)), report.slice(0, 500));
  await accessible(there, 'import report');
  await shoot(there, 'import-report');
  await confirm.click();
  await there.locator('main a:has-text("Open my server")').waitFor({ timeout: 180000 });
  await check('the import is done', true);
  await accessible(there, 'import done');
  await shoot(there, 'import-done');

  await there.click('main a:has-text("Open my server")');
  await there.waitForURL((url) => url.origin !== b.origin);
  const newHome = new URL(there.url()).origin;
  await check('the new server has its own address', newHome !== home && new URL(newHome).hostname.startsWith('anna.'), newHome);
  const after = await look(there, newHome);
  for (const name of Object.keys(before)) {
    const found = differences(before[name], after[name]);
    const many = Object.values(before[name]).reduce((sum, list) => sum + list.length, 0);
    await check(`${name}: ${many} records and files are equal at B`, many > 0 && found.length === 0, found.slice(0, 3).join('; '));
  }
  await openApp(there, newHome, 'Notes');
  await there.click('#list a:has-text("Sourdough")');
  await check('the note opens at B as it was written', async () => (await there.locator('.headline').inputValue()) === NOTE.title && (await there.locator('.text').inputValue()) === NOTE.text);
  await shoot(there, 'notes-at-b');
  await openApp(there, newHome, 'Photos');
  await there.waitForSelector('.tile');
  await check('the pictures show at B', () => there.waitForFunction(() => { const img = document.querySelector('.tile img'); return img && img.complete && img.naturalWidth > 0; }).then(() => true));
  await shoot(there, 'photos-at-b');
  const stranger = await person(world);
  await stranger.goto(newHome);
  await check('at B the home page waits until its owner allows it again', async () => !(await stranger.locator('body').innerText()).includes('Carpenter'));
  await stranger.context().close();

  // --- the old place runs on; the import can be undone -------------------------------------
  await anna.goto(editor);
  await check('the server at A runs on untouched', () => anna.waitForFunction(() => document.querySelector('#title')?.value === 'Anna Berg').then(() => true));
  await there.goto(`${b.origin}${second.path}/import`);
  await there.locator('main ul.list a').first().click();
  const undo = there.locator('button:has-text("Undo the import")');
  if (await check('the import offers its undo', () => undo.waitFor().then(() => true))) {
    await undo.click();
    await there.waitForLoadState();
    await there.waitForTimeout(1500);
    await there.goto(`${b.origin}${second.path}/apps`);
    await check('after the undo the server at B is as it was: without apps', () => there.locator('text=No apps on your server yet').waitFor().then(() => true));
  }
  await a.page.goto(`${a.origin}/operator/operations`);
  await accessible(a.page, 'operator operations');
  await shoot(a.page, 'operator-operations');
  await quiet(a.page, 'operator pages');
});
