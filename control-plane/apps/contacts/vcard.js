// vCards (RFC 6350, and the older 2.1 and 3.0 that phones write) to people, and people to vCards.
//
// Reading takes what is there: a property that is not known or is broken is left out, never the card. Writing is version 3.0,
// which every address book takes.

const KINDS = ['mobile', 'home', 'work', 'other'];

/** The people in a file: records without a picture, each with `picture`, a Blob or null. */
export function parse(text) {
  const people = [];
  let card = null;
  for (const line of unfold(text)) {
    const property = read(line);
    if (!property) continue;
    if (property.name === 'BEGIN' && /^vcard$/i.test(property.value)) card = [];
    else if (property.name === 'END' && card) { people.push(person(card)); card = null; }
    else card?.push(property);
  }
  return people.filter((one) => one.name);
}

/** Lines that were cut are put together again: by a blank (all versions), and quoted-printable ones by '=' (2.1). */
function unfold(text) {
  const lines = [];
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)) {
    const last = lines.length - 1;
    if (last >= 0 && /^[ \t]/.test(line)) lines[last] += line.slice(1);
    else if (last >= 0 && /;ENCODING=QUOTED-PRINTABLE|;QUOTED-PRINTABLE/i.test(lines[last].split(':')[0]) && lines[last].endsWith('=')) lines[last] = lines[last].slice(0, -1) + line;
    else lines.push(line);
  }
  return lines;
}

