// A server moves to another provider while it is used, as its owner does it: both consoles, then the old bookmark.
//
// Environment as for journey.mjs; runs after it, on the two providers it has opened: A_ORIGIN and B_ORIGIN are their consoles.

import { accessible, check, journey, person, quiet, shoot } from './lib.mjs';
import { install, openApp, openServer, signIn, signUp } from './console.mjs';
import { holdings } from './data.mjs';

const PASSWORD = 'plaster door brass knob';
const [A, B] = [process.env.A_ORIGIN, process.env.B_ORIGIN];

await journey('moving', async (world) => {
  // --- a server in use at A, and an empty one at B ------------------------------------------
  const mona = await person(world);
  const old = await signUp(mona, A, { address: 'mona', email: 'mona@berg.example', password: PASSWORD });
  await install(mona, A, old.path, 'Notes');
  await openServer(mona, A, old.path);
  const home = new URL(mona.url()).origin;
  await openApp(mona, home, 'Notes');
  await mona.click('#new');
  await mona.fill('.headline', 'Before the move');
  await mona.fill('.text', 'It comes along.');
  await mona.waitForFunction(() => document.querySelector('#state').textContent === 'Saved on your server' && !document.querySelector('.unsaved'));
  const bookmark = mona.url();
  const before = await holdings(mona, ['notes']);
  const fresh = await signUp(mona, B, { address: 'mona', email: 'mona@berg.example', password: PASSWORD });

  // --- at A it is said how one leaves --------------------------------------------------------
  await mona.goto(`${A}${old.path}/leave`);
  await check('the page Leave tells how to go to another provider', async () => /another provider/i.test(await mona.locator('main').innerText()));
  await accessible(mona, 'leave, with the way to another provider');
  await shoot(mona, 'leave-move');

  // --- at B: who is there -----------------------------------------------------------------------
  await mona.goto(`${B}${fresh.path}`);
  await mona.click('main a[href$="/move"]');
  await mona.waitForURL(/\/move$/);
  await accessible(mona, 'move here');
  await shoot(mona, 'move-here');
  await mona.fill('[name=address]', 'localhost:1');
  await mona.click('button:has-text("Look who is there")');
  await check('nobody there is said so', () => mona.locator('.field.bad, .banner.danger').first().waitFor().then(() => true));
  await shoot(mona, 'move-nobody');
  await mona.fill('[name=address]', home);
  await mona.click('button:has-text("Look who is there")');
  await mona.waitForLoadState();
  await check('it says who hosts it, and what would be replaced', async () => /It is at /.test(await mona.locator('h1').innerText()), await mona.locator('main').innerText());
  await accessible(mona, 'move found');
  await shoot(mona, 'move-found');

  // --- consent at A, first no and then yes ------------------------------------------------------
  await mona.click('main button:has-text("say yes")');
  await mona.waitForURL((url) => url.origin === A && url.pathname === '/move/consent');
  await check('A asks: who, what, and what happens then', async () => { const said = await mona.locator('main').innerText(); return said.includes('Who asks') && said.includes('What is handed over') && said.includes('What does not come along'); });
  await accessible(mona, 'consent');
  await shoot(mona, 'move-consent');
  await mona.click('button:has-text("No, leave it here")');
  await mona.waitForURL((url) => url.origin === B);
  await check('a no leads back, and nothing has begun', async () => /said no|no\b|stopped|refused/i.test(await mona.locator('main').innerText()), await mona.locator('main').innerText());
  await shoot(mona, 'move-refused');
  await mona.goto(`${B}${fresh.path}/move`);
  await mona.fill('[name=address]', home);
  await mona.click('button:has-text("Look who is there")');
  await mona.click('main button:has-text("say yes")');
  await mona.waitForURL((url) => url.origin === A && url.pathname === '/move/consent');
  await mona.click('button:has-text("Yes, move it")');
  await mona.waitForURL((url) => url.origin === B && /\/moves\//.test(url.pathname));
  await shoot(mona, 'move-going');

  // --- it arrives by itself -----------------------------------------------------------------------
  await check('the server moves by itself, and the page says so', () => mona.locator('#progress[data-state="done"]').waitFor({ timeout: 120000 }).then(() => true));
  const told = await mona.locator('main').innerText();
  await check('it says how long saving waited', /wait|pause/i.test(told), told.slice(0, 400));
  await accessible(mona, 'moved');
  await shoot(mona, 'move-done');
  await quiet(mona, 'the move');
  await mona.goto(`${B}${fresh.path}`);
  await accessible(mona, 'dashboard after the move');
  await shoot(mona, 'move-dashboard-new');

  // --- everything is there, and the old bookmark opens the new place ---------------------------------
  await openServer(mona, B, fresh.path);
  const newHome = new URL(mona.url()).origin;
  await openApp(mona, newHome, 'Notes');
  const after = await holdings(mona, ['notes']);
  await check('the notes are the same', JSON.stringify(after) === JSON.stringify(before) && JSON.stringify(after).includes('Before the move'), JSON.stringify(after).slice(0, 300));
  await mona.goto(bookmark);
  await check('the old bookmark opens the new place', () => new URL(mona.url()).hostname.endsWith('.other.localhost'), mona.url());
  await shoot(mona, 'move-bookmark');

  // --- at A: what is left -------------------------------------------------------------------------
  await mona.goto(`${A}${old.path}`);
  if (new URL(mona.url()).pathname === '/sign-in') await signIn(mona, 'mona@berg.example', PASSWORD);
  await check('the old console says where it went', async () => (await mona.locator('main').innerText()).includes('other.localhost'), await mona.locator('main').innerText());
  await check('and does not say that it answers here', async () => { const said = await mona.locator('main').innerText(); return !/It answers/.test(said) && !/is closed and works/.test(said) && /Open it where it is now/.test(said); }, await mona.locator('main').innerText());
  await accessible(mona, 'dashboard of a server that left');
  await shoot(mona, 'move-dashboard-old');
  await mona.goto(`${A}${old.path}/moving`);
  await check('and until when it leads there, and what is still held', async () => { const said = await mona.locator('main').innerText(); return /until/i.test(said) && /Take it back here/.test(said); }, await mona.locator('main').innerText());
  await accessible(mona, 'moved away');
  await shoot(mona, 'move-left');
  await quiet(mona, 'the old console');
});
