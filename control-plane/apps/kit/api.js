// The one place that talks to the server: the app's token, JSON calls, records, files, resumable uploads.
// It uses nothing but the public app API (/ceps and /feps), so any app may be written the same way.

const meta = globalThis.freezrMeta ?? {};

export const app = meta.appName;
export const user = meta.userId;
export const serverAddress = meta.serverAddress ?? location.origin;

/** An answer that is not a success, or no answer at all. `kind` says what to do about it. */
export class Failure extends Error {
  constructor(kind, message, status = 0, body = null) {
    super(message);
    this.kind = kind; // offline | moved | signed-out | refused | gone | conflict | full | busy | broken
    this.status = status;
    this.body = body;
  }
}

function token() {
  const name = `app_token_${user}=`;
  const found = document.cookie.split('; ').find((part) => part.startsWith(name));
  return found ? decodeURIComponent(found.slice(name.length)) : '';
}

function kindOf(status) {
  if (status === 401) return 'signed-out';
  if (status === 403) return 'refused';
  if (status === 404) return 'gone';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 413 || status === 507) return 'full';
  if (status === 429 || status >= 502) return 'busy';
  return 'broken';
}

const words = {
  'signed-out': 'You are signed out. Open the app from your home page again.',
  refused: 'Your server has not allowed this app to do that.',
  gone: 'It is not there any more.',
  conflict: 'It was changed somewhere else meanwhile.',
  full: 'There is not enough room left on your server.',
  busy: 'Your server is busy.',
};

async function failure(response) {
  const body = await response.json().catch(() => null);
  const kind = body?.error === 'no related records exist' ? 'gone' : kindOf(response.status);
  const message = body?.message || words[kind] || `Your server answered with ${response.status}.`;
  return new Failure(kind, message, response.status, body);
}

/** What to say where the server has moved to another provider: its address leads on, but a page's own calls may not follow. */
async function moved() {
  const card = await fetch('/.well-known/pcc-server', { cache: 'no-store' }).then((response) => response.json()).catch(() => null);
  if (card?.state !== 'moved') return null;
  return new Failure('moved', 'Your server has moved to another provider. Copy what is not saved yet, then reload this page: it leads you there.');
}

async function send(path, options = {}) {
  const headers = { Authorization: `Bearer ${token()}`, ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: 'same-origin' });
  } catch {
    throw (await moved()) ?? new Failure('offline', 'Your server cannot be reached right now.');
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** A call with JSON both ways; throws a Failure. */
export async function call(method, path, body, headers = {}) {
  const options = { method, headers };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { 'Content-Type': 'application/json', ...headers };
  }
  const answer = await send(path, options).then((response) => response.json());
  if (answer?.success === false) throw new Failure('broken', answer.message || answer.error);
  return answer;
}

const part = encodeURIComponent;

/** Records of one of this app's tables. */
export const table = (name) => tableOf(`${app}.${name}`);

/** Records of any table this app may use, by its whole name. */
export function tableOf(at) {
  return {
    read: (id) => call('GET', `/ceps/read/${at}/${part(id)}`),
    query: (q = {}, options = {}) => call('POST', `/ceps/query/${at}`, { q, count: 500, skip: 0, ...options }),
    /** Every record, page by page, in the order of their ids, which never changes while pages are read. */
    async all(q = {}) {
      const found = [];
      for (let last = ''; ;) {
        const page = await this.query(last ? { ...q, _id: { $gt: last } } : q, { sort: { _id: 1 } });
        found.push(...page);
        if (page.length < 500) return found;
        last = page.at(-1)._id;
      }
    },
    /** Makes a record under an id of our own, so that sending it twice cannot make two. Conflict when it exists. */
    create: (id, record) => call('POST', `/feps/write/${at}/${part(id)}`, { _entity: record }),
    /** Makes the record or replaces the given fields. */
    upsert: (id, fields) => call('POST', `/feps/write/${at}/${part(id)}`, { _entity: fields, upsert: true }),
    /** Replaces the record; with `base` only if it has not been modified since. */
    replace: (id, record, base) =>
      call('PUT', `/ceps/update/${at}/${part(id)}`, record, base ? { 'If-Match': `"${base}"` } : {}),
    /** Changes the given fields. */
    change: (id, fields) => call('PUT', `/feps/update/${at}/${part(id)}`, { _entity: fields }),
    remove: (id) => call('DELETE', `/ceps/delete/${at}/${part(id)}`),
  };
}

