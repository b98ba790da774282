// Signing up without JavaScript. Environment: A_ORIGIN, the console of a provider that is open for business.

import { check, journey, person, shoot } from './lib.mjs';
import { fillSignUp, signIn } from './console.mjs';

const PASSWORD = 'plaster door brass knob';
const WHO = { address: 'carla', email: 'carla@example.org', password: PASSWORD };

await journey('noscript', async (world) => {
  const page = await person(world, { javaScriptEnabled: false });
  const origin = process.env.A_ORIGIN;
  await page.goto(origin);
  await check('the front page leads to sign-up', async () => (await page.locator('a[href*="/sign-up"]').count()) > 0);
  await fillSignUp(page, origin, { ...WHO, address: 'anna' });
  await page.click('button:has-text("Create my server")');
  await page.waitForLoadState();
  await check('a taken address is refused on the page, and what was typed stays', async () => (await page.locator('.field.bad').count()) > 0 && (await page.inputValue('[name=email]')) === WHO.email);
  await fillSignUp(page, origin, WHO);
  await page.click('button:has-text("Create my server")');
  await check('the server is ready, by a page that reloads itself', () => page.waitForURL(/\/servers\/[a-z0-9-]+$/, { timeout: 30000 }).then(() => true));
  const server = new URL(page.url()).pathname;
  await shoot(page, 'noscript-dashboard');
  await page.goto(`${origin}${server}/apps`);
  await page.click('main li:has(b:text-is("Notes")) button:has-text("Get")');
  await page.waitForLoadState();
  await check('an app installs', async () => (await page.locator('section:has(#h-y) li', { hasText: 'Notes' }).count()) === 1);
  await page.click('button:has-text("Remove")');
  await page.waitForLoadState();
  await page.locator('main button.stop:visible').first().click();
  await page.waitForLoadState();
  await page.goto(`${origin}${server}/apps`);
  await check('and is removed after a question', async () => (await page.locator('section:has(#h-r)', { hasText: 'Notes' }).count()) === 1);
  await page.locator('section:has(#h-r) button').first().click();
  await page.waitForLoadState();
  await check('and comes back by Undo', async () => (await page.locator('section:has(#h-y) li', { hasText: 'Notes' }).count()) === 1);
  await page.goto(`${origin}${server}`);
  await page.click('main a:has-text("Open my server")');
  await check('the own server opens', () => page.waitForURL((url) => url.hostname.startsWith('carla.')).then(() => true));
  await check('with the app on it', async () => (await page.locator('.apps a', { hasText: 'Notes' }).count()) === 1);
  await page.goto(`${origin}${server}/past`);
  await check('the past is told in UTC without script', async () => (await page.locator('[data-zone]').innerText()).includes('UTC'));
  await page.click('main li a:has-text("Before Notes was")');
  await check('and a moment of it is looked at', async () => /Notes is not installed any more|Nothing/.test(await page.locator('main').innerText()));
  await page.goto(`${origin}${server}/export`);
  await page.click('button:has-text("Export everything")');
  await check('an export gets ready', () => page.locator('a:has-text("Download everything")').waitFor({ timeout: 60000 }).then(() => true));
  const other = await person(world, { javaScriptEnabled: false });
  await other.goto(`${origin}/sign-in`);
  await signIn(other, WHO.email, 'not the password at all');
  await check('a wrong password is refused with words', async () => /match|wrong|not right|does not|do not/i.test(await other.locator('main').innerText()));
  await signIn(other, WHO.email, PASSWORD);
  await check('the right one is not', async () => new URL(other.url()).pathname !== '/sign-in');
});
