// The one place that talks to the server. All of the API is described by /ceps/openapi.json, and typed in types/freehold.d.ts.

/** @typedef {import('./types/freehold').Calls} Calls */
/** @typedef {import('./types/freehold').RecordFields} RecordFields */

const { appName, userId } = window.freezrMeta;

/** The app's token, which opens this app's data and nothing else. */
function token() {
  const begin = `app_token_${userId}=`;
  const cookie = document.cookie.split('; ').find((part) => part.startsWith(begin));
  return cookie ? decodeURIComponent(cookie.slice(begin.length)) : '';
}

/**
 * Calls the server: `call('POST /ceps/query/{table}', { table: 'com.example.app.things' }, { q: {} })`.
 * @template {keyof Calls} Call
 * @param {Call} name
 * @param {Record<string, string>} path what stands in the braces
 * @param {Calls[Call]['body']} [body]
 * @returns {Promise<Calls[Call]['answer']>}
 */
export async function call(name, path, body) {
  const [method, pattern] = name.split(' ');
  const address = pattern.replace(/\{(\w+)\}/g, (_, part) => encodeURIComponent(path[part]));
  const headers = { Authorization: `Bearer ${token()}`, 'Content-Type': 'application/json' };
  const response = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.message ?? `The server answered with ${response.status}.`);
}

/**
 * One of this app's tables.
 * @template Fields
 * @typedef {object} Table
 * @property {(query?: { q?: object, sort?: Record<string, number>, count?: number }) => Promise<(Fields & RecordFields)[]>} query
 * @property {(fields: Fields) => Promise<unknown>} create
 * @property {(id: string, fields: Partial<Fields>) => Promise<unknown>} change
 * @property {(id: string) => Promise<unknown>} remove
 */

/** @param {string} name @returns {Table<any>} */
export function table(name) {
  const at = `${appName}.${name}`;
  return {
    query: (query = {}) => call('POST /ceps/query/{table}', { table: at }, query),
    create: (fields) => call('POST /ceps/write/{table}', { table: at }, fields),
    change: (id, fields) => call('PUT /feps/update/{table}/{id}', { table: at, id }, { _entity: fields }),
    remove: (id) => call('DELETE /ceps/delete/{table}/{id}', { table: at, id }),
  };
}
