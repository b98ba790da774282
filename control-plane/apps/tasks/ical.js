// Tasks as a calendar file (iCalendar, RFC 5545), which calendars and other task lists read.

const escaped = (text) => text.replace(/\\/g, '\\\\').replace(/\r?\n/g, '\\n').replace(/[;,]/g, '\\$&');
const compact = (day) => day.replaceAll('-', '');
const stamp = (ms) => `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;

function folded(line) {
  let out = '';
  let size = 0;
  for (const sign of line) {
    const more = new TextEncoder().encode(sign).length;
    if (size + more > 74) { out += '\r\n '; size = 1; }
    out += sign;
    size += more;
  }
  return out;
}

export function write(tasks, listName) {
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Freehold//Tasks//EN'];
  for (const task of tasks) {
    const when = task.time ? `${compact(task.due)}T${task.time.replace(':', '')}00` : compact(task.due);
    const kind = task.time ? '' : ';VALUE=DATE';
    lines.push('BEGIN:VTODO', `UID:${task._id}`, `DTSTAMP:${stamp(task._date_modified || task._date_created)}`, `SUMMARY:${escaped(task.title)}`);
    if (task.note) lines.push(`DESCRIPTION:${escaped(task.note)}`);
    if (task.due) lines.push(`DUE${kind}:${when}`);
    if (task.rrule && task.due) lines.push(`DTSTART${kind}:${when}`, `RRULE:${task.rrule}`);
    if (listName(task.list)) lines.push(`CATEGORIES:${escaped(listName(task.list))}`);
    if (task.starred) lines.push('PRIORITY:1');
    lines.push(...(task.done_at ? ['STATUS:COMPLETED', `COMPLETED:${stamp(task.done_at)}`] : ['STATUS:NEEDS-ACTION']), 'END:VTODO');
  }
  return `${[...lines, 'END:VCALENDAR'].map(folded).join('\r\n')}\r\n`;
}
