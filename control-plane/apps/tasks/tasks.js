// Tasks: which list is shown, the tasks in it, and what happens when one is done.

import { el, empty, icon, iconButton, toast, when } from './kit/dom.js';
import { Records } from './kit/records.js';
import { $, askChoice, askText, fileName, onKeys, onReturn, saveAs, showKeys, trouble, trying, wayHome } from './kit/frame.js';
import { next, repeats, said, today, understand } from './days.js';
import { write } from './ical.js';
import { askTask } from './one.js';
import { Tasks } from './reminders.js';

const tasks = new Tasks('tasks', { title: '', note: '', list: '', due: '', time: '', rrule: '', remind: -1, done_at: 0, last_done_at: 0, starred: false });
const lists = new Records('lists', { name: '', colour: 0 });
let problem = null;

wayHome();
$('help').append(icon('help'));
$('help').addEventListener('click', () => showKeys(keys));

// --- which tasks ----------------------------------------------------------------------------

const SMART = [['', 'Today', 'sun'], ['planned', 'Planned', 'calendar'], ['starred', 'Starred', 'star'], ['all', 'Everything', 'list'], ['deleted', 'Deleted', 'trash']];
const view = () => decodeURIComponent(location.hash.slice(1)).replace(/^tasks$/, '');
const list = () => lists.all().find((one) => one._id === view());
const open = () => tasks.all().filter((task) => !task.done_at);

function belongs(task) {
  const now = view();
  if (now === '') return task.due && task.due <= today();
  if (now === 'planned') return Boolean(task.due);
  if (now === 'starred') return task.starred;
  if (now === 'all') return true;
  return task.list === now;
}

function go(to) {
  if (view() !== to) history.pushState(null, '', to ? `#${encodeURIComponent(to)}` : location.pathname + location.search);
  $('app').dataset.view = 'open';
  draw();
}

const order = (a, b) => (a.due || '9') .localeCompare(b.due || '9') || (a.time || '9').localeCompare(b.time || '9') || Number(b.starred) - Number(a.starred) || (a._id < b._id ? -1 : 1);

// --- the page -------------------------------------------------------------------------------