function read(line) {
  const found = /^((?:[^":]|"[^"]*")*):(.*)$/s.exec(line);
  if (!found) return null;
  const [first, ...rest] = found[1].match(/(?:[^";]|"[^"]*")+/g) ?? [];
  if (!first) return null;
  const at = first.lastIndexOf('.');
  const parameters = {};
  const types = [];
  for (const parameter of rest) {
    const [, name, value] = /^([^=]*)(?:=(.*))?$/s.exec(parameter);
    // Version 2.1 writes a kind without saying that it is one.
    if (value === undefined || /^type$/i.test(name)) types.push(...(value ?? name).replaceAll('"', '').toLowerCase().split(','));
    else parameters[name.toUpperCase()] = value.replaceAll('"', '');
  }
  let value = found[2];
  if (/^quoted-printable$/i.test(parameters.ENCODING ?? '') || types.includes('quoted-printable')) value = printable(value, parameters.CHARSET);
  return { group: at < 0 ? '' : first.slice(0, at).toLowerCase(), name: first.slice(at + 1).toUpperCase(), parameters, types, value };
}

function printable(text, charset = 'utf-8') {
  const bytes = [];
  for (let at = 0; at < text.length; at += 1) {
    const hex = text[at] === '=' ? text.slice(at + 1, at + 3) : '';
    if (/^[0-9a-f]{2}$/i.test(hex)) { bytes.push(Number.parseInt(hex, 16)); at += 2; } else bytes.push(...new TextEncoder().encode(text[at]));
  }
  try { return new TextDecoder(charset).decode(new Uint8Array(bytes)); } catch { return new TextDecoder().decode(new Uint8Array(bytes)); }
}

const plain = (text) => text.replace(/\\([nN,;:\\])/g, (_, sign) => (/n/i.test(sign) ? '\n' : sign)).trim();

/** The parts of a value between semicolons. */
const parts = (text) => (text.match(/(?:\\.|[^;\\])+|;/gs) ?? []).reduce((all, piece) => {
  if (piece === ';') all.push('');
  else all[all.length - 1] += piece;
  return all;
}, ['']).map(plain);

function kind(property, labels) {
  const own = labels.get(property.group);
  const types = property.types;
  if (own) return own;
  if (types.includes('cell') || types.includes('mobile')) return 'mobile';
  return types.includes('home') ? 'home' : types.includes('work') ? 'work' : 'other';
}

function person(card) {
  const labels = new Map();
  for (const { name, group, value } of card) if (name === 'X-ABLABEL' && group) labels.set(group, plain(value).replace(/^_\$!<(.*)>!\$_$/, '$1').toLowerCase().slice(0, 30));
  const one = { name: '', given: '', family: '', org: '', title: '', phones: [], emails: [], addresses: [], urls: [], birthday: '', note: '', labels: [], server: '', starred: false, picture: null };
  for (const property of card) {
    const value = plain(property.value).slice(0, 4000);
    const type = kind(property, labels);
    if (!value) continue;
    switch (property.name) {
      case 'FN': one.name ||= value; break;
      case 'N': [one.family, one.given] = [parts(property.value)[0] ?? '', parts(property.value)[1] ?? '']; break;
      case 'ORG': one.org ||= parts(property.value).filter(Boolean).join(', '); break;
      case 'TITLE': one.title ||= value; break;
      case 'TEL': one.phones.push({ type, value: value.replace(/^tel:/i, '') }); break;
      case 'EMAIL': one.emails.push({ type, value }); break;
      case 'URL': one.urls.push({ type, value }); break;
      case 'ADR': {
        const [box, more, street, city, region, code, country] = parts(property.value);
        one.addresses.push({ type, street: [street, more, box].filter(Boolean).join('\n'), code: code ?? '', city: city ?? '', region: region ?? '', country: country ?? '' });
        break;
      }
      case 'BDAY': one.birthday = day(value); break;
      case 'NOTE': one.note = [one.note, value].filter(Boolean).join('\n'); break;
      case 'CATEGORIES': one.labels = [...new Set([...one.labels, ...value.split(',').map((label) => label.trim()).filter(Boolean)])].slice(0, 20); break;
      case 'X-CEPS': if (/^[^@\s]+@[^@\s]+$/.test(value)) one.server = value; break;
      case 'PHOTO': one.picture ??= picture(property); break;
      default:
    }
  }
  one.name ||= [one.given, one.family].filter(Boolean).join(' ') || one.org || one.emails[0]?.value || '';
  one.name = one.name.slice(0, 300);
  return one;
}

/** 19800517, 1980-05-17, --0517, with or without a time. */
function day(text) {
  const found = /^(\d{4}|--)-?(\d\d)-?(\d\d)/.exec(text);
  if (!found) return '';
  return `${found[1] === '--' ? '-' : found[1]}-${found[2]}-${found[3]}`;
}

function picture({ value, parameters, types }) {
  const inline = /^data:(image\/[a-z+.-]+);base64,(.*)$/is.exec(value);
  if (!inline && !/^(b|base64)$/i.test(parameters.ENCODING ?? '') && !types.includes('base64')) return null;
  try {
    const bytes = Uint8Array.from(atob((inline?.[2] ?? value).replace(/\s/g, '')), (sign) => sign.charCodeAt(0));
    return new Blob([bytes], { type: inline?.[1] ?? 'image/jpeg' });
  } catch {
    return null;
  }
}

const escaped = (text) => String(text ?? '').replace(/\\/g, '\\\\').replace(/\r?\n/g, '\\n').replace(/[;,]/g, '\\$&');

/** Lines of at most 75 bytes, never cut within a letter. */
function folded(line) {
  const out = [];
  let piece = '';
  let size = 0;
  for (const sign of line) {
    const more = new TextEncoder().encode(sign).length;
    if (size + more > 74) { out.push(piece); piece = ' '; size = 1; }
    piece += sign;
    size += more;
  }
  return [...out, piece].join('\r\n');
}

/** One person as a card. `photo` is a picture as base64, or ''. */
export function write(one, photo = '') {
  const lines = ['BEGIN:VCARD', 'VERSION:3.0', `UID:${escaped(one._id)}`, `FN:${escaped(one.name)}`];
  const family = one.family || (one.given ? '' : one.name);
  lines.push(`N:${escaped(family)};${escaped(one.given)};;;`);
  let groups = 0;
  const add = (name, type, value) => {
    if (KINDS.includes(type)) lines.push(`${name}${type === 'other' ? '' : `;TYPE=${type === 'mobile' ? 'CELL' : type.toUpperCase()}`}:${value}`);
    else { groups += 1; lines.push(`item${groups}.${name}:${value}`, `item${groups}.X-ABLABEL:${escaped(type)}`); }
  };
  if (one.org) lines.push(`ORG:${escaped(one.org)}`);
  if (one.title) lines.push(`TITLE:${escaped(one.title)}`);
  for (const { type, value } of one.phones) add('TEL', type, escaped(value));
  for (const { type, value } of one.emails) add('EMAIL', type, escaped(value));
  for (const { type, value } of one.urls) add('URL', type, escaped(value));
  for (const at of one.addresses) add('ADR', at.type, `;;${[at.street, at.city, at.region, at.code, at.country].map(escaped).join(';')}`);
  if (one.birthday) lines.push(`BDAY:${one.birthday.replace(/^--(\d\d)-(\d\d)$/, '--$1$2')}`);
  if (one.labels.length) lines.push(`CATEGORIES:${one.labels.map(escaped).join(',')}`);
  if (one.note) lines.push(`NOTE:${escaped(one.note)}`);
  if (one.server) lines.push(`X-CEPS:${escaped(one.server)}`);
  if (photo) lines.push(`PHOTO;ENCODING=b;TYPE=JPEG:${photo}`);
  lines.push('END:VCARD');
  return `${lines.map(folded).join('\r\n')}\r\n`;
}
