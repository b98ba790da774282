// A domain of one's own in the console: added, told what to put into DNS, refused where it cannot be, removed; and the pages
// about people and about moves, which have no journey of their own.

import { accessible, check, journey, person, quiet, shoot } from './lib.mjs';
import { openServer, setUp, signIn, signUp } from './console.mjs';

const OPERATOR = { email: 'olga@nordhaus.example', password: 'plaster door brass knob' };

await journey('domains', async (world) => {
  // After the journey the provider is set up; by itself this one sets it up.
  const origin = process.env.DOMAINS_ALONE
    ? (await setUp(world, process.env.A_SETUP, { business: 'Nordhaus', ...OPERATOR })).origin
    : process.env.A_ORIGIN;
  const page = await person(world);
  const { path: server } = await signUp(page, origin, { address: 'berg', email: 'berta@domains.example', password: 'nine quiet herons fish' });
  await page.goto(`${origin}${server}`);
  await page.click('main a:has-text("Domains")');
  await page.waitForURL(/\/domains$/);
  await check('nobody has a domain at first', page.locator('h2:has-text("No domain of your own yet")').isVisible());
  await accessible(page, 'no domain');
  await shoot(page, 'domains-none');

  await page.fill('[name=domain]', 'no domain');
  await page.click('button:has-text("Add the domain")');
  await check('what is no domain is told at its field', page.locator('.field.bad [name=domain]').isVisible());
  await accessible(page, 'a domain refused');
  await page.fill('[name=domain]', 'Bücher.example');
  await page.click('button:has-text("Add the domain")');
  const card = page.locator('section:has(h2:has-text("bücher.example"))');
  await card.waitFor();
  const words = await card.innerText();
  await check('it says what to put into DNS', /_freehold-challenge/.test(words) && /challenge=/.test(words) && /xn--bcher-kva\.example/.test(words), words.slice(0, 400));
  await check('each value can be copied', () => card.locator('button:has-text("Copy")').first().isVisible());
  await accessible(page, 'a domain wanted');
  await shoot(page, 'domains-wanted');
  await card.locator('a:has-text("Remove")').click();
  await page.waitForURL(/\/remove$/);
  await accessible(page, 'remove a domain');
  await shoot(page, 'domains-remove');
  await page.locator('main form button').last().click();
  await page.waitForURL(/\/domains/);
  await check('a removed domain is gone', page.locator('h2:has-text("No domain of your own yet")').waitFor().then(() => true));
  await quiet(page, 'domains');

  await page.goto(`${origin}${server}/leave`);
  await accessible(page, 'leave');
  await shoot(page, 'leave-times');

  await openServer(page, origin, server);
  await page.goto(new URL('/.freehold/people', page.url()).href);
  await accessible(page, 'people');
  await shoot(page, 'people');
  await quiet(page, 'people');

  const operator = await person(world);
  await operator.goto(`${origin}/sign-in`);
  await signIn(operator, OPERATOR.email, OPERATOR.password);
  await operator.goto(`${origin}/operator/moves`);
  await accessible(operator, 'the operator’s moves');
  await shoot(operator, 'operator-moves');
  await quiet(operator, 'the operator’s moves');
});
