//! Who is signed in: the owner's browsers and the programs the owner let in.
//!
//! Sessions are few, so all of them are held in memory beside their rows; every look-up is in memory and every change
//! is durable before it counts. Losing a device is answered by ending its session: every token that stands for it,
//! on the server's origin and on every app's, is worthless from that moment.
//!
//! When a session was last used is known to the minute and written down to the hour, so that looking costs no writes.
//!
//! A guest is a program or page that was signed in at the provider this server came from, and is known by the digest of the
//! token it shows; it uses one app's data for an hour at most, and nothing is ever given out to it.
//!
//! Architecture invariant: the owner's cookie never reaches an app's origin. An app's origin gets a session token of
//! its own by way of a code that is good once, for seconds, for that app.

mod store;
pub mod ticket;
pub mod token;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use export_format::{AppId, Digest};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::watch;

pub(crate) use store::admit_guest;
pub use store::end_app;
use ticket::{Refused, Ticket};
use token::{Key, Purpose, Token};

use crate::events::{self, What};
use crate::store::Home;

/// How long a session lasts without being renewed: 60 days.
const LIFETIME: i64 = 60 * 24 * 60 * 60 * 1000;
/// How long a code from the server's origin to an app's is good.
const CODE_LIFETIME: i64 = 60 * 1000;
/// How long a one-time app password is good.
const PASSWORD_LIFETIME: i64 = 24 * 60 * 60 * 1000;
/// For how long a guest is let in at most.
const GUEST_LIFETIME: i64 = 60 * 60 * 1000;
/// How long an address with a file token is good.
const FILES_LIFETIME: i64 = 60 * 60 * 1000;
/// How exactly it is known in memory when a session was last used.
const SEEN_EVERY: i64 = 60 * 1000;
/// How far the written moment may be behind that.
const NOTED_EVERY: i64 = 60 * 60 * 1000;
/// How many codes may be on their way at once.
const CODES_LIMIT: usize = 64;

/// One browser or program that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: String,
    /// What was let in.
    pub kind: Kind,
    /// The browser or program, in words.
    pub device: String,
    /// Since when, Unix milliseconds.
    pub created: i64,
    /// When it was last used, Unix milliseconds, to the minute.
    pub seen: i64,
    /// Until when, Unix milliseconds.
    pub expires: i64,
}

/// What a session lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The owner's browser.
    Owner,
    /// A program that uses one app's data.
    App(AppId),
    /// The same for a while, with a token of the provider this server came from.
    Guest(AppId),
}

