// What a server holds, read through the public app API by the app's own page: to compare one server with another.

/** Every record of a table and the sha256 of every file it names, by id. Runs in the page of the app. */
export function holdings(page, tables) {
  return page.evaluate(async (names) => {
    const { appName: app, userId: user } = globalThis.freezrMeta;
    const token = decodeURIComponent(document.cookie.split('; ').find((part) => part.startsWith(`app_token_${user}=`)).split('=').slice(1).join('='));
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
    const held = {};
    for (const name of names) {
      const records = [];
      for (let skip = 0; ; skip += 500) {
        const body = JSON.stringify({ q: {}, count: 500, skip, sort: { _id: 1 } });
        const answer = await fetch(`/ceps/query/${app}.${name}`, { method: 'POST', headers, body });
        if (!answer.ok) throw new Error(`${app}.${name} answered with ${answer.status}`);
        const page = await answer.json();
        records.push(...page);
        if (page.length < 500) break;
      }
      held[name] = records.map((record) => JSON.stringify(Object.fromEntries(Object.entries(record).sort())));
      for (const record of name === 'files' ? records : []) {
        const path = record._id.split('/').map(encodeURIComponent).join('/');
        const answer = await fetch(`/feps/userfiles/${app}/${user}/${path}`, { headers });
        if (!answer.ok) throw new Error(`${record._id} answered with ${answer.status}`);
        const bytes = await answer.arrayBuffer();
        held[`file ${record._id}`] = [hex(await crypto.subtle.digest('SHA-256', bytes))];
      }
    }
    return held;
  }, tables);
}

/** What differs, in words; empty when all is equal. */
export function differences(before, after) {
  const out = [];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [left, right] = [before[name] ?? [], after[name] ?? []];
    if (left.length !== right.length) out.push(`${name}: ${left.length} there, ${right.length} here`);
    else left.forEach((record, index) => { if (record !== right[index]) out.push(`${name}: ${record.slice(0, 200)} became ${right[index].slice(0, 200)}`); });
  }
  return out;
}
