// The API for apps, as TypeScript sees it. Made from /ceps/openapi.json by a test of the server; do not edit.

/** What a page is told about where it runs. */
export interface Meta {
  appName: string;
  appVersion: string;
  appDisplayName: string;
  /** The owner's name on their server; null on a page for visitors. */
  userId: string | null;
  userDisplayName: string;
  serverAddress: string;
  serverVersion: string;
  serverType: string;
  /** The owner's name, on a page for visitors. */
  publicOwner?: string;
}

declare global {
  interface Window {
    freezrMeta: Meta;
  }
}

export interface Changed {
  _date_created?: number;
  _date_modified?: number;
  _id: string;
  nModified?: number;
  success: boolean;
  [field: string]: any;
}

export interface Exchange {
  client_id: string;
  grant_type?: 'password';
  password: string;
  username: string;
}

export interface Happening {
  due?: number;
  ended?: number | null;
  id?: string;
  kind?: 'schedule' | 'webhook';
  name?: string;
  next?: number | null;
  state?: 'waiting' | 'held' | 'done' | 'failed';
  tries?: number;
  why?: string | null;
}

export interface Notice {
  /** A path on the app's own origin */
  link?: string | null;
  text?: string;
  title: string;
}

export interface Permission {
  _date_created?: number;
  _date_modified?: number;
  description?: string;
  granted: boolean;
  name: string;
  requestor_app?: string;
  status: 'pending' | 'granted' | 'denied';
  table_id?: string | null;
  table_ids?: Array<string>;
  type: string;
}

export interface Ping {
  app_name?: string;
  logged_in: boolean;
  logged_in_as_admin?: boolean;
  server_type: string;
  server_version: string;
  storageLimits?: {
    ok?: boolean;
  };
  user_id?: string;
}

export interface Problem {
  detail?: string;
  error: string;
  message: string;
  status: number;
  success?: false;
  title?: string;
  type?: string;
  [field: string]: any;
}

export interface PublicAnswer {
  count: number;
  results: Array<PublicRecord>;
  skip: number;
  success?: boolean;
  total: number;
}

export interface PublicQuery {
  app?: string;
  code?: string;
  count?: number | string;
  feed?: string;
  owner?: string;
  pid?: string;
  q?: {
    [field: string]: any;
  };
  skip?: number | string;
  table?: string;
}

export interface PublicRecord {
  _app_table: string;
  _data_owner: string;
  _date_created?: number;
  _date_modified?: number;
  _date_published?: number;
  _id: string;
  _publicid?: string;
  [field: string]: any;
}

export interface Query {
  _cursor?: string;
  count?: number | string;
  owner_id?: string;
  permission_name?: string;
  q?: {
    [field: string]: any;
  };
  skip?: number | string;
  sort?: {
    [field: string]: number;
  };
}

export interface RecordFields {
  _date_created: number;
  _date_modified: number;
  _id: string;
}

export interface Schedule {
  last?: number | null;
  name?: string;
  next?: number | null;
  state?: 'on' | 'paused' | 'held' | 'over';
  title?: string;
  /** When, in plain words */
  words?: string;
}

export interface ScheduleWish {
  /** Once, then */
  at?: string;
  /** Five fields as in crontab(5) */
  cron?: string;
  /** What the app's code on the server is given */
  handler?: unknown;
  notice?: Notice;
  paused?: boolean;
  /** RFC 5545, 3.3.10 */
  rrule?: string;
  /** On the clock on the wall, 2026-12-24T18:00 */
  start?: string;
  title?: string;
  /** A time zone of the IANA database; without it the owner's, or UTC */
  zone?: string;
}

export interface Share {
  action: 'grant' | 'deny';
  /** user@host, group:name, _public, _privatelink, _privatefeed:name */
  grantees: string | Array<string>;
  /** The permission of type share_records */
  name: string;
  object_id_list?: Array<string>;
  publicid?: string;
  query_criteria?: {
    [field: string]: any;
  };
  record_id?: string;
  table_id: string;
}