/// Why nobody could be signed in or out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ticket does not open this server.
    #[error(transparent)]
    Ticket(#[from] Refused),
    /// The home could not be written.
    #[error("the sessions could not be written")]
    Store(#[from] crate::store::Error),
    /// SQLite failed.
    #[error("the sessions could not be reached")]
    Database(#[from] rusqlite::Error),
}

struct Code {
    app: AppId,
    session: String,
    expires: i64,
}

struct Known {
    key: Key,
    live: HashMap<String, Live>,
    turns: HashMap<AppId, u64>,
}

/// A session, and what is written down of its use.
struct Live {
    session: Session,
    noted: i64,
}

/// All sessions of one server. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    home: Home,
    known: Arc<RwLock<Known>>,
    codes: Arc<Mutex<HashMap<String, Code>>>,
    revised: Arc<watch::Sender<()>>,
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}

fn digest(secret: &str) -> String {
    Digest::of(secret.as_bytes()).to_string()
}

/// Nothing where nobody has ever signed in, for then there is no key yet.
fn read(db: &Connection) -> rusqlite::Result<Option<Known>> {
    let Some(key) = store::key(db)? else { return Ok(None) };
    let live = store::list(db)?.into_iter().map(|session| (session.id.clone(), session.into())).collect();
    Ok(Some(Known { key: Key::new(key), live, turns: store::turns(db)? }))
}

/// The tokens that each live session has for one of these apps, as [`Sessions::token`] would give them out; the session used
/// last first.
pub(crate) fn app_tokens(
    db: &Connection,
    installed: &[AppId],
    now: i64,
) -> rusqlite::Result<Vec<(String, AppId, Session)>> {
    let Some(known) = read(db)? else { return Ok(Vec::new()) };
    let mut live: Vec<Session> = known.live.values().map(|live| live.session.clone()).collect();
    live.retain(|session| session.expires > now);
    live.sort_by(|a, b| (b.seen, &b.id).cmp(&(a.seen, &a.id)));
    let mut all = Vec::new();
    for session in live {
        let may_use = |app: &&AppId| match &session.kind {
            Kind::Owner => true,
            Kind::App(own) => own == *app,
            // Theirs is a token of another server's, and good for an hour; it is not handed on once more.
            Kind::Guest(_) => false,
        };
        for app in installed.iter().filter(may_use) {
            all.push((known.token(&session, Purpose::App, Some(app), now), app.clone(), session.clone()));
        }
    }
    Ok(all)
}

fn begin(db: &Connection) -> rusqlite::Result<Option<Known>> {
    store::make_key(db, rand::random())?;
    read(db)
}

/// Reads all sessions; it is written only where there is no key yet, for a write is a trip to the object store.
async fn known(home: &Home) -> Result<Known, Error> {
    let found = match home.read(|db| read(db).map_err(Error::from)).await? {
        Some(known) => Some(known),
        None => home.write(|db| begin(db).map_err(Error::from)).await?,
    };
    found.ok_or(Error::Database(rusqlite::Error::QueryReturnedNoRows))
}

impl Sessions {
    /// Reads all sessions.
    pub async fn load(home: Home) -> Result<Self, Error> {
        let known = known(&home).await?;
        let revised = Arc::new(watch::channel(()).0);
        Ok(Self { home, known: Arc::new(RwLock::new(known)), codes: Arc::default(), revised })
    }

    /// Reads all sessions again, after the home's content was exchanged or an app was removed.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut fresh = known(&self.home).await?;
        {
            let mut known = self.known.write();
            for (id, live) in &mut fresh.live {
                live.session.seen = live.session.seen.max(known.live.get(id).map_or(0, |known| known.session.seen));
            }
            *known = fresh;
        }
        // A code on its way may be for an app that is gone; its bearer is sent for another.
        self.codes.lock().clear();
        self.revised.send_replace(());
        Ok(())
    }

    /// Removes what is over. Until then it is worth nothing, but lies there.
    pub async fn tidy(&self, now: i64) -> Result<(), Error> {
        self.home.write(move |db| store::forget_expired(db, now).map_err(Error::from)).await?;
        self.known.write().live.retain(|_, live| live.session.expires > now);
        Ok(())
    }

    /// Begins a session of the owner by a ticket that was checked, and uses the ticket up.
    pub async fn enter(&self, ticket: &Ticket, device: String, now: i64) -> Result<Session, Error> {
        let session = Session::new(Kind::Owner, device, now);
        let (nonce, expires, row) = (ticket.nonce.clone(), ticket.exp_ms, session.clone());
        self.home
            .write(move |db| {
                store::forget_expired(db, now)?;
                if !store::burn(db, &nonce, expires)? {
                    return Err(Error::Ticket(Refused::Used));
                }
                let text = format!("You signed in on your server with {}.", row.device);
                events::note(db, now, What::SignIn, &text, &[])?;
                store::put(db, &row).map_err(Error::from)
            })
            .await?;
        self.known.write().live.insert(session.id.clone(), session.clone().into());
        Ok(session)
    }

    /// Makes a password a program can use once to be let in to one app's data.
    pub async fn make_password(&self, app: AppId, now: i64) -> Result<String, Error> {
        let password = random();
        let digest = digest(&password);
        let write = move |db: &Connection| store::put_password(db, &digest, &app, now + PASSWORD_LIFETIME);
        self.home.write(move |db| write(db).map_err(Error::from)).await?;
        Ok(password)
    }

    /// Begins a program's session by a one-time password; `None` when that is not good (any more).
    pub async fn admit(&self, app: AppId, password: &str, device: String, now: i64) -> Result<Option<Session>, Error> {
        let session = Session::new(Kind::App(app.clone()), device, now);
        let (digest, row) = (digest(password), session.clone());
        let good = self
            .home
            .write(move |db| {
                let good = store::take_password(db, &digest, &app, now)?;
                if good {
                    let text = format!("A program signed in with what {app} may do.");
                    events::note(db, now, What::SignIn, &text, &[("app", app.as_str())])?;
                    store::put(db, &row)?;
                }
                Ok::<_, Error>(good)
            })
            .await?;
        if good {
            self.known.write().live.insert(session.id.clone(), session.clone().into());
        }
        Ok(good.then_some(session))
    }

    /// Ends a session.
    pub async fn end(&self, id: &str, now: i64) -> Result<(), Error> {
        let gone = id.to_owned();
        let device = self.known.read().live.get(id).map(|live| live.session.device.clone());
        self.home
            .write(move |db| {
                if store::remove(db, &gone)? {
                    let device = device.as_deref().unwrap_or("A browser");
                    events::note(db, now, What::SignOut, &format!("{device} was signed out of your server."), &[])?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.known.write().live.remove(id);
        self.revised.send_replace(());
        Ok(())
    }

    /// Ends every session but one.
    pub async fn end_others(&self, keep: &str, now: i64) -> Result<(), Error> {
        let kept = keep.to_owned();
        self.home
            .write(move |db| {
                if store::remove_others(db, &kept)? {
                    events::note(db, now, What::SignOut, "All others were signed out of your server.", &[])?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.known.write().live.retain(|id, _| id == keep);
        self.revised.send_replace(());
        Ok(())
    }

    /// Tells whenever something that was let in may no longer be.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<()> {
        self.revised.subscribe()
    }

    /// Whether a token that was opened before is still worth something.
    #[must_use]
    pub fn holds(&self, token: &Token, now: i64) -> bool {
        let known = self.known.read();
        let lives = known.live.get(&token.session).is_some_and(|live| now < live.session.expires);
        lives && now < token.expires && token.app.as_ref().is_none_or(|app| token.turn == known.turn(app))
    }

    /// All sessions that live, the last used first.
    #[must_use]
    pub fn list(&self, now: i64) -> Vec<Session> {
        let mut all: Vec<_> =
            self.known.read().live.values().map(|live| &live.session).filter(|s| s.expires > now).cloned().collect();
        all.sort_by_key(|session| std::cmp::Reverse((session.seen, session.created)));
        all
    }

    /// The session behind a token of one purpose, with what the token says.
    #[must_use]
    pub fn behind(&self, text: &str, purpose: Purpose, now: i64) -> Option<(Session, Token)> {
        let known = self.known.read();
        let token = match Token::open(text, purpose, &known.key, now) {
            Some(token) => token,
            None if purpose == Purpose::App => known.guest(text)?,
            None => return None,
        };
        let session =
            known.live.get(&token.session).map(|live| &live.session).filter(|session| session.expires > now)?;
        let fits = match (&session.kind, purpose) {
            (Kind::Owner, _) => true,
            (Kind::App(app), Purpose::App | Purpose::Files | Purpose::ServerFiles) => token.app.as_ref() == Some(app),
            (Kind::App(_), Purpose::Owner | Purpose::AppOrigin) => false,
            (Kind::Guest(app), Purpose::App) => token.app.as_ref() == Some(app),
            (Kind::Guest(_), _) => false,
        };
        if !fits || token.app.as_ref().is_some_and(|app| token.turn != known.turn(app)) {
            return None;
        }
        let session = session.clone();
        drop(known);
        if now >= session.seen + SEEN_EVERY {
            self.note_seen(&session.id, now);
        }
        Some((session, token))
    }

    /// Knows that a session was used, and once an hour writes it down beside whatever it was used for.
    fn note_seen(&self, id: &str, now: i64) {
        let mut known = self.known.write();
        let Some(live) = known.live.get_mut(id) else { return };
        live.session.seen = live.session.seen.max(now);
        if now < live.noted + NOTED_EVERY {
            return;
        }
        live.noted = now;
        let (home, id) = (self.home.clone(), id.to_owned());
        tokio::spawn(async move {
            let written = home.write(move |db| store::note_seen(db, &id, now).map_err(Error::from)).await;
            if let Err(error) = written {
                tracing::debug!(%error, "the use of a session was not written down");
            }
        });
    }

    /// A token for a session. A guest has its own, and none is made for it.
    #[must_use]
    pub fn token(&self, session: &Session, purpose: Purpose, app: Option<&AppId>, now: i64) -> String {
        self.known.read().token(session, purpose, app, now)
    }

    /// The key by which this server knows again what it gave out.
    pub(crate) fn key(&self) -> Key {
        self.known.read().key.clone()
    }

    /// A code that carries the owner from the server's origin to one app's.
    #[must_use]
    pub fn make_code(&self, session: &Session, app: &AppId, now: i64) -> String {
        let code = random();
        let mut codes = self.codes.lock();
        codes.retain(|_, code| code.expires > now);
        if codes.len() >= CODES_LIMIT {
            codes.clear();
        }
        let expires = now + CODE_LIFETIME;
        codes.insert(digest(&code), Code { app: app.clone(), session: session.id.clone(), expires });
        code
    }

    /// Uses a code up; the session it came from, if it was good for this app.
    #[must_use]
    pub fn take_code(&self, code: &str, app: &AppId, now: i64) -> Option<Session> {
        let code = self.codes.lock().remove(&digest(code))?;
        let session = self.known.read().live.get(&code.session).map(|live| live.session.clone())?;
        (code.app == *app && now < code.expires && now < session.expires).then_some(session)
    }
}

impl Known {
    fn token(&self, session: &Session, purpose: Purpose, app: Option<&AppId>, now: i64) -> String {
        let expires = match purpose {
            Purpose::Files | Purpose::ServerFiles => session.expires.min(now + FILES_LIFETIME),
            _ => session.expires,
        };
        let turn = app.map_or(0, |app| self.turn(app));
        Token { purpose, app: app.cloned(), turn, session: session.id.clone(), expires }.sealed(&self.key)
    }

    /// What the token of a guest says, if this is one.
    fn guest(&self, text: &str) -> Option<Token> {
        let session = &self.live.get(&store::guest_id(&Digest::of(text.as_bytes())))?.session;
        let Kind::Guest(app) = &session.kind else { return None };
        let (app, turn) = (Some(app.clone()), self.turn(app));
        Some(Token { purpose: Purpose::App, app, turn, session: session.id.clone(), expires: session.expires })
    }

    fn turn(&self, app: &AppId) -> u64 {
        self.turns.get(app).copied().unwrap_or_default()
    }
}

impl From<Session> for Live {
    fn from(session: Session) -> Self {
        Self { noted: session.seen, session }
    }
}

impl Session {
    fn new(kind: Kind, device: String, now: i64) -> Self {
        let id = random();
        let device = device.chars().filter(|c| !c.is_control()).take(120).collect();
        Self { id, kind, device, created: now, seen: now, expires: now + LIFETIME }
    }
}
