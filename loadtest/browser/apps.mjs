// The apps alone, on a server run by hand: `freehold-runtime serve --data DIR --install NOTES.zip …`.
//
// Environment: SIGN_IN is the link it prints; ONLY names some of them, like "contacts tasks"; SHOTS and PHOTOS as in journey.mjs.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { journey, person, pictures } from './lib.mjs';
import { useBlog } from './blog.mjs';
import { useContacts } from './contacts.mjs';
import { useFiles } from './files.mjs';
import { useHomePage } from './homepage.mjs';
import { useNotes } from './notes.mjs';
import { usePhotos } from './photos.mjs';
import { useReader } from './reader.mjs';
import { useTasks } from './tasks.mjs';

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-apps-'));
process.on('exit', () => fs.rmSync(work, { recursive: true, force: true }));

await journey('apps', async (world) => {
  const anna = await person(world);
  await anna.goto(process.env.SIGN_IN);
  const home = new URL(anna.url()).origin;
  const wanted = (name) => !process.env.ONLY || process.env.ONLY.split(' ').includes(name);
  if (wanted('contacts')) await useContacts(anna, home, work);
  if (wanted('blog')) {
    const blog = await useBlog(world, anna, home, await pictures(world, work, 1));
    await useReader(world, anna, home, blog);
  }
  if (wanted('files')) await useFiles(world, anna, home, work);
  if (wanted('tasks')) await useTasks(anna, home);
  if (!wanted('notes')) return;
  const notesAddress = await useNotes(anna, home);
  const { files } = await usePhotos(world, anna, home, work);
  await useHomePage(world, anna, home, files, notesAddress);
});
