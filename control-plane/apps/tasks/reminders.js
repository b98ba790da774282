// Reminders: for each task that wants one, the server plans a notice (/feps/schedules), which it gives also while this page is
// closed. The task says what is wanted; the plan follows it, and may be made again from the tasks at any time.

import { call } from './kit/api.js';
import { Records } from './kit/records.js';
import { dateOf, dayOf } from './days.js';

/** What can be wished: [minutes before, words]. */
export const WISHES = [[-1, 'No reminder'], [0, 'At its time'], [60, 'An hour before'], [1440, 'The day before']];

const MORNING = '09:00';

/** The moment of a task's reminder on the clock on the wall, 2026-12-01T09:00; '' for none. Without a time it is in the morning. */
export function momentOf(task) {
  if (!task.due || task.remind < 0 || task.done_at || task.deleted_at) return '';
  const [hours, minutes] = (task.time || MORNING).split(':').map(Number);
  const at = dateOf(task.due);
  at.setHours(hours, minutes - task.remind, 0, 0);
  return `${dayOf(at)}T${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
}

const place = (id) => `/feps/schedules/task-${encodeURIComponent(id)}`;

/** The tasks, with the server's plan kept to them. */
export class Tasks extends Records {
  create(fields, id) {
    const made = super.create(fields, id);
    return { ...made, saved: made.saved.then(() => this.#plan(made.id)) };
  }

  async change(ids, fieldsOf) {
    const before = new Map([ids].flat().map((id) => [id, this.#wish(id)]));
    await super.change(ids, fieldsOf);
    for (const [id, wish] of before) if (this.#wish(id) !== wish) await this.#plan(id);
  }

  async erase(id) {
    const had = momentOf(this.get(id) ?? {});
    await super.erase(id);
    if (had) await this.#forget(id);
  }

  #wish(id) {
    const task = this.get(id);
    return task ? `${momentOf(task)} ${task.title}` : '';
  }

  async #plan(id) {
    const task = this.get(id);
    const at = momentOf(task);
    if (!at || new Date(at) <= new Date()) { await this.#forget(id); return; }
    const { timeZone: zone } = Intl.DateTimeFormat().resolvedOptions();
    const text = task.remind ? `Due ${task.due}${task.time ? `, ${task.time}` : ''}.` : '';
    await call('PUT', place(id), { title: task.title, at, zone, notice: { title: task.title, text, link: '/' } });
  }

  #forget(id) {
    return call('DELETE', place(id)).catch((error) => { if (error.kind !== 'gone') throw error; });
  }
}
