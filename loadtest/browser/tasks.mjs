// Tasks as a person uses it: typed in one line, done, repeated, moved, deleted and brought back.

import fs from 'node:fs';

import { accessible, check, quiet, shoot } from './lib.mjs';
import { openApp } from './console.mjs';

export async function useTasks(anna, home) {
  await openApp(anna, home, 'Tasks');
  await anna.waitForSelector('#groups .empty');
  await accessible(anna, 'tasks, empty');
  await shoot(anna, 'tasks-empty');
  await anna.setViewportSize({ width: 1280, height: 800 });
  const add = async (text) => { await anna.fill('#add', text); await anna.press('#add', 'Enter'); await anna.waitForFunction(() => !document.querySelector('#add').value); };
  await add('Call the plumber');
  await add('Water the plants today 18:30 every week');
  await check('a day, a time and how it repeats are understood as typed', () => anna.locator('.task:has(.title:text-is("Water the plants")):has-text("Today, 18:30"):has-text("Every")').waitFor().then(() => true));
  await anna.click('#new-list');
  await anna.fill('dialog input', 'Boat');
  await anna.click('dialog button:text-is("Make it")');
  await anna.locator('#head h2:text-is("Boat")').waitFor();
  await add('Sand the hull');
  await add('Paint tomorrow');
  await add('Buy rope 2020-03-01');
  await anna.click('[aria-label="Star Sand the hull"]');
  await accessible(anna, 'tasks');
  await shoot(anna, 'tasks');
  await anna.setViewportSize({ width: 1280, height: 800 });
  await anna.click('.task .line:has-text("Paint")');
  await anna.fill('#t-note', 'Two coats, **not** in the rain');
  await anna.selectOption('#t-rule', { index: 1 });
  await anna.selectOption('#t-remind', '1440');
  await accessible(anna, 'one task');
  await shoot(anna, 'tasks-one');
  await anna.setViewportSize({ width: 1280, height: 800 });
  await anna.click('dialog button:text-is("Save")');
  await anna.locator('.task:has-text("Paint"):has-text("Every day"):has-text("Note")').waitFor();
  await anna.click('[aria-label="Sand the hull: done"]');
  await check('a task that is done goes below', () => anna.locator('summary:has-text("Done (1)")').waitFor().then(() => true));
  await anna.click('#lists a:has-text("Today")');
  await check('what is late stands first among today\'s', async () => (await anna.locator('#groups .group').first().innerText()).includes('Buy rope'));
  await anna.click('[aria-label="Water the plants: done"]');
  await check('what repeats comes again a week later', () => anna.locator('.toast:has-text("The next time is")').waitFor().then(async () => (await anna.locator('.task:has-text("Water the plants")').count()) === 0));
  await anna.click('.toast:has-text("The next time") button');
  await check('and Undo takes that back', () => anna.locator('.task:has-text("Water the plants"):has-text("Today")').waitFor().then(() => true));
  await anna.click('#lists a:has-text("Boat")');
  await anna.click('[aria-label="Delete this list"]');
  await anna.check('dialog input[value=along]');
  await anna.click('dialog button:text-is("Delete the list")');
  await check('a list goes with its tasks', async () => { await anna.locator('#lists a:has-text("Boat")').waitFor({ state: 'detached' }); return (await anna.locator('.task:has-text("Paint")').count()) === 0; });
  await anna.click('.toast:has-text("Boat") button');
  await check('and comes back with them', () => anna.locator('.task:has-text("Paint")').waitFor().then(() => true));
  const [download] = await Promise.all([anna.waitForEvent('download'), anna.click('[aria-label="Download as a calendar file"]')]);
  const calendar = fs.readFileSync(await download.path(), 'utf8');
  await check('the list goes out as a calendar file', calendar.startsWith('BEGIN:VCALENDAR\r\n') && calendar.includes('RRULE:FREQ=DAILY') && calendar.includes('DESCRIPTION:Two coats\\, **not** in the rain') && calendar.includes('DUE;VALUE=DATE:20200301') && calendar.includes('STATUS:COMPLETED'), calendar);
  const days = await anna.evaluate(async () => {
    const own = document.querySelector('script[type=module][src*="tasks.js"]').src;
    const { next, understand } = await import(new URL('days.js', own).href);
    return [next('FREQ=MONTHLY;BYMONTHDAY=31', '2026-01-31'), next('FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29', '2028-02-29'), next('FREQ=WEEKLY;INTERVAL=2;BYDAY=MO', '2026-11-30'), next('FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', '2026-12-04'),
      next('FREQ=DAILY', '2026-03-28', '2026-03-29'), next('FREQ=DAILY;UNTIL=20261201T000000Z', '2026-12-01'), next('FREQ=MONTHLY;BYMONTHDAY=-1', '2026-01-31'), next('FREQ=WEEKLY;INTERVAL=2;BYDAY=SU', '2026-03-22'), understand('Buy 3:2 paper', '2026-12-01').title, understand('tomorrow', '2026-12-01').title, understand('Choir on friday', '2026-12-01').due];
  });
  const wanted = ['2026-03-31', '2032-02-29', '2026-12-14', '2026-12-07', '2026-03-30', '', '2026-02-28', '2026-04-05', 'Buy 3:2 paper', 'tomorrow', '2026-12-04'];
  await check('months without a 31st, leap years and weeks are counted right', days.every((day, at) => day === wanted[at]), JSON.stringify(days));
  const plans = () => anna.evaluate(async () => {
    const { userId: user } = globalThis.freezrMeta;
    const token = decodeURIComponent(document.cookie.split(`app_token_${user}=`)[1].split(';')[0]);
    return fetch('/feps/schedules', { headers: { Authorization: `Bearer ${token}` } }).then((answer) => answer.json());
  });
  await anna.click('.task .line:has-text("Paint")');
  await anna.fill('#t-due', '2031-05-02');
  await anna.fill('#t-time', '08:15');
  await anna.click('dialog button:text-is("Save")');
  await check('a reminder is planned on the server', async () => {
    for (let tries = 0; tries < 20; tries += 1) {
      if ((await plans()).some((plan) => plan.start === '2031-05-01T08:15' && plan.notice.title === 'Paint')) return true;
      await anna.waitForTimeout(200);
    }
    return false;
  });
  await anna.click('[aria-label="Paint: done"]');
  await anna.locator('.toast:has-text("The next time is")').first().waitFor();
  await check('and follows the task to its next time', async () => {
    for (let tries = 0; tries < 20; tries += 1) {
      if ((await plans()).some((plan) => plan.start === '2031-05-02T08:15' && plan.notice.title === 'Paint')) return true;
      await anna.waitForTimeout(200);
    }
    return false;
  });
  await anna.reload();
  await check('all is there after a reload', () => anna.locator('.task:has-text("Paint")').waitFor().then(() => true));
  await quiet(anna, 'tasks');
}
