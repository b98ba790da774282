// The three apps alone, on a server run by hand: `freehold-runtime serve --data DIR --install NOTES.zip …`.
//
// Environment: SIGN_IN is the link it prints; SHOTS and PHOTOS as in journey.mjs.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { journey, person } from './lib.mjs';
import { useHomePage } from './homepage.mjs';
import { useNotes } from './notes.mjs';
import { usePhotos } from './photos.mjs';

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'freehold-apps-'));
process.on('exit', () => fs.rmSync(work, { recursive: true, force: true }));

await journey('apps', async (world) => {
  const anna = await person(world);
  await anna.goto(process.env.SIGN_IN);
  const home = new URL(anna.url()).origin;
  const notesAddress = await useNotes(anna, home);
  const { files } = await usePhotos(world, anna, home, work);
  await useHomePage(world, anna, home, files, notesAddress);
});
