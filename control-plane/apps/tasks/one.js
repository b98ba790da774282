// One task on a sheet: what it says, when, how it repeats, in which list.

import { el, sheet } from './kit/dom.js';
import { nextWeek, plus, said, today, ways } from './days.js';
import { WISHES } from './reminders.js';

/** Answers with the fields that are to be, 'delete', or null. */
export async function askTask(task, lists) {
  const title = el('input', { class: 'input', id: 't-title', value: task.title, maxlength: '500', autocomplete: 'off', required: true });
  const note = el('textarea', { class: 'input', id: 't-note', rows: '3', maxlength: '20000', value: task.note });
  const due = el('input', { class: 'input', id: 't-due', type: 'date', value: task.due, onchange: () => draw() });
  const time = el('input', { class: 'input', id: 't-time', type: 'time', value: task.time });
  const rule = el('select', { class: 'input', id: 't-rule' });
  const remind = el('select', { class: 'input', id: 't-remind' }, WISHES.map(([value, words]) => el('option', { value: String(value), selected: value === task.remind }, words)));
  const list = el('select', { class: 'input', id: 't-list' }, el('option', { value: '' }, 'None'), lists.map((one) => el('option', { value: one._id, selected: one._id === task.list }, one.name)));
  const soon = el('div', { class: 'when', role: 'group', 'aria-label': 'Soon' });
  const now = today();
  let chosen = task.rrule;
  rule.addEventListener('change', () => { chosen = rule.value; });

  function draw() {
    const day = due.value;
    soon.replaceChildren(...[now, plus(now, 1), nextWeek(now)].map((to, at) => el('button', { type: 'button', class: 'chip', 'aria-pressed': String(day === to), onclick: () => { due.value = day === to ? '' : to; draw(); } }, at === 2 ? `Next week, ${said(to)}` : said(to))));
    const offered = ways(day || now);
    // What repeats on a weekday or date goes along when the day is another.
    const kind = chosen && ways(task.due || now).findIndex(([own]) => own === chosen);
    if (chosen && kind > 0) [chosen] = offered[kind];
    if (chosen && !offered.some(([own]) => own === chosen)) offered.push([chosen, 'As it is']);
    rule.replaceChildren(...offered.map(([own, words]) => el('option', { value: own, selected: own === chosen }, words)));
    rule.disabled = time.disabled = remind.disabled = !day;
  }
  draw();

  const field = (label, input) => el('div', { class: 'field' }, el('label', { for: input.id }, label), input);
  const content = el('div', { class: 'stack' }, field('What', title), soon, el('div', { class: 'pairs' }, field('Day', due), field('Time', time)), el('div', { class: 'pairs' }, field('Repeat', rule), field('Reminder', remind)), field('List', list), field('Note', note));
  const answer = await sheet('Task', content, [{ label: 'Save', value: 'yes', kind: 'main' }, { label: 'Cancel', value: '', kind: 'bare' }, { label: 'Delete', value: 'delete', kind: 'stop' }]);
  if (answer === 'delete') return 'delete';
  if (answer !== 'yes') return null;
  return { title: title.value.trim() || task.title, note: note.value, due: due.value, time: due.value ? time.value : '', rrule: due.value ? rule.value : '', remind: due.value ? Number(remind.value) : -1, list: list.value };
}
