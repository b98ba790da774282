// Days and how tasks repeat. A day is a text, 2026-12-01, of the person's own calendar: it has no time zone and never moves.

const pad = (number) => String(number).padStart(2, '0');

export const dayOf = (date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
// Noon, so that no change of the clocks makes a day of 23 hours into the day before.
export const dateOf = (day) => { const [year, month, date] = day.split('-').map(Number); return new Date(year, month - 1, date, 12); };
export const today = (now = new Date()) => dayOf(now);
export const plus = (day, days) => { const date = dateOf(day); date.setDate(date.getDate() + days); return dayOf(date); };

const CODES = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];
export const weekday = (day) => dateOf(day).getDay();

/** The next Monday after a day. */
export const nextWeek = (day) => plus(day, ((8 - weekday(day)) % 7) || 7);

/** "Today", "Tomorrow", "Friday", "3 December", "3 December 2027". */
export function said(day, now = today()) {
  const away = Math.round((dateOf(day) - dateOf(now)) / 86400000);
  if (away === 0) return 'Today';
  if (away === 1) return 'Tomorrow';
  if (away === -1) return 'Yesterday';
  const date = dateOf(day);
  if (away > 1 && away < 7) return date.toLocaleDateString(undefined, { weekday: 'long' });
  return date.toLocaleDateString(undefined, { day: 'numeric', month: 'long', ...(day.slice(0, 4) === now.slice(0, 4) ? {} : { year: 'numeric' }) });
}

/** The ways to repeat that are offered for a day: [rule, words]. */
export function ways(day) {
  const date = dateOf(day);
  const name = date.toLocaleDateString(undefined, { weekday: 'long' });
  return [
    ['', 'Not at all'], ['FREQ=DAILY', 'Every day'], ['FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR', 'Monday to Friday'], [`FREQ=WEEKLY;BYDAY=${CODES[date.getDay()]}`, `Every ${name}`],
    [`FREQ=WEEKLY;INTERVAL=2;BYDAY=${CODES[date.getDay()]}`, `Every other ${name}`], [`FREQ=MONTHLY;BYMONTHDAY=${date.getDate()}`, `Every month on the ${date.getDate()}.`],
    [`FREQ=YEARLY;BYMONTH=${date.getMonth() + 1};BYMONTHDAY=${date.getDate()}`, `Every year on ${date.toLocaleDateString(undefined, { day: 'numeric', month: 'long' })}`],
  ];
}

export function repeats(rule, day) {
  return ways(day).find(([own]) => own === rule)?.[1] ?? ({ DAILY: 'Daily', WEEKLY: 'Weekly', MONTHLY: 'Monthly', YEARLY: 'Yearly' }[/FREQ=(\w+)/.exec(rule)?.[1]] ?? 'Repeats');
}

/**
 * The next day of a rule after `from`, counted from `day` on which the task was due: FREQ, INTERVAL, BYDAY, BYMONTHDAY and BYMONTH of
 * RFC 5545, as far as days go. A month without the day is passed over, as that standard says. '' where the rule has no more.
 */
export function next(rule, day, from = day) {
  const parts = Object.fromEntries(rule.split(';').map((part) => part.split('=')));
  const interval = Math.max(1, Number(parts.INTERVAL) || 1);
  const days = (parts.BYDAY ?? CODES[weekday(day)]).split(',').map((code) => CODES.indexOf(code.slice(-2)));
  const dates = (parts.BYMONTHDAY ?? String(Number(day.slice(8)))).split(',').map(Number);
  const months = (parts.BYMONTH ?? String(Number(day.slice(5, 7)))).split(',').map(Number);
  const begin = dateOf(day);
  const week = (date) => Math.floor((Math.round(date / 86400000) + 3) / 7); // weeks begin on Monday
  const fits = (one) => {
    const date = dateOf(one);
    const months_away = (date.getFullYear() - begin.getFullYear()) * 12 + date.getMonth() - begin.getMonth();
    const last = new Date(date.getFullYear(), date.getMonth() + 1, 0).getDate();
    const inMonth = dates.some((wanted) => (wanted < 0 ? last + wanted + 1 : wanted) === date.getDate());
    switch (parts.FREQ) {
      case 'DAILY': return Math.round((date - begin) / 86400000) % interval === 0;
      case 'WEEKLY': return days.includes(date.getDay()) && (week(date) - week(begin)) % interval === 0;
      case 'MONTHLY': return inMonth && months_away % interval === 0;
      case 'YEARLY': return inMonth && months.includes(date.getMonth() + 1) && (date.getFullYear() - begin.getFullYear()) % interval === 0;
      default: return false;
    }
  };
  const after = from > day ? from : day;
  // A rule that means the 29th of February, every other time, has its day within sixteen years.
  for (let away = 1; away < 16 * 366; away += 1) {
    const one = plus(after, away);
    if (fits(one)) return parts.UNTIL && one.replaceAll('-', '') > parts.UNTIL.slice(0, 8) ? '' : one;
  }
  return '';
}

/** A day, a time and a repetition typed at the end of a line: "Water the plants tomorrow 18:00 every week". */
export function understand(text, now = today()) {
  let title = text.trim();
  const out = { due: '', time: '', rrule: '' };
  const take = (pattern, use) => { const found = pattern.exec(title); if (found) { use(found); title = title.slice(0, found.index).trim(); } return Boolean(found); };
  const names = CODES.map((_, at) => new Date(2023, 0, 1 + at).toLocaleDateString('en', { weekday: 'long' }).toLowerCase());
  let unit = '';
  take(/\s+every (day|week|month|year)$/i, (found) => { unit = found[1].toLowerCase(); });
  take(/\s+(?:at )?([01]?\d|2[0-3]):([0-5]\d)$/i, (found) => { out.time = `${pad(found[1])}:${found[2]}`; });
  take(/\s+(today|tomorrow|next week)$/i, (found) => { out.due = { today: now, tomorrow: plus(now, 1), 'next week': nextWeek(now) }[found[1].toLowerCase()]; })
    || take(new RegExp(`\\s+(?:on )?(${names.join('|')})$`, 'i'), (found) => { out.due = plus(now, ((names.indexOf(found[1].toLowerCase()) - weekday(now) + 7) % 7) || 7); })
    || take(/\s+(\d{4}-\d\d-\d\d)$/, (found) => { if (!Number.isNaN(dateOf(found[1]).getTime())) out.due = dayOf(dateOf(found[1])); });
  if ((unit || out.time) && !out.due) out.due = now;
  if (unit) out.rrule = ways(out.due)[{ day: 1, week: 3, month: 5, year: 6 }[unit]][0];
  return title ? { title, ...out } : { title: text.trim(), due: '', time: '', rrule: '' };
}
