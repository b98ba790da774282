// One person on the page: the card to read, and the form to write it.

import { el, icon, iconButton, empty } from './kit/dom.js';
import { files } from './kit/api.js';
import { fresh, initials } from './people.js';

/** A picture of somebody, or their initials. */
export function face(one, large = false) {
  const tint = [...one.name].reduce((sum, sign) => sum + sign.codePointAt(0), 0) % 6;
  const inside = one.photo ? el('img', { src: files.address(one.photo), alt: '', loading: 'lazy' }) : initials(one) || '?';
  return el('span', { class: `face f${tint}${large ? ' large' : ''}`, 'aria-hidden': 'true' }, inside);
}

const KINDS = { phones: ['mobile', 'home', 'work', 'other'], emails: ['home', 'work', 'other'], urls: ['home', 'work', 'other'], addresses: ['home', 'work', 'other'] };
const called = (type) => type.charAt(0).toUpperCase() + type.slice(1);

export function birthday(text) {
  const found = /^(\d{4}|-)-(\d\d)-(\d\d)$/.exec(text);
  if (!found) return text;
  const [, year, month, day] = found;
  const date = new Date(Number(year) || 2000, Number(month) - 1, Number(day));
  return date.toLocaleDateString(undefined, { day: 'numeric', month: 'long', ...(year === '-' ? {} : { year: 'numeric' }) });
}

const where = (at) => [at.street, [at.code, at.city].filter(Boolean).join(' '), at.region, at.country].filter(Boolean).join('\n');
const web = (address) => { const url = URL.canParse(address) ? new URL(address) : URL.canParse(`https://${address}`) ? new URL(`https://${address}`) : null; return url && /^https?:$/.test(url.protocol) ? url.href : ''; };

export class Card {
  constructor(root, acts) { Object.assign(this, { root, acts, id: null }); }

  get writing() { return this.form?.isConnected ?? false; }

  blank() {
    this.id = null;
    this.root.replaceChildren(empty('people', 'Nobody is open', 'Choose somebody from the list, or write down somebody new.',
      el('button', { type: 'button', class: 'btn', onclick: this.acts.onnew }, icon('add'), 'New person')));
  }

  show(one) {
    this.id = one._id;
    const own = !one._id.startsWith('known:');
    const reach = (picture, label, href) => el('a', { class: 'btn', href, 'aria-label': `${label} ${one.name}` }, icon(picture), label);
    const rows = [
      ...one.phones.map(({ type, value }) => [called(type), el('a', { href: `tel:${value.replace(/[^\d+*#]/g, '')}` }, value)]),
      ...one.emails.map(({ type, value }) => [`E-mail, ${type}`, el('a', { href: `mailto:${encodeURIComponent(value).replace('%40', '@')}` }, value)]),
      one.server && ['Their server', el('span', {}, one.server)],
      ...one.addresses.map((at) => [`Address, ${at.type}`, where(at)]),
      ...one.urls.map(({ value }) => ['Web', web(value) ? el('a', { href: web(value), target: '_blank', rel: 'noopener noreferrer' }, value) : value]),
      one.birthday && ['Birthday', birthday(one.birthday)],
      one.labels.length && ['Labels', one.labels.join(', ')],
      one.note && ['Note', one.note],
    ].filter(Boolean);
    const star = iconButton('star', 'Keep at the top', () => this.acts.onstar(one), { 'aria-pressed': String(one.starred) });
    this.root.replaceChildren(
      el('div', { class: 'tools' }, iconButton('back', 'Back to the list', this.acts.onback, { class: 'btn icon only-phone' }), el('span', { class: 'push' }),
        own ? star : null,
        iconButton('download', 'Download as a card', () => this.acts.onexport([one])),
        iconButton('trash', `Delete ${one.name}`, () => this.acts.ondelete(one))),
      el('article', { class: 'page' },
        el('div', { class: 'who' }, face(one, true), el('div', {}, el('h2', {}, one.name), el('p', { class: 'soft' }, [one.title, one.org].filter(Boolean).join(', ')))),
        one.blocked ? el('p', { class: 'banner warn' }, icon('warn'), 'Blocked on your People page: they see nothing of yours, and nothing of theirs comes in.') : null,
        el('div', { class: 'reach' },
          one.phones[0] ? reach('phone', 'Call', `tel:${one.phones[0].value.replace(/[^\d+*#]/g, '')}`) : null,
          one.emails[0] ? reach('mail', 'Write', `mailto:${one.emails[0].value}`) : null,
          el('button', { type: 'button', class: 'btn', id: 'edit', onclick: () => this.edit(one) }, icon('pen'), own ? 'Edit' : 'Write more down')),
        el('dl', { class: 'card-rows' }, rows.map(([term, fact]) => el('div', {}, el('dt', {}, term), el('dd', {}, fact))))));
    if (!rows.length) this.root.querySelector('dl').replaceWith(el('p', { class: 'soft' }, 'Nothing but the name so far.'));
  }