function draw() {
  drawLists();
  const one = list();
  const [, name] = SMART.find(([to]) => to === view()) ?? ['', one?.name ?? 'Tasks'];
  document.title = `${name} · Tasks`;
  $('head').replaceChildren(...[iconButton('menu', 'All lists', () => { $('app').dataset.view = 'list'; $('lists').querySelector('a')?.focus(); }, { class: 'btn icon only-phone' }), el('h2', {}, name),
    one ? iconButton('pen', 'Rename this list', () => rename(one)) : null, one ? iconButton('trash', 'Delete this list', () => removeList(one)) : null,
    view() === 'deleted' ? null : iconButton('download', 'Download as a calendar file', download)].filter(Boolean));
  $('adding').hidden = view() === 'deleted';
  $('warnings').replaceChildren(...(problem ? [problem] : []));
  const focused = document.activeElement?.closest?.('#groups [data-focus]')?.dataset.focus;
  $('groups').replaceChildren(...groups());
  if (focused) $('groups').querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function drawLists() {
  const now = today();
  const count = { '': open().filter((task) => task.due && task.due <= now).length, planned: open().filter((task) => task.due).length, starred: open().filter((task) => task.starred).length, all: open().length, deleted: tasks.deleted().length };
  const line = (to, name, picture, many) => el('li', {}, el('a', { href: `#${encodeURIComponent(to)}`, 'aria-current': view() === to ? 'page' : undefined, onclick: (event) => { event.preventDefault(); go(to); } },
    picture, el('span', {}, name), many ? el('small', { 'aria-label': `${many} open` }, String(many)) : null));
  const smart = SMART.filter(([to]) => to !== 'deleted' || count.deleted || view() === 'deleted').map(([to, name, picture]) => line(to, name, icon(picture), count[to]));
  const own = lists.all().sort((a, b) => a.name.localeCompare(b.name)).map((one) => line(one._id, one.name, el('span', { class: `dot c${one.colour % 6}`, 'aria-hidden': 'true' }), open().filter((task) => task.list === one._id).length));
  $('lists').replaceChildren(el('ul', { class: 'plain lists' }, smart),
    el('section', { 'aria-label': 'Your lists' }, el('h2', {}, 'Lists'), el('ul', { class: 'plain lists' }, own), el('p', { class: 'pad' }, el('button', { type: 'button', class: 'btn', id: 'new-list', onclick: newList }, icon('add'), 'New list'))));
}

function groups() {
  if (!tasks.loaded) return problem ? [] : [el('p', { class: 'soft' }, 'Fetching your tasks …')];
  if (view() === 'deleted') return [tasks.deleted().length ? el('ul', { class: 'plain' }, tasks.deleted().map(gone)) : empty('trash', 'Nothing deleted', 'Deleted tasks stay here for 30 days.')];
  const now = today();
  const chosen = open().filter(belongs).sort(order);
  const done = tasks.all().filter((task) => task.done_at && belongs(task)).sort((a, b) => b.done_at - a.done_at);
  const group = (heading, kind, members) => (members.length ? [el('section', { class: `group ${kind}`, 'aria-label': heading }, el('h3', {}, heading), el('ul', { class: 'plain' }, members.map(line)))] : []);
  const late = chosen.filter((task) => task.due && task.due < now);
  let rest;
  if (view() === 'planned') {
    const days = new Map();
    for (const task of chosen) if (task.due >= now) days.set(task.due, [...(days.get(task.due) ?? []), task]);
    rest = [...days].flatMap(([day, members]) => group(said(day), '', members));
  } else if (view() === '') {
    rest = group('Today', '', chosen.filter((task) => task.due === now));
  } else {
    rest = [...group('With a day', '', chosen.filter((task) => task.due && task.due >= now)), ...group('At any time', '', chosen.filter((task) => !task.due))];
  }
  const out = [...group('Late', 'late', late), ...rest];
  if (!chosen.length) out.push(nothing(done.length));
  if (done.length) out.push(el('details', { class: 'group', open: opened, ontoggle: (event) => { opened = event.target.open; } }, el('summary', {}, `Done (${done.length})`), el('ul', { class: 'plain' }, done.slice(0, 200).map(line))));
  return out;
}

let opened = false;

function nothing(done) {
  if (view() === '') return empty('sun', done ? 'All done for today' : 'Nothing for today', 'Type above what is to be done, and when: “Water the plants tomorrow 18:00 every week”.');
  if (view() === 'starred') return empty('star', 'Nothing starred', 'A star keeps together what matters most, from every list.');
  if (view() === 'planned') return empty('calendar', 'Nothing planned', 'Tasks with a day stand here, one day after the other.');
  return empty('check', done ? 'All done' : 'Nothing to do', 'Type above what is to be done.');
}

function line(task) {
  const now = today();
  const one = lists.get(task.list);
  const due = task.due ? [said(task.due, now), task.time].filter(Boolean).join(', ') : '';
  const facts = [
    task.due && el('span', { class: !task.done_at && task.due < now ? 'late' : '' }, icon('calendar'), due),
    task.rrule && el('span', {}, icon('repeat'), repeats(task.rrule, task.due)),
    one && !one.deleted_at && view() !== one._id && el('span', {}, el('span', { class: `dot c${one.colour % 6}` }), one.name),
    task.due && task.remind >= 0 && el('span', {}, icon('bell'), 'Reminder'),
    task.note && el('span', {}, icon('note'), 'Note'),
    task.done_at ? el('span', {}, `Done ${when(task.done_at)}`) : null,
  ].filter(Boolean);
  const box = el('input', { type: 'checkbox', checked: Boolean(task.done_at), 'aria-label': `${task.title}: done`, 'data-focus': `box-${task._id}`, onchange: () => (box.checked ? finish(task) : reopen(task)) });
  return el('li', { class: `task${task.done_at ? ' done' : ''}` }, el('label', {}, box),
    el('button', { type: 'button', class: 'line', 'data-focus': `line-${task._id}`, onclick: () => edit(task) }, el('span', { class: 'title' }, task.title), facts.length ? el('small', {}, facts) : null),
    iconButton('star', `Star ${task.title}`, () => trying(tasks.change(task._id, { starred: !task.starred })), { 'aria-pressed': String(task.starred), 'data-focus': `star-${task._id}` }));
}

const gone = (task) => el('li', { class: 'task' }, el('span', {}), el('span', { class: 'line' }, task.title), el('span', { class: 'row' },
  el('button', { type: 'button', class: 'btn small', onclick: () => trying(tasks.restore(task._id)) }, icon('undo'), 'Bring back'),
  el('button', { type: 'button', class: 'btn small stop', onclick: () => trying(tasks.erase(task._id)) }, 'Delete for good')));

// --- what one does --------------------------------------------------------------------------

$('adding').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('add').value.trim();
  if (!text) return;
  $('add').value = '';
  const found = understand(text);
  if (view() === '' && !found.due) found.due = today();
  if (view() === 'planned' && !found.due) found.due = today();
  // Who names an hour wants to be told of it.
  await trying(tasks.create({ ...found, remind: found.time ? 0 : -1, list: list()?._id ?? '', starred: view() === 'starred' }).saved).catch(() => { $('add').value = text; });
});

