// What is kept in this browser: a small key-value store on IndexedDB. Where the browser refuses one (some private
// windows do), it keeps things in memory, and `lasting` says so.

export class Local {
  static async open(name) {
    const local = new Local();
    local.memory = new Map();
    local.db = await new Promise((resolve) => {
      let request;
      try { request = indexedDB.open(name, 1); } catch { return resolve(null); }
      request.onupgradeneeded = () => request.result.createObjectStore('kept');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
      request.onblocked = () => resolve(null);
    });
    return local;
  }

  get lasting() { return this.db !== null; }

  async #run(mode, act) {
    const transaction = this.db.transaction('kept', mode);
    const request = act(transaction.objectStore('kept'));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
    });
  }

  async put(key, value) {
    if (!this.db) { this.memory.set(key, value); return; }
    await this.#run('readwrite', (store) => store.put(value, key));
  }

  async get(key) {
    if (!this.db) return this.memory.get(key);
    return this.#run('readonly', (store) => store.get(key));
  }

  async remove(key) {
    if (!this.db) { this.memory.delete(key); return; }
    await this.#run('readwrite', (store) => store.delete(key));
  }

  async all() {
    if (!this.db) return [...this.memory.values()];
    return this.#run('readonly', (store) => store.getAll());
  }
}
