// The main job: a person gets a server, uses it, and takes everything to another provider.
//
// Environment: A_SETUP and B_SETUP are the one-time links the two providers print at their first start. SHOTS is a
// folder for pictures of the pages, PHOTOS one with photographs to upload, PLACE storage of one's own (places.mjs); all three
// may be left out.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { accessible, check, journey, person, quiet, shoot } from './lib.mjs';
import { exportAll, fillSignUp, install, openApp, openServer, setUp, signUp, uploadArchive } from './console.mjs';
import { differences, holdings } from './data.mjs';
import { useBlog } from './blog.mjs';
import { useContacts } from './contacts.mjs';
import { useFiles } from './files.mjs';
import { useHomePage } from './homepage.mjs';
import { NOTE, useNotes } from './notes.mjs';
import { usePhotos } from './photos.mjs';
import { useReader } from './reader.mjs';
import { useTasks } from './tasks.mjs';
import { copyToBucket, importFromBucket } from './places.mjs';

const PASSWORD = 'plaster door brass knob';
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-journey-'));
process.on('exit', () => fs.rmSync(work, { recursive: true, force: true }));

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
  for (const name of ['Notes', 'Photos', 'Home page', 'Contacts', 'Tasks', 'Files', 'Blog', 'Reader']) await install(anna, a.origin, server.path, name);
  await openServer(anna, a.origin, server.path);
  const home = new URL(anna.url()).origin;
  await check('two clicks lead to the own server', new URL(home).hostname.startsWith('anna.'), home);
  await accessible(anna, 'launcher');
  await shoot(anna, 'launcher');

  const notesAddress = await useNotes(anna, home);
  const { files, originals } = await usePhotos(world, anna, home, work);
  const editor = await useHomePage(world, anna, home, files, notesAddress);
  await useContacts(anna, home, work);
  await useTasks(anna, home);
  await useFiles(world, anna, home, work);
  const blog = await useBlog(world, anna, home, files);
  await useReader(world, anna, home, blog);

  // --- what the server holds -------------------------------------------------------------
  const look = async (page, launcher) => {
    const held = {};
    for (const [name, tables] of [['Notes', ['notes']], ['Photos', ['photos', 'albums', 'files']], ['Home page', ['page', 'files']],
      ['Contacts', ['people']], ['Tasks', ['tasks', 'lists']], ['Files', ['files', 'folders']], ['Blog', ['drafts', 'posts', 'about', 'files']], ['Reader', ['posts', 'follows']]]) {
      await openApp(page, launcher, name);
      held[name] = await holdings(page, tables);
    }
    return held;
  };
  const before = await look(anna, home);
  await anna.goto(`${a.origin}${server.path}`);
  await accessible(anna, 'dashboard with apps');
  await shoot(anna, 'dashboard');
  await anna.goto(`${a.origin}${server.path}/usage`);
  await check('the usage page counts the time awake', async () => /Awake\s+\d[\d.]* (s|min|h)/.test(await anna.locator('main').innerText()), await anna.locator('main').innerText());
  await accessible(anna, 'usage');
  await shoot(anna, 'usage');
  await a.page.goto(`${a.origin}/operator/usage`);
  await check('the operator sees each server\'s usage', async () => (await a.page.locator('main tbody tr').count()) === 2);
  await accessible(a.page, 'operator usage');
  await shoot(a.page, 'operator-usage');
  // --- back in time, and back again ------------------------------------------------------
  await anna.goto(`${a.origin}${server.path}`);
  await anna.click('main a:has-text("Go back in time")');
  await anna.waitForURL(/\/past$/);
  await accessible(anna, 'past');
  await shoot(anna, 'past');
  await anna.click('button:has-text("See what would differ")');
  await anna.waitForLoadState();
  await check('the present moment differs in nothing', async () => /Since then nothing has changed|What would differ/.test(await anna.locator('main').innerText()), await anna.locator('main').innerText());
  await anna.goto(`${a.origin}${server.path}/past`);
  await anna.click('main li a:has-text("Before Photos was installed")');
  await anna.waitForURL(/\/past\/preview/);
  const differs = await anna.locator('main').innerText();
  await check('the preview says what would go, in words', /Photos is not installed any more/.test(differs) && /records? made since/.test(differs), differs);
  await accessible(anna, 'past preview');
  await shoot(anna, 'past-preview');
  await anna.click('button:has-text("Go back to this moment")');
  await anna.waitForURL(/\/past$/);
  await check('the server went back', () => anna.locator('.banner.ok:has-text("Your server went back")').waitFor().then(() => true));
  await accessible(anna, 'gone back');
  await shoot(anna, 'gone-back');
  await anna.goto(home);
  await check('Photos is not there', async () => (await anna.locator('.apps a:has-text("Photos")').count()) === 0 && (await anna.locator('.apps a:has-text("Notes")').count()) === 1);
  await anna.goto(`${a.origin}${server.path}/past`);
  await anna.click('button:has-text("Undo")');
  await anna.waitForLoadState();
  await check('and comes back by Undo', () => anna.locator('text=Taken back.').first().waitFor().then(() => true));
  const again = await look(anna, home);
  await check('with everything it held', Object.keys(before).every((name) => differences(before[name], again[name]).length === 0), Object.keys(before).flatMap((name) => differences(before[name], again[name])).slice(0, 3).join('; '));
  await anna.goto(`${a.origin}${server.path}/leave`);
  await accessible(anna, 'leave');
  await shoot(anna, 'leave');
  await check('nobody has tested the way out yet, and the page says so', async () => (await anna.locator('#tested').innerText()).includes('has not been tested yet'));
  await anna.click('#tested button:has-text("Test it now")');
  await check('an exit drill passes', async () => {
    for (let look = 0; look < 120 && !(await anna.locator('#tested').innerText()).includes('to the last byte'); look += 1) {
      await anna.waitForTimeout(500);
      await anna.reload();
    }
    return (await anna.locator('#tested').innerText()).includes('to the last byte');
  });
  await accessible(anna, 'leave, tested');
  await shoot(anna, 'leave-tested');
  await a.page.goto(`${a.origin}/operator/drills`);
  await check('and the operator sees it', async () => (await a.page.locator('main tbody tr:has-text("anna")').innerText()).includes('Passed'));
  await accessible(a.page, 'operator drills');
  await shoot(a.page, 'operator-drills');

  await anna.goto(`${a.origin}${server.path}/activity`);
  await check('the activity log tells of the sign-up and of an app', async () => { const told = await anna.locator('main table').innerText(); return /signed up/i.test(told) && told.includes('Notes'); });
  await accessible(anna, 'activity');
  await shoot(anna, 'activity');

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

  const copy = process.env.PLACE && await copyToBucket(anna, a.origin, server.path);

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
  await check('the report says what comes', ['Notes', 'Photos', 'Home page', 'Contacts', 'Tasks', 'Files', 'Blog', 'Reader'].every((name) => report.includes(name)), report.slice(0, 500));
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
  if (copy) {
    await importFromBucket(there, b.origin, second.path, copy);
    const from = await look(there, newHome);
    await check('what came from the bucket is equal', Object.keys(before).every((name) => differences(before[name], from[name]).length === 0), Object.keys(before).flatMap((name) => differences(before[name], from[name])).slice(0, 3).join('; '));
  }

  // --- closing the server, and changing one's mind ------------------------------------------
  await anna.goto(`${a.origin}${server.path}/leave`);
  await anna.click('main a:has-text("Close this server")');
  await anna.waitForURL(/\/close$/);
  await accessible(anna, 'close');
  await shoot(anna, 'close');
  await anna.fill('[name=address]', 'berta');
  await anna.click('button:has-text("Close this server")');
  await check('another address does not close it', () => anna.locator('.field.bad').waitFor().then(() => true));
  await anna.fill('[name=address]', new URL(home).hostname);
  await anna.click('button:has-text("Close this server")');
  await anna.waitForURL(/\/leave$/);
  await check('it says until when it can be taken back', async () => /is closed/.test(await anna.locator('#closing').innerText()) && (await anna.locator('button:has-text("Keep my server")').count()) === 1);
  await accessible(anna, 'closed');
  await shoot(anna, 'closed');
  await anna.goto(`${a.origin}${server.path}`);
  await check('the dashboard says so too', async () => (await anna.locator('.banner.warn').innerText()).includes('is closed'));
  await shoot(anna, 'dashboard-closed');
  await a.page.goto(`${a.origin}/operator/customers`);
  await check('and so does the operator\'s list', async () => (await a.page.locator('main').innerText()).includes('closing'));
  await accessible(a.page, 'operator customers');
  await shoot(a.page, 'operator-customers');
  await anna.goto(`${a.origin}${server.path}/leave`);
  await anna.click('button:has-text("Keep my server")');
  await anna.waitForURL((url) => url.pathname === server.path);
  await check('one press takes it back', async () => !(await anna.locator('main').innerText()).includes('is closed'));

  // --- a neighbour on the same domain plants cookies on the console -------------------------
  const tom = await person(world);
  await signUp(tom, b.origin, { address: 'tom', email: 'tom@example.org', password: PASSWORD });
  const toms = (await tom.context().cookies(b.origin)).filter((cookie) => /^freehold_(session|visitor)$/.test(cookie.name));
  await tom.context().close();
  await there.goto(newHome);
  const domain = new URL(b.origin).hostname;
  const plant = (all) => there.evaluate(([cookies, where]) => {
    for (const { name, value } of cookies) for (const place of ['/', '/servers']) document.cookie = `${name}=${value}; Domain=${where}; Path=${place}`;
    return document.cookie;
  }, [all, domain]);
  for (const [what, all] of [['a session', toms.filter((cookie) => cookie.name === 'freehold_session')], ['a session and its browser', toms]]) {
    const held = await plant(all);
    await check(`${what} can be planted without TLS, as this journey needs`, held.includes('freehold_session='), held);
    await there.goto(`${b.origin}/account`);
    const shown = await there.locator('main').innerText();
    await check(`${what} that is planted shows nobody else's account`, !shown.includes('tom@example.org'), shown.slice(0, 200));
    await there.goto(`${b.origin}/account`);
    await check('and is gone after one answer: the person is signed in as before', async () => (await there.locator('main').innerText()).includes('anna@berg.example'));
    await there.goto(newHome);
  }
  await a.page.goto(`${a.origin}/operator/operations`);
  await accessible(a.page, 'operator operations');
  await shoot(a.page, 'operator-operations');
  await quiet(a.page, 'operator pages');
});