/** What the owner has allowed this app. */
export const permissions = () => call('GET', '/ceps/perms/get');

let fileToken = null;

/** Files: addresses for <img> and downloads need a token of their own, because such requests carry no header. */
export const files = {
  async ready(again = false) {
    if (!fileToken || again) {
      fileToken = (await call('GET', `/feps/getuserfiletoken/self/${app}/${part(user)}`)).fileToken;
    }
  },
  address(path, download = false) {
    const plain = path.split('/').map(part).join('/');
    const ask = new URLSearchParams({ fileToken: fileToken ?? '' });
    if (download) ask.set('download', '1');
    return `/feps/userfiles/${app}/${part(user)}/${plain}?${ask}`;
  },
  /** Stores a small file in one go. */
  async put(folder, name, blob) {
    const form = new FormData();
    form.append('file', blob, name);
    form.append('options', JSON.stringify({ targetFolder: folder, fileName: name, overwrite: true }));
    const response = await send(`/feps/upload/${app}`, { method: 'PUT', body: form });
    return response.json();
  },
  async bytes(path) {
    await files.ready();
    return (await send(files.address(path))).blob();
  },
  remove: (path) => call('DELETE', `/ceps/delete/${app}.files/${part(path)}`),
};

const PIECE = 4 * 1024 * 1024;

/** Uploads that go on where they were cut: the server remembers how far it has durably got. */
export const uploads = {
  begin: (folder, name, size, type) =>
    call('POST', `/feps/uploads/${app}`, { targetFolder: folder, fileName: name, size, type, overwrite: true }),

  where: (id) => call('GET', `/feps/uploads/${app}/${part(id)}`),

  abort: (id) => send(`/feps/uploads/${app}/${part(id)}`, { method: 'DELETE' }),

  /** Sends what the server does not have yet. `progress(bytes)` is called as bytes leave. */
  async send(id, blob, offset, progress, signal) {
    for (;;) {
      const answer = await piece(id, blob, offset, progress, signal);
      offset = answer.offset;
      progress(offset);
      if (answer.done) return answer;
    }
  },
};

// fetch tells nothing about how far a request body has got; XMLHttpRequest does.
function piece(id, blob, offset, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PATCH', `/feps/uploads/${app}/${part(id)}?offset=${offset}`);
    request.setRequestHeader('Authorization', `Bearer ${token()}`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.responseType = 'json';
    request.upload.onprogress = (event) => progress(offset + event.loaded);
    request.onerror = () => reject(new Failure('offline', 'The connection was cut.'));
    request.onabort = () => reject(new DOMException('stopped', 'AbortError'));
    request.onload = () => {
      const { status, response } = request;
      if (status >= 200 && status < 300) resolve(response);
      else if (status === 409 && Number.isInteger(response?.offset)) resolve(response);
      else {
        const kind = kindOf(status);
        reject(new Failure(kind, response?.message || words[kind] || `Your server answered with ${status}.`, status, response));
      }
    };
    signal?.addEventListener('abort', () => request.abort(), { once: true });
    request.send(blob.slice(offset, offset + PIECE));
  });
}

/** A new id that sorts by time and is safe in a path. */
export function newId() {
  const random = crypto.getRandomValues(new Uint8Array(8));
  const tail = Array.from(random, (byte) => byte.toString(36).padStart(2, '0')).join('');
  return `${Date.now().toString(36).padStart(9, '0')}${tail}`;
}
