/* The client side of the app API, for pages on a personal server. MIT.
 *
 * New spelling: freezr.create, read, query, update, updateFields, delete, upload, getFileUrl, publicquery,
 * freezr.perms.*, freezr.watch. Older spellings (freezr.ceps.*, freezr.feps.*, freezr.promise.*, freepr.*) are aliases.
 * Every call returns a promise; the callback spellings take (error, answer) last. */
(function () {
  'use strict'
  const meta = window.freezrMeta || {}
  const app = meta.appName

  const table = (name) => {
    if (!name) return app
    return name === app || name.startsWith(app + '.') || name.split('.').length > 2 ? name : app + '.' + name
  }
  const seg = (text) => encodeURIComponent(text)
  const path = (text) => String(text).split('/').map(encodeURIComponent).join('/')
  const token = () => {
    const name = 'app_token_' + meta.userId + '='
    const found = document.cookie.split('; ').find((pair) => pair.startsWith(name))
    return found ? found.slice(name.length) : null
  }

  /* Where the server has moved to another provider, its address leads on, but a page's own calls may not follow. */
  async function moved () {
    const card = await fetch('/.well-known/pcc-server', { cache: 'no-store' }).then((r) => r.json()).catch(() => null)
    if (!card || card.state !== 'moved') return null
    const error = new Error('This server has moved to another provider. Copy what is not saved yet, then reload this page.')
    error.code = 'moved'
    return error
  }

  async function call (method, url, body, more) {
    const options = { method, headers: { Accept: 'application/json' }, credentials: 'same-origin' }
    const known = token()
    if (known) options.headers.Authorization = 'Bearer ' + known
    if (more && more.ifMatch) options.headers['If-Match'] = more.ifMatch
    if (body instanceof FormData) options.body = body
    else if (body !== undefined && body !== null) {
      options.headers['Content-Type'] = 'application/json'
      options.body = JSON.stringify(body)
    }
    let response
    try { response = await fetch(url, options) } catch (e) { throw (await moved()) || e }
    const text = await response.text()
    let answer = null
    try { answer = text ? JSON.parse(text) : null } catch (e) { answer = { error: 'not_json', message: text } }
    if (!response.ok) {
      const said = answer || {}
      const error = new Error(said.message || said.error || response.statusText)
      error.status = response.status
      error.code = said.error
      error.answer = said
      throw error
    }
    return answer
  }

  const withParams = (url, params) => {
    const query = new URLSearchParams()
    Object.entries(params || {}).forEach(([name, value]) => { if (value !== undefined && value !== null) query.append(name, value) })
    const text = query.toString()
    return text ? url + '?' + text : url
  }
  const whose = (options) => options ? { owner_id: options.owner_id, permission_name: options.permission_name } : {}

  const freezr = {
    app: { isWebBased: true, loginUrl: null, logoutUrl: null },
    meta,
    create (name, data, options) {
      options = options || {}
      const id = options.data_object_id || options.id
      if (!id && !options.upsert) return call('POST', '/ceps/write/' + seg(table(name)), data)
      const body = Object.assign({ _entity: data }, options.upsert ? { upsert: true } : {}, whose(options))
      return call('POST', '/feps/write/' + seg(table(name)) + (id ? '/' + path(id) : ''), body)
    },
    read (name, id, options) {
      return call('GET', withParams('/ceps/read/' + seg(table(name)) + '/' + path(id), whose(options)))
    },
    query (name, query, options) {
      const body = Object.assign({ q: query || {} }, options || {})
      return call('POST', '/ceps/query/' + seg(table(name)), body)
    },
    update (name, id, data, options) {
      if (data === undefined && id && typeof id === 'object') { data = id; id = data._id }
      return call('PUT', '/ceps/update/' + seg(table(name)) + '/' + path(id), data, options)
    },
    updateFields (name, id, fields, options) {
      if (id && typeof id === 'object') {
        return call('PUT', '/feps/update/' + seg(table(name)), Object.assign({ q: id, keys: fields }, whose(options)))
      }
      return call('PUT', '/feps/update/' + seg(table(name)) + '/' + path(id), { _entity: fields }, options)
    },
    delete (name, id) {
      if (id && typeof id === 'object') return call('DELETE', '/feps/delete/' + seg(table(name)), { q: id })
      return call('DELETE', '/ceps/delete/' + seg(table(name)) + '/' + path(id))
    },
    upload (file, options) {
      const form = new FormData()
      form.append('options', JSON.stringify(options || {}))
      form.append('file', file)
      return call('PUT', '/feps/upload/' + seg(app), form)
    },
    async getFileUrl (id, options) {
      const base = '/feps/userfiles/' + seg((options && options.requestee_app) || app) + '/' + seg(meta.userId) + '/' + path(id)
      const answer = await call('GET', '/feps/getuserfiletoken/self/' + seg(app) + '/' + seg(meta.userId))
      return base + '?fileToken=' + seg(answer.fileToken)
    },
    listFiles (options) { return call('POST', '/feps/read_user_file_tree/' + seg(app), options || {}) },
    publicquery (query) { return call('POST', '/public/query', query || {}) },
    /* A record that is shared with everyone, by the name it has there; or behind a link, with the code of that. */
    readPublic (publicid, options) { return call('GET', withParams('/public/readobject/' + path(publicid).replace(/^%40/, '@'), options)) },
    publicFileUrl (id, options) {
      const at = '/public/userfiles/' + seg((options && options.app) || app) + '/' + seg(meta.userId || meta.publicOwner) + '/' + path(id)
      return withParams(at, { code: options && options.code })
    },
    /* Calls back with {op, _id, _date_modified} for each change of a table; returns a function that stops it. */
    watch (name, callback) {
      const source = new EventSource('/feps/changes/' + seg(table(name)))
      source.addEventListener('change', (event) => callback(JSON.parse(event.data)))
      source.addEventListener('lagged', () => callback({ op: 'lagged' }))
      return () => source.close()
    },
    ping () { return call('GET', '/ceps/ping') },
    getManifest (name) { return call('GET', '/feps/manifest/' + seg(name || app)) },
    perms: {
      getAppPermissions () { return call('GET', '/ceps/perms/get') },
      getAll () { return call('GET', '/feps/permissions/getall/' + seg(app)) },
      async isGranted (name) {
        const all = await call('GET', '/ceps/perms/get')
        return all.some((permission) => permission.name === name && permission.granted)
      },
      /* One id, several, or a query; options: name, table_id (or collection), action, grantees, publicid. */
      shareRecords (id, options) {
        const which = Array.isArray(id) ? { object_id_list: id } : id && typeof id === 'object' ? { query_criteria: id } : { record_id: id }
        const more = Object.assign({ action: 'grant' }, options)
        more.table_id = more.table_id || table(more.collection)
        delete more.collection
        return call('POST', '/ceps/perms/share_records', Object.assign(which, more))
      },
      /* A proof for another person's server of whose app this is: {validation_token, requestor_host, expiration}. */
      validateDataOwner (options) {
        return call('POST', '/ceps/perms/validationtoken/set', Object.assign({ app_id: app, requestor_user: meta.userId }, options))
      }
    },
    messages: {
      send (message) { return call('POST', '/ceps/message/initiate', Object.assign({ type: 'message_records', app_id: app, sender_id: meta.userId }, message)) },
      got (options) { return call('GET', withParams('/ceps/message/got', options)) },
      sent (options) { return call('GET', withParams('/ceps/message/sent', options)) },
      markRead (ids) { return call('POST', '/ceps/message/mark_read', ids ? { message_ids: [].concat(ids) } : { mark_all: true }) }
    },
    utils: {
      getCookie (name) {
        const found = document.cookie.split('; ').find((pair) => pair.startsWith(name + '='))
        return found ? found.slice(name.length + 1) : null
      },
      ping: () => freezr.ping(),
      fileUrl: (id, user) => '/feps/userfiles/' + seg(app) + '/' + seg(user || meta.userId) + '/' + path(id)
    },
    initPageScripts: null
  }
  freezr.updateField = freezr.updateFields
  freezr.collection = (name) => ({
    create: (data, options) => freezr.create(name, data, options),
    read: (id, options) => freezr.read(name, id, options),
    query: (query, options) => freezr.query(name, query, options),
    update: (id, data, options) => freezr.update(name, id, data, options),
    updateFields: (id, fields, options) => freezr.updateFields(name, id, fields, options),
    delete: (id) => freezr.delete(name, id)
  })

  /* The older spellings: the same calls with options in one object, and a callback last. */
  const back = (promise, callback) => {
    if (typeof callback !== 'function') return promise
    promise.then((answer) => callback(null, answer), (error) => callback(error))
  }
  const tableOf = (options) => (options && (options.app_table || options.table)) || table(options && options.collection)
  const pick = (options, callback) => typeof options === 'function' ? [{}, options] : [options || {}, callback]
  const old = {
    create (data, options, callback) { [options, callback] = pick(options, callback); return back(freezr.create(tableOf(options), data, options), callback) },
    getById (id, options, callback) { [options, callback] = pick(options, callback); return back(freezr.read(tableOf(options), id, options), callback) },
    getquery (options, callback) {
      [options, callback] = pick(options, callback)
      const more = Object.assign({}, options)
      const query = more.q || more.query_params || {}
      ;['q', 'query_params', 'collection', 'app_table', 'table'].forEach((name) => delete more[name])
      return back(freezr.query(tableOf(options), query, more), callback)
    },
    update (data, options, callback) {
      [options, callback] = pick(options, callback)
      const id = options.data_object_id || data._id
      const all = options.replaceAllFields !== false
      return back((all ? freezr.update : freezr.updateFields)(tableOf(options), id, data), callback)
    },
    delete (id, options, callback) { [options, callback] = pick(options, callback); return back(freezr.delete(tableOf(options), id), callback) },
    upload (file, options, callback) { [options, callback] = pick(options, callback); return back(freezr.upload(file, options), callback) },
    fetchFile: (id, options) => freezr.getFileUrl(id, options),
    ping (options, callback) { [options, callback] = pick(options, callback); return back(freezr.ping(), callback) }
  }
  old.queryall = old.query = old.getByQuery = old.postquery = old.getquery
  old.read = old.getById
  old.write = old.create
  freezr.ceps = Object.assign({}, old)
  freezr.feps = Object.assign({}, old, {
    update (data, options, callback) {
      [options, callback] = pick(options, callback)
      const id = options.data_object_id || data._id
      return back((options.replaceAllFields ? freezr.update : freezr.updateFields)(tableOf(options), id, data), callback)
    }
  })
  freezr.promise = { ceps: freezr.ceps, feps: freezr.feps, create: freezr.create, read: freezr.read, query: freezr.query, update: freezr.update, delete: freezr.delete, ping: freezr.ping }

  window.freezr = freezr
  window.freepr = freezr

  const start = () => { if (typeof freezr.initPageScripts === 'function') freezr.initPageScripts() }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => setTimeout(start, 0))
  else setTimeout(start, 0)
})()