async function finish(task) {
  const before = { done_at: 0, due: task.due, last_done_at: task.last_done_at };
  const again = task.rrule && task.due ? next(task.rrule, task.due, today() > task.due ? today() : task.due) : '';
  const now = Date.now();
  const done = tasks.change(task._id, again ? { due: again, last_done_at: now } : { done_at: now, last_done_at: now });
  toast(again ? `Done. The next time is ${said(again).replace(/^To/, 'to')}.` : 'Done.', () => trying(tasks.change(task._id, before)));
  await trying(done);
}

const reopen = (task) => trying(tasks.change(task._id, { done_at: 0 }));

async function edit(task) {
  const answer = await askTask(task, lists.all());
  if (answer === 'delete') {
    const done = tasks.delete(task._id);
    toast('The task is deleted.', () => trying(tasks.restore(task._id)));
    await trying(done);
  } else if (answer) await trying(tasks.change(task._id, answer));
}

async function newList() {
  const name = await askText('A new list', 'Name', { button: 'Make it', maxlength: '80' });
  if (!name) return;
  const { id, saved } = lists.create({ name, colour: lists.all().length % 6 });
  go(id);
  await trying(saved);
  $('add').focus();
}

async function rename(one) {
  const name = await askText('Rename the list', 'Name', { value: one.name, button: 'Rename', maxlength: '80' });
  if (name) await trying(lists.change(one._id, { name }));
}

async function removeList(one) {
  const inside = tasks.all().filter((task) => task.list === one._id);
  const left = open().filter((task) => task.list === one._id).length;
  let along = true;
  if (left) {
    const answer = await askChoice(`Delete “${one.name}”?`, [['keep', `Keep its ${left} open ${left === 1 ? 'task' : 'tasks'}, without a list`], ['along', 'Delete its tasks as well']], { button: 'Delete the list' });
    if (!answer) return;
    along = answer === 'along';
  }
  const ids = inside.map((task) => task._id);
  const done = (async () => {
    await (along ? tasks.delete(ids) : tasks.change(ids, { list: '' }));
    await lists.delete(one._id);
  })();
  go('all');
  toast(`The list “${one.name}” is deleted.`, () => trying((async () => {
    await lists.restore(one._id);
    await (along ? tasks.restore(ids) : tasks.change(ids, { list: one._id }));
    go(one._id);
  })()));
  await trying(done);
}

function download() {
  const chosen = tasks.all().filter(belongs);
  const name = list()?.name ?? SMART.find(([to]) => to === view())[1];
  saveAs(`${fileName(name, 'tasks')}.ics`, new Blob([write(chosen, (id) => lists.get(id)?.name ?? '')], { type: 'text/calendar' }));
}

// --- keys and start -------------------------------------------------------------------------

const keys = [['N', 'New task'], ['T', 'Today'], ['P', 'Planned'], ['L', 'New list'], ['↑ ↓', 'Move among the tasks'], ['Space', 'Done'], ['Enter', 'Open'], ['?', 'This list']];

function step(by) {
  const lines = [...$('groups').querySelectorAll('.task input')];
  const at = lines.indexOf(document.activeElement?.closest?.('.task')?.querySelector('input'));
  lines[Math.max(0, Math.min(lines.length - 1, at + by))]?.focus();
}

onKeys({ n: () => $('add').focus(), t: () => go(''), p: () => go('planned'), l: newList, '?': () => showKeys(keys), ArrowDown: () => step(1), ArrowUp: () => step(-1), Escape: () => { $('app').dataset.view = 'open'; document.activeElement?.blur(); } });

let wanted = 0;
const soon = () => { cancelAnimationFrame(wanted); wanted = requestAnimationFrame(draw); };
tasks.addEventListener('change', soon);
lists.addEventListener('change', soon);
addEventListener('popstate', draw);
// Past midnight "today" is another day.
let shown = today();
setInterval(() => { if (today() !== shown) { shown = today(); draw(); } }, 60000);

async function load() {
  try {
    await lists.load();
    await tasks.load();
    problem = null;
  } catch (error) {
    problem = trouble(error, load, 'Your tasks are safe on your server.');
  }
  draw();
}

onReturn(load);
draw();
await load();