  /** The form, for somebody or for a new person. */
  edit(one = { ...fresh(), _id: '' }) {
    this.id = one._id || null;
    let photo = one.photo;
    const input = (name, label, more = {}) => el('div', { class: 'field' }, el('label', { for: `f-${name}` }, label), el('input', { class: 'input', id: `f-${name}`, name, value: one[name], autocomplete: 'off', maxlength: '300', ...more }));
    const portrait = el('span', {});
    const draw = () => portrait.replaceChildren(face({ ...one, photo }, true));
    const chosen = el('input', { type: 'file', accept: 'image/*', hidden: true, onchange: async () => {
      const [file] = chosen.files;
      chosen.value = '';
      if (file) { photo = await this.acts.onpicture(file) || photo; draw(); }
    } });
    draw();
    this.form = el('form', { class: 'form', onsubmit: (event) => { event.preventDefault(); this.acts.onsave(one, { ...this.#read(), photo }); } },
      el('div', { class: 'row' }, portrait, chosen, el('button', { type: 'button', class: 'btn', onclick: () => chosen.click() }, icon('picture'), one.photo ? 'Another picture' : 'Picture')),
      el('div', { class: 'pairs' }, input('given', 'First name'), input('family', 'Last name'), input('org', 'Company'), input('title', 'What they do')),
      this.#several('phones', 'Phone', 'a number', one.phones, { type: 'tel', inputmode: 'tel' }),
      this.#several('emails', 'E-mail', 'an address', one.emails, { type: 'email', inputmode: 'email' }),
      el('div', { class: 'field' }, el('label', { for: 'f-server' }, 'Their own server'), el('input', { class: 'input', id: 'f-server', name: 'server', value: one.server, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', pattern: '[^@\\s]+@[^@\\s]+', placeholder: 'name@server', 'aria-describedby': 'f-server-hint' }),
        el('p', { class: 'hint', id: 'f-server-hint' }, 'With it you can share things with them, like bert@bert.example.org.')),
      this.#several('addresses', 'Address', 'a place', one.addresses),
      this.#several('urls', 'Web', 'a page', one.urls, { inputmode: 'url', autocapitalize: 'off' }),
      el('div', { class: 'pairs' }, el('div', { class: 'field' }, el('label', { for: 'f-birthday' }, 'Birthday'), el('input', { class: 'input', id: 'f-birthday', type: 'date', value: one.birthday.startsWith('--') ? '' : one.birthday })),
        el('div', { class: 'field' }, el('label', { for: 'f-labels' }, 'Labels'), el('input', { class: 'input', id: 'f-labels', value: one.labels.join(', '), list: 'known-labels', placeholder: 'family, choir', autocomplete: 'off' }))),
      el('div', { class: 'field' }, el('label', { for: 'f-note' }, 'Note'), el('textarea', { class: 'input', id: 'f-note', rows: '4', maxlength: '20000', value: one.note })),
      el('div', { class: 'row acts' }, el('button', { class: 'btn main' }, 'Save'), el('button', { type: 'button', class: 'btn', onclick: () => this.acts.oncancel(one) }, 'Cancel')));
    this.was = one;
    this.root.replaceChildren(
      el('div', { class: 'tools' }, iconButton('close', 'Close without saving', () => this.acts.oncancel(one)), el('h2', {}, one._id ? `Edit ${one.name}` : 'New person')),
      el('article', { class: 'page' }, this.form));
    this.form.querySelector('#f-given').focus();
  }

  // A list of things with a kind each; one empty line is always there to write into.
  #several(name, legend, what, values, more) {
    const list = el('ul', { class: 'several', 'data-list': name });
    const add = (one = { type: KINDS[name][0], value: '' }) => {
      const kinds = KINDS[name].includes(one.type) ? KINDS[name] : [...KINDS[name], one.type];
      const label = (field) => `${legend} ${list.children.length + 1}, ${field}`;
      const kind = el('select', { class: 'input', 'aria-label': label('kind') }, kinds.map((type) => el('option', { value: type, selected: type === one.type }, called(type))));
      const field = (part, placeholder) => el('input', { class: 'input', 'data-part': part, 'aria-label': label(placeholder), placeholder: called(placeholder), value: one[part] ?? '', autocomplete: 'off', maxlength: '300' });
      const value = name === 'addresses'
        ? el('div', { class: 'street' }, el('textarea', { class: 'input', rows: '1', 'data-part': 'street', 'aria-label': label('street'), placeholder: 'Street', value: one.street ?? '' }), field('code', 'code'), field('city', 'town'), field('country', 'country'))
        : el('input', { class: 'input', 'data-part': 'value', 'aria-label': label(what), value: one.value, autocomplete: 'off', maxlength: '300', ...more });
      const row = el('li', {}, kind, value, iconButton('close', `Take ${label(what)} out`, () => { row.remove(); if (!list.children.length) add(); list.lastElementChild.querySelector('[data-part]').focus(); }));
      row.was = one;
      list.append(row);
      return row;
    };
    values.forEach(add);
    if (!values.length) add();
    return el('fieldset', { class: 'field' }, el('legend', {}, legend), list,
      el('div', {}, el('button', { type: 'button', class: 'btn bare small', onclick: () => add().querySelector('[data-part]').focus() }, icon('add'), `Add ${what}`)));
  }

  #read() {
    const value = (id) => this.form.querySelector(`#f-${id}`).value.trim();
    const list = (name) => [...this.form.querySelectorAll(`[data-list=${name}] > li`)].map((row) => ({ ...row.was, type: row.querySelector('select').value,
      ...Object.fromEntries([...row.querySelectorAll('[data-part]')].map((field) => [field.dataset.part, field.value.trim()])) }))
      .filter(({ type, ...rest }) => Object.values(rest).some(Boolean));
    const one = { given: value('given'), family: value('family'), org: value('org'), title: value('title'), phones: list('phones'), emails: list('emails'), urls: list('urls'), addresses: list('addresses'),
      server: value('server'), note: value('note'), birthday: value('birthday') || (this.was.birthday.startsWith('--') ? this.was.birthday : ''),
      labels: [...new Set(value('labels').split(',').map((label) => label.trim()).filter(Boolean))].slice(0, 20) };
    const joined = [one.given, one.family].filter(Boolean).join(' ');
    const same = [this.was.given, this.was.family].filter(Boolean).join(' ');
    return { ...one, name: (joined !== same && joined) || this.was.name || joined || one.org || one.emails[0]?.value || one.phones[0]?.value || one.server };
  }
}