export interface Shared {
  records: Array<{
    _date_published?: number;
    _id: string;
    _publicid?: string;
    code?: string;
    [field: string]: any;
  }>;
  recordsChanged: number;
  success: boolean;
  [field: string]: any;
}

export interface Success {
  success: boolean;
}

export interface Token {
  access_token: string;
  app_name: string;
  /** A moment, Unix ms, as CEPS has it */
  expires_in: number;
  success?: boolean;
  token_type?: string;
  user_id: string;
}

export interface Webhook {
  /** Only when it was just made */
  address?: string;
  last?: number | null;
  name?: string;
  state?: 'on' | 'paused' | 'held';
  title?: string;
}

export interface WebhookWish {
  /** Calls the app's code on the server */
  handler?: unknown;
  notice?: Notice;
  /** HMAC-SHA256 over the body, in hexadecimal, in this header */
  proof?: {
    header: string;
    key: string;
  };
  title?: string;
}

export interface Written {
  _date_created: number;
  _date_modified: number;
  _id: string;
  success: boolean;
  [field: string]: any;
}

/** Every call: what stands in its path and query, what it takes, what it answers. */
export interface Calls {
  /** Makes a one-time password for an app */
  'GET /acctapi/generateAppPassword': { path: {}; query: { app_name: string }; body: undefined; answer: {
    app_name?: string;
    app_password?: string;
    success?: boolean;
  } };
  /** Removes a record */
  'DELETE /ceps/delete/{table}/{id}': { path: { table: string; id: string }; query: {}; body: undefined; answer: Written };
  /** What was sent to the owner from the same app */
  'GET /ceps/message/got': { path: {}; query: { unread?: boolean; count?: number }; body: undefined; answer: Array<RecordFields> };
  /** Sends a record to contacts */
  'POST /ceps/message/initiate': { path: {}; query: {}; body: {
    app_id?: string;
    contact_permission?: string;
    message?: string;
    messaging_permission: string;
    recipient_host?: string;
    recipient_id?: string;
    recipients?: Array<{
      recipient_host?: string;
      recipient_id?: string;
    }>;
    record_id: string;
    sender_host?: string;
    sender_id?: string;
    table_id: string;
    type?: 'message_records';
  }; answer: {
    message_ids: Array<string>;
    success: boolean;
  } };
  /** Notes that messages were read */
  'POST /ceps/message/mark_read': { path: {}; query: {}; body: {
    markAll?: boolean;
    mark_all?: boolean;
    message_ids?: Array<string>;
  }; answer: {
    nModified?: number;
    success?: boolean;
  } };
  /** What the owner sent with this app, and what became of it */
  'GET /ceps/message/sent': { path: {}; query: { count?: number }; body: undefined; answer: Array<RecordFields> };
  /** Tells the recipient's server that there is a message; servers call it */
  'POST /ceps/message/transmit': { path: {}; query: {}; body: {
    app_id: string;
    nonce: string;
    recipient_host: string;
    recipient_id: string;
    record_id?: string;
    sender_host: string;
    sender_id: string;
    table_id?: string;
    type?: string;
  }; answer: Success };
  /** Gives the recipient's server the message it was told of; servers call it */
  'POST /ceps/message/verify': { path: {}; query: {}; body: {
    app_id: string;
    nonce: string;
    recipient_host: string;
    recipient_id: string;
    record_id?: string;
    sender_host: string;
    sender_id: string;
    table_id?: string;
    type?: string;
  }; answer: {
    message?: string;
    record: {
      [field: string]: any;
    };
    success: boolean;
  } };
  /** This document */
  'GET /ceps/openapi.json': { path: {}; query: {}; body: undefined; answer: {
    [field: string]: any;
  } };
  /** What the calling app asked for */
  'GET /ceps/perms/get': { path: {}; query: { owner?: string }; body: undefined; answer: Array<Permission> };
  /** Lets others see records, or takes that back */
  'POST /ceps/perms/share_records': { path: {}; query: {}; body: Share; answer: Shared };
  /** A token by which another person's server knows whose app asks; good once, for five minutes */
  'POST /ceps/perms/validationtoken/set': { path: {}; query: {}; body: {
    app_id?: string;
    data_owner_host: string;
    data_owner_user: string;
    permission: string;
    requestor_user?: string;
    table_id: string;
  }; answer: {
    expiration: number;
    requestor_host: string;
    success?: boolean;
    validation_token: string;
  } };
  /** Lets another person's app in to what is shared with that person */
  'GET /ceps/perms/validationtoken/validate': { path: {}; query: { validation_token: string; data_owner_user: string; data_owner_host: string; table_id: string; permission: string; app_id: string; requestor_user: string; requestor_host: string }; body: undefined; answer: {
    'access-token': string;
    expiry: number;
    validated: boolean;
  } };
  /** Whether a token is one of this server's */
  'GET /ceps/perms/validationtoken/verify': { path: {}; query: { validation_token: string; data_owner_user: string; data_owner_host: string; table_id: string; permission: string; app_id: string; requestor_user: string }; body: undefined; answer: {
    verified: boolean;
  } };
  /** Is this a personal server, and does it know me? */
  'GET /ceps/ping': { path: {}; query: {}; body: undefined; answer: Ping };
  /** Finds records by fields */
  'GET /ceps/query/{table}': { path: { table: string }; query: { _modified_after?: number; _modified_before?: number; count?: number; skip?: number; _cursor?: string; owner_id?: string; permission_name?: string }; body: undefined; answer: Array<RecordFields> };
  /** Finds records */
  'POST /ceps/query/{table}': { path: { table: string }; query: {}; body: Query; answer: Array<RecordFields> };
  /** Reads a record */
  'GET /ceps/read/{table}/{id}': { path: { table: string; id: string }; query: { owner_id?: string; permission_name?: string }; body: undefined; answer: RecordFields };
  /** Replaces all fields of a record */
  'PUT /ceps/update/{table}/{id}': { path: { table: string; id: string }; query: {}; body: {
    [field: string]: any;
  } | {
    _entity?: {
      [field: string]: any;
    };
    owner_id?: string;
    permission_name?: string;
    replaceAllFields?: boolean;
    upsert?: boolean;
    [field: string]: any;
  }; answer: Changed };
  /** Writes a new record */
  'POST /ceps/write/{table}': { path: { table: string }; query: {}; body: {
    [field: string]: any;
  } | {
    _entity?: {
      [field: string]: any;
    };
    owner_id?: string;
    permission_name?: string;
    replaceAllFields?: boolean;
    upsert?: boolean;
    [field: string]: any;
  }; answer: Written };
  /** Tells of changes as they happen */
  'GET /feps/changes/{table}': { path: { table: string }; query: {}; body: undefined; answer: unknown };
  /** Removes all records that match */
  'DELETE /feps/delete/{table}': { path: { table: string }; query: {}; body: {
    q: {
      [field: string]: any;
    };
  }; answer: {
    nDeleted?: number;
    success?: boolean;
  } };
  /** Removes a record */
  'DELETE /feps/delete/{table}/{id}': { path: { table: string; id: string }; query: {}; body: undefined; answer: Written };
  /** A token for addresses of files, good for an hour */
  'GET /feps/getuserfiletoken/self/{app}/{user}': { path: { app: string; user: string }; query: {}; body: undefined; answer: {
    fileToken?: string;
    success?: boolean;
  } };
  /** What came of the calling app's schedules and webhooks, the newest first */
  'GET /feps/happenings': { path: {}; query: { count?: number }; body: undefined; answer: Array<Happening> };
  /** The app's own manifest and tables */
  'GET /feps/manifest/{app}': { path: { app: string }; query: {}; body: undefined; answer: {
    app_tables?: Array<string>;
    manifest?: {
      [field: string]: any;
    };
    success?: boolean;
  } };
  /** The owner's answer */
  'PUT /feps/permissions/change': { path: {}; query: {}; body: {
    change: {
      action: 'Accept' | 'Deny';
      name: string;
      requestor_app: string;
    };
  }; answer: Success };
  /** The same, in the shape of freezr's client */
  'GET /feps/permissions/getall/{app}': { path: { app: string }; query: {}; body: undefined; answer: {
    outward?: Array<Permission>;
    success?: boolean;
    thisApp?: Array<{
      [field: string]: any;
    }>;
  } };
  /** Finds records by fields */
  'GET /feps/query/{table}': { path: { table: string }; query: { _modified_after?: number; _modified_before?: number; count?: number; skip?: number; _cursor?: string; owner_id?: string; permission_name?: string }; body: undefined; answer: Array<RecordFields> };
  /** Finds records */
  'POST /feps/query/{table}': { path: { table: string }; query: {}; body: Query; answer: Array<RecordFields> };
  /** Reads a record */
  'GET /feps/read/{table}/{id}': { path: { table: string; id: string }; query: { owner_id?: string; permission_name?: string }; body: undefined; answer: RecordFields };
  /** Lists files */
  'POST /feps/read_user_file_tree/{app}': { path: { app: string }; query: {}; body: {
    includeMetadata?: boolean;
    maxFiles?: number;
    readSubFolders?: boolean;
    subPath?: string;
  }; answer: {
    complete?: boolean;
    files?: Array<{
      [field: string]: any;
    }>;
    folders?: Array<string>;
    success?: boolean;
  } };
  /** Writes a record back with its id and dates */
  'POST /feps/restore/{table}': { path: { table: string }; query: {}; body: {
    options?: {
      data_object_id?: string;
      updateRecord?: boolean;
      upsertRecord?: boolean;
    };
    record: {
      [field: string]: any;
    };
  }; answer: Written };
  /** What of the calling app runs when */
  'GET /feps/schedules': { path: {}; query: {}; body: undefined; answer: Array<Schedule> };
  /** Removes a schedule, with what of it still waits */
  'DELETE /feps/schedules/{name}': { path: { name: string }; query: {}; body: undefined; answer: Success };
  /** One of them */
  'GET /feps/schedules/{name}': { path: { name: string }; query: {}; body: undefined; answer: Schedule };
  /** Makes a schedule, or makes it another */
  'PUT /feps/schedules/{name}': { path: { name: string }; query: {}; body: ScheduleWish; answer: Schedule };
  /** Changes fields of all records that match */
  'PUT /feps/update/{table}': { path: { table: string }; query: {}; body: {
    keys: {
      [field: string]: any;
    };
    q: {
      [field: string]: any;
    };
  }; answer: {
    nModified?: number;
    success?: boolean;
  } };
  /** Changes fields of a record, or replaces all */
  'PUT /feps/update/{table}/{id}': { path: { table: string; id: string }; query: {}; body: {
    [field: string]: any;
  } | {
    _entity?: {
      [field: string]: any;
    };
    owner_id?: string;
    permission_name?: string;
    replaceAllFields?: boolean;
    upsert?: boolean;
    [field: string]: any;
  }; answer: Changed };
  /** Uploads a file */
  'POST /feps/upload/{app}': { path: { app: string }; query: {}; body: unknown; answer: Changed };
  /** Uploads a file */
  'PUT /feps/upload/{app}': { path: { app: string }; query: {}; body: unknown; answer: Changed };
  /** Begins an upload that can be resumed */
  'POST /feps/uploads/{app}': { path: { app: string }; query: {}; body: {
    [field: string]: any;
  }; answer: {
    [field: string]: any;
  } };
  /** Gives an upload up */
  'DELETE /feps/uploads/{app}/{id}': { path: { app: string; id: string }; query: {}; body: undefined; answer: {
    [field: string]: any;
  } };
  /** How much has come */
  'GET /feps/uploads/{app}/{id}': { path: { app: string; id: string }; query: {}; body: undefined; answer: {
    [field: string]: any;
  } };
  /** Sends the next part */
  'PATCH /feps/uploads/{app}/{id}': { path: { app: string; id: string }; query: { offset?: number }; body: unknown; answer: {
    [field: string]: any;
  } };
  /** Makes the whole upload a file */
  'POST /feps/uploads/{app}/{id}/finish': { path: { app: string; id: string }; query: {}; body: undefined; answer: {
    [field: string]: any;
  } };
  /** A file's bytes, whole or in parts */
  'GET /feps/userfiles/{app}/{user}/{path}': { path: { app: string; user: string; path: string }; query: { fileToken?: string; download?: string }; body: undefined; answer: unknown };
  /** The calling app's webhooks, without their addresses */
  'GET /feps/webhooks': { path: {}; query: {}; body: undefined; answer: Array<Webhook> };
  /** Removes a webhook, with what of it still waits */
  'DELETE /feps/webhooks/{name}': { path: { name: string }; query: {}; body: undefined; answer: Success };
  /** Makes a webhook and says its address, this once; or says anew what it does */
  'PUT /feps/webhooks/{name}': { path: { name: string }; query: {}; body: WebhookWish; answer: Webhook };
  /** Gives a webhook another address, and says it this once */
  'POST /feps/webhooks/{name}/rotate': { path: { name: string }; query: {}; body: undefined; answer: Webhook };
  /** Writes a new record */
  'POST /feps/write/{table}': { path: { table: string }; query: {}; body: {
    [field: string]: any;
  } | {
    _entity?: {
      [field: string]: any;
    };
    owner_id?: string;
    permission_name?: string;
    replaceAllFields?: boolean;
    upsert?: boolean;
    [field: string]: any;
  }; answer: Written };
  /** Writes a record under an id of one's own */
  'POST /feps/write/{table}/{id}': { path: { table: string; id: string }; query: {}; body: {
    [field: string]: any;
  } | {
    _entity?: {
      [field: string]: any;
    };
    owner_id?: string;
    permission_name?: string;
    replaceAllFields?: boolean;
    upsert?: boolean;
    [field: string]: any;
  }; answer: Written };
  /** Somebody calls; 202 once the delivery is durable */
  'POST /hooks/{secret}': { path: { secret: string }; query: {}; body: unknown; answer: {
    id?: string;
    success?: boolean;
  } };
  /** Exchanges a one-time app password for an app token */
  'POST /oauth/token': { path: {}; query: {}; body: Exchange; answer: Token };
  /** The same as a feed for readers */
  'GET /public/atom': { path: {}; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** The same as a feed for readers */
  'GET /public/atom/{user}': { path: { user: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** The same as a feed for readers */
  'GET /public/atom/{user}/{app}': { path: { user: string; app: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** What is shared with everyone, the newest first */
  'GET /public/query': { path: {}; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string; q?: string; count?: number; skip?: number }; body: undefined; answer: PublicAnswer };
  /** The same, asked in a body */
  'POST /public/query': { path: {}; query: {}; body: PublicQuery; answer: PublicAnswer };
  /** What is shared with everyone, the newest first */
  'GET /public/query/{user}': { path: { user: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string; q?: string; count?: number; skip?: number }; body: undefined; answer: PublicAnswer };
  /** The same, asked in a body */
  'POST /public/query/{user}': { path: { user: string }; query: {}; body: PublicQuery; answer: PublicAnswer };
  /** What is shared with everyone, the newest first */
  'GET /public/query/{user}/{app}': { path: { user: string; app: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string; q?: string; count?: number; skip?: number }; body: undefined; answer: PublicAnswer };
  /** The same, asked in a body */
  'POST /public/query/{user}/{app}': { path: { user: string; app: string }; query: {}; body: PublicQuery; answer: PublicAnswer };
  /** A shared record: @user/app_table/id, or its public name */
  'GET /public/readobject/{path}': { path: { path: string }; query: { code?: string }; body: undefined; answer: PublicRecord };
  /** The same as a feed for readers */
  'GET /public/rss': { path: {}; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** The same as a feed for readers */
  'GET /public/rss/{user}': { path: { user: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** The same as a feed for readers */
  'GET /public/rss/{user}/{app}': { path: { user: string; app: string }; query: { app?: string; table?: string; owner?: string; pid?: string; feed?: string; code?: string }; body: undefined; answer: unknown };
  /** A shared file */
  'GET /public/userfiles/{app}/{user}/{path}': { path: { app: string; user: string; path: string }; query: { code?: string; download?: string }; body: undefined; answer: unknown };
}
