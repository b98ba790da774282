// Letting others see single records: everyone, or whoever has a link. The manifest asks for a permission of the kind
// share_records, and the owner allows it.

import { app, call, serverAddress, user } from './api.js';

const ask = (action, permission, table, ids, grantee, more = {}) =>
  call('POST', '/ceps/perms/share_records', { name: permission, table_id: `${app}.${table}`, action, grantees: [grantee], object_id_list: ids, ...more });

/** Shares records and answers with what the server says of each: the code of a link, the name of what is public. */
export async function share(permission, table, ids, grantee, more) {
  const { records } = await ask('grant', permission, table, ids, grantee, more);
  return records;
}

/** Takes that back. A link that was taken back never opens anything again. */
export const unshare = (permission, table, ids, grantee) => ask('deny', permission, table, ids, grantee);

/** The code by which a record is open to whoever has its link; '' when it is not. */
export const codeOf = (record) => (record._accessibles ?? []).find((one) => one.grantee === '_privatelink' && one.granted)?.code ?? '';

const path = (text) => text.split('/').map(encodeURIComponent).join('/');

/** The address of a record for others. */
export const recordAddress = (table, id, code) => `${serverAddress}/public/readobject/@${user}/${app}.${table}/${path(id)}${code ? `?code=${encodeURIComponent(code)}` : ''}`;
