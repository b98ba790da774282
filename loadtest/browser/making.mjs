// The way of somebody who makes an app, as export-format/MAKING-APPS.md leads it: begin, run, change, be told, ask, publish.
//
// Environment: FREEHOLD_BIN is the freehold program, with freehold-runtime beside it.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

import { accessible, check, journey, person, quiet, shoot } from './lib.mjs';

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-making-'));
const freehold = (...args) => execFileSync(process.env.FREEHOLD_BIN, ['app', ...args], { cwd: work }).toString();
const edit = (name, from, to) => {
  const file = path.join(work, 'shopping', name);
  const text = fs.readFileSync(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
  fs.writeFileSync(file, text.replace(from, to));
};

await journey('making', async (world) => {
  freehold('create', 'shopping', '--id', 'com.example.shopping', '--name', 'Shopping');
  await check('the template needs no mending', () => freehold('check', 'shopping').trim() === 'Nothing to mend.');
  const running = spawn(process.env.FREEHOLD_BIN, ['app', 'run', 'shopping', '--listen', '127.0.0.1:0'], { cwd: work });
  const told = [];
  readline.createInterface({ input: running.stdout }).on('line', (line) => told.push(line));
  const until = async (words) => {
    for (let tries = 0; tries < 300; tries += 1) {
      const line = told.find((one) => one.includes(words));
      if (line) return line;
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    throw new Error(`${words} was not told: ${told.join(' | ')}`);
  };
  try {
    const link = (await until('Sign in once with')).split(' ').at(-1);
    const address = /http:\S+?(?=\. )/.exec(await until('The app is at'))[0];
    const maker = await person(world);
    await maker.goto(link);
    await maker.click('.apps a:has-text("Shopping")');
    await maker.waitForURL((url) => url.origin === address);
    await maker.fill('#text', 'Bread <b>');
    await maker.click('button:text-is("Add")');
    await maker.locator('li:has-text("Bread <b>")').waitFor();
    await maker.check('li input');
    await check('the template keeps a list on the server', () => maker.locator('#state:text-is("0 to do")').waitFor().then(() => true));
    await accessible(maker, 'the template');
    await shoot(maker, 'making-template');
    edit('index.html', '<h1>Shopping</h1>', '<h1>What we need</h1>');
    await check('a page that is open loads itself anew when a file changes', () => maker.locator('h1:text-is("What we need")').waitFor().then(() => maker.locator('li:has-text("Bread <b>")').waitFor()).then(() => true));
    edit('index.html', '<h1>', '<button onclick="alert(1)">x</button>\n  <h1>');
    await check('a mistake is told while one writes', () => until('onclick in the page is refused').then(() => true));
    edit('index.html', '<button onclick="alert(1)">x</button>\n  ', '');
    edit('manifest.json', '"permissions": []', '"permissions": [{ "name": "links", "type": "share_records", "table_id": "com.example.shopping.things", "description": "So that you can hand out a link to one thing." }]');
    await check('a wish of the manifest is there to be answered', async () => {
      for (let tries = 0; tries < 20; tries += 1) {
        await maker.goto(`${new URL(link).origin}/.freehold/permissions`);
        if (await maker.locator('li:has-text("hand out a link to one thing")').count()) return true;
        await maker.waitForTimeout(250);
      }
      return false;
    });
    await quiet(maker, 'the template');
    edit('app.js', "table } from './server.js';", "call, table } from './server.js';\n\n/** @param {string} id */\nexport const link = (id) => call('POST /ceps/perms/share_records', {}, { name: 'links', table_id: 'com.example.shopping.things', action: 'grant', grantees: ['_privatelink'], record_id: id });");
    const published = freehold('publish', 'shopping', '--key', 'maker.key', '--to', 'catalogue');
    await check('and it is published', published.includes('one app') && fs.existsSync(path.join(work, 'catalogue', 'packages', 'com.example.shopping-0.1.0.zip')), published);
  } finally {
    running.kill('SIGTERM');
    await new Promise((resolve) => { running.on('exit', resolve); });
    fs.rmSync(work, { recursive: true, force: true });
  }
});
