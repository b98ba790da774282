// What every journey needs: a browser, checks that are counted, pictures, and accessibility findings.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SHOTS = process.env.SHOTS ?? '';
if (SHOTS) fs.mkdirSync(SHOTS, { recursive: true });

let passed = 0;
let failed = 0;

/** One line a check. A condition may be a value, a promise or a function; what it throws is its failure. */
export async function check(name, condition, seen = '') {
  let good = false;
  try {
    good = Boolean(await (typeof condition === 'function' ? condition() : condition));
  } catch (error) {
    seen = String(error.message ?? error).split('\n')[0];
  }
  if (good) passed += 1; else failed += 1;
  console.log(`${good ? 'ok    ' : 'FAILED'}  ${name}${good || !seen ? '' : `: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`}`);
  return good;
}

/** Runs the journey; a step that throws counts as failed, and what the page showed is kept. */
export async function journey(name, run) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const world = { browser, pages: [] };
  try {
    await run(world);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name} stopped: ${error.stack}`);
    for (const [index, page] of world.pages.entries()) {
      if (page.isClosed()) continue;
      console.log(`        page ${index} was at ${page.url()}`);
      const words = await page.evaluate(() => document.body.innerText.slice(0, 400).replace(/\n+/g, "\n")).catch(() => '');
      console.log(words.replace(/^/gm, '        | '));
      if (SHOTS) await page.screenshot({ path: path.join(SHOTS, `stopped-${name}-${index}.png`) }).catch(() => {});
    }
  } finally {
    await browser.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

/** A person's own window: cookies of nobody else, complaints of the page collected. */
export async function person(world, options = {}) {
  const context = await world.browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  context.setDefaultTimeout(20000);
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text())) page.complaints.push(message.text());
  });
  world.pages.push(page);
  return page;
}

/** Pictures of a page as a phone and as a desk show it, by day and by night. */
export async function shoot(page, name) {
  if (!SHOTS) return;
  for (const [device, size] of [['phone', { width: 390, height: 844 }], ['desk', { width: 1280, height: 800 }]]) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(120);
      await page.screenshot({ path: path.join(SHOTS, `${name}-${device}-${colorScheme}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
}

/** What axe finds on the page; and nothing may be wider than a phone. */
export async function accessible(page, name) {
  await page.evaluate(AXE);
  // Colours are judged where they come to rest: a toast that still fades in has less contrast than it will have.
  await page.evaluate(() => Promise.all(document.getAnimations()
    .filter((animation) => Number.isFinite(animation.effect.getComputedTiming().endTime))
    .map((animation) => animation.finished.catch(() => {}))));
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then(({ violations }) => violations.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target).join(', ')}`)));
  await check(`${name}: axe finds nothing`, found.length === 0, found.join('; '));
  const size = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 740 });
  const { over, what } = await page.evaluate(() => {
    const wide = document.documentElement.clientWidth;
    const out = [...document.querySelectorAll('main *')].filter((element) => element.getBoundingClientRect().right > wide + 1);
    return { over: document.documentElement.scrollWidth - wide, what: out.slice(-3).map((element) => element.outerHTML.slice(0, 120)) };
  });
  await page.setViewportSize(size);
  await check(`${name}: fits a phone`, over <= 0, `${over} px too wide: ${what.join(' | ')}`);
}

/** Nothing was refused by the policy of the page, and no script failed. */
export async function quiet(page, name) {
  await check(`${name}: no script error and nothing refused by its policy`, page.complaints.length === 0, page.complaints.slice(0, 3).join(' | '));
  page.complaints.length = 0;
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Pictures to upload: those of a folder, or drawn ones when none is given. */
export async function pictures(world, folder, many) {
  if (process.env.PHOTOS) {
    const names = fs.readdirSync(process.env.PHOTOS).filter((name) => /\.(jpe?g|png|webp)$/i.test(name)).sort();
    if (names.length) return names.slice(0, Number(process.env.PHOTOS_MAX ?? 400)).map((name) => path.join(process.env.PHOTOS, name));
  }
  const page = await world.browser.newPage();
  const files = [];
  for (let index = 0; index < many; index += 1) {
    // Grain keeps a drawn picture as large as a photograph; the last is large enough to be sent in several pieces.
    const [edge, quality] = index === many - 1 ? [3200, 1] : [700, 0.95];
    const base64 = await page.evaluate(async ([seed, width, quality]) => {
      const canvas = new OffscreenCanvas(width, Math.round(width * 0.75));
      const context = canvas.getContext('2d');
      const sky = context.createLinearGradient(0, 0, 0, canvas.height);
      sky.addColorStop(0, `hsl(${(seed * 47) % 360} 60% 70%)`);
      sky.addColorStop(1, `hsl(${(seed * 47 + 60) % 360} 50% 35%)`);
      context.fillStyle = sky;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = `hsl(${(seed * 91) % 360} 80% 60%)`;
      context.beginPath();
      context.arc(width * (0.2 + 0.06 * (seed % 10)), width * 0.25, width * 0.11, 0, 7);
      context.fill();
      const image = context.getImageData(0, 0, canvas.width, canvas.height);
      let state = seed + 1;
      for (let at = 0; at < image.data.length; at += 1) {
        state = (state * 1103515245 + 12345) % 2147483648;
        if (at % 4 !== 3) image.data[at] += (state >> 16) % 40 - 20;
      }
      context.putImageData(image, 0, 0);
      const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/jpeg', quality })).arrayBuffer());
      let text = '';
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      return btoa(text);
    }, [index, edge, quality]);
    const file = path.join(folder, `picture-${String(index + 1).padStart(3, '0')}.jpg`);
    fs.writeFileSync(file, Buffer.from(base64, 'base64'));
    const day = Date.UTC(2026, 9, 1 + 3 * Math.floor(index / 4), 10, index) / 1000;
    fs.utimesSync(file, day, day);
    files.push(file);
  }
  await page.close();
  return files;
}
