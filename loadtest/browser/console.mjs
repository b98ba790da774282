// What people do in the console of a provider, as functions: set up, sign up, install, open, export, import.

import { check, person } from './lib.mjs';

/** The operator opens the one-time link and answers its one page. Answers with the console's own address. */
export async function setUp(world, link, { business, domain, email, password }) {
  const page = await person(world);
  await page.goto(link);
  await page.fill('[name=business_name]', business);
  if (domain) await page.fill('[name=sites_domain]', domain);
  await page.fill('[name=display_name]', 'Olga Operator');
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', password);
  await page.click('button:has-text("Open for business")');
  await page.waitForLoadState();
  const moved = page.locator('a:has-text("Go to")');
  if (await moved.count()) await moved.first().click();
  await page.waitForLoadState();
  if (new URL(page.url()).pathname === '/sign-in') await signIn(page, email, password);
  await page.waitForURL('**/operator**');
  return { page, origin: new URL(page.url()).origin };
}

export async function signIn(page, email, password) {
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', password);
  await page.click('main button:has-text("Sign in")');
  await page.waitForLoadState();
}

/** Fills in the sign-up page without sending it. */
export async function fillSignUp(page, origin, { address, email, password }) {
  await page.goto(`${origin}/sign-up`);
  await page.fill('[name=address]', address);
  await page.fill('[name=email]', email);
  await page.fill('[name=password]', password);
  const plan = page.locator('[name=plan]').first();
  if (!(await page.locator('[name=plan]:checked').count())) await plan.check();
}

/** Signs up and waits until the server is ready. Answers with the server's path in the console and the time it took. */
export async function signUp(page, origin, who) {
  await fillSignUp(page, origin, who);
  const start = Date.now();
  await page.click('button:has-text("Create my server")');
  await page.waitForURL(/\/servers\/[a-z0-9-]+$/, { timeout: 30000 });
  return { path: new URL(page.url()).pathname, ms: Date.now() - start };
}

/** Installs an app from the catalogue. */
export async function install(page, origin, server, name) {
  await page.goto(`${origin}${server}/apps`);
  await page.click(`main li:has(b:text-is("${name}")) button:has-text("Get")`);
  await page.waitForLoadState();
  await check(`${name} is on the server`, () => page.locator('section:has(#h-y) li', { hasText: name }).waitFor().then(() => true));
}

/** Two clicks from the console to an app on the person's own server. */
export async function openServer(page, origin, server) {
  await page.goto(`${origin}${server}`);
  await page.click('main a:has-text("Open my server")');
  await page.waitForURL((url) => url.origin !== origin);
}

export async function openApp(page, launcher, name) {
  await page.goto(launcher);
  await page.click(`.apps a:has-text("${name}")`);
  await page.waitForURL(/\/apps\/org\.freehold\./);
  // An app must be itself before anything is typed into it.
  await page.waitForLoadState('networkidle').catch(() => {});
}

/** Allows everything an app waits for, on the server's own page. */
export async function allow(page, launcher, name) {
  await page.goto(`${launcher}/.freehold/permissions`);
  for (;;) {
    const button = page.locator(`main li:has(b:text-is("${name}")) button:text-is("Allow")`).first();
    if (!(await button.count())) break;
    await button.click();
    await page.waitForLoadState();
  }
}

/** Exports, waits, downloads. Answers with the path of the archive. */
export async function exportAll(page, origin, server, file) {
  await page.goto(`${origin}${server}/export`);
  await page.click('button:has-text("Export everything")');
  const link = page.locator('a:has-text("Download everything")');
  await link.waitFor({ timeout: 120000 });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  await download.saveAs(file);
  return file;
}

/** Uploads an archive and waits for the report of what comes. */
export async function uploadArchive(page, origin, server, file) {
  await page.goto(`${origin}${server}/import`);
  await page.setInputFiles('#archive', file);
  await page.click('button:has-text("Upload and read it")');
  await page.waitForURL(/\/imports\/|\/operations\//, { timeout: 120000 });
}
