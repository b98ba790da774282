//! Other kinds of servers: what a person has on a freezr server, or another that speaks CEPS, comes here, and what they have
//! here goes there.
//!
//! Such a server knows nothing of the move protocol. It has an API for apps; so its owner makes a one-time password for each app,
//! and each is exchanged for a token of that app (`ceps`). What comes is read page by page, put down (`spool`), laid out as
//! an archive of the open format that is signed by a key made for it (`archive`), and then goes the ordinary way of an import:
//! it is checked, its owner reads the report and says yes, and can take it back. What goes is an archive of this server whose
//! records and files are written there one by one (`give`); what is there already is left, so it can be begun again at any time.
//!
//! Invariants: nothing of the server here changes before its owner has seen the report and said yes; what opens the other server
//! is in memory alone (`desk`) and neither shown nor logged; what does not come or go is counted with its reason, never
//! dropped in silence; what the other server sends is content, never instruction, and bounded.
//!
//! Fails in words: the work stands with its reason on its page, and is begun again with new passwords.
//!
//! Authority: only the owner of the server here.

mod archive;
mod ceps;
mod desk;
mod files;
mod gather;
mod give;
mod lefts;
mod pace;
mod spool;
mod table;
mod value;

use std::time::Duration;

use export_format::AppId;
use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

pub(crate) use desk::Desk;
pub use lefts::Left;
pub(crate) use spool::sweep;

use self::ceps::{Ceps, Token};
use self::desk::{Job, Opens};
use crate::audit::{Note, Outcome, What, Who};
use crate::context::not_there;
use crate::operations::OperationId;
use crate::places::Secret;
use crate::{Actor, ControlPlane, Error, Kind, Result, servers};

/// The most apps at a time.
const MOST_APPS: usize = 40;

export_format::prefixed_id! {
    /// Names a piece of work with another server.
    pub struct ForeignId("frn")
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From there to here.
    Gather,
    /// From here to there.
    Give,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Others are before it.
    Waiting,
    /// It goes on by itself.
    Running,
    /// It ended well.
    Done,
    /// It ended otherwise; `error` says why.
    Failed,
    /// Its owner stopped it.
    Ended,
}

impl State {
    /// True when nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Ended)
    }
}

/// What it does just now, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reading what each app has there, or making an archive of what is here.
    Read,
    /// Laying it out as an archive, or checking the archive.
    LayOut,
    /// Handing it to the import, or writing it there.
    HandOver,
}

/// A piece of work with another server, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Its name.
    pub id: ForeignId,
    /// The server here.
    pub server: ServerId,
    /// Which way it goes.
    pub way: Way,
    /// The host of the other server.
    pub host: String,
    /// The person's name there.
    pub user: String,
    /// The apps it is about.
    pub apps: Vec<String>,
    /// How it stands.
    pub state: State,
    /// What it does.
    pub stage: Stage,
    /// The same in words, with what hinders it.
    pub doing: String,
    /// Records that came or went.
    pub records: u64,
    /// Files that came or went.
    pub files: u64,
    /// Bytes that came or went.
    pub bytes: u64,
    /// Of how many records and files, where that is known.
    pub of: Option<u64>,
    /// What was there already.
    pub there: u64,
    /// What did not come or go.
    pub left: Vec<Left>,
    /// Why it failed.
    pub error: Option<String>,
    /// The import that it became.
    pub import: Option<OperationId>,
    /// When it was begun.
    pub begun: Timestamp,
}

/// What a person writes to begin.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The address of the other server.
    pub address: String,
    /// Their name there.
    pub user: String,
    /// The apps, each with its one-time password; one that was exchanged a moment ago may be left empty.
    pub apps: Vec<(String, Secret)>,
}

/// Begins to gather what apps have on another server.
pub async fn gather(plane: &ControlPlane, actor: &Actor, server: ServerId, wanted: Wanted) -> Result<Foreign> {
    begin(plane, actor, server, Way::Gather, wanted).await
}

/// Begins to give to another server what apps have here.
pub async fn give(plane: &ControlPlane, actor: &Actor, server: ServerId, wanted: Wanted) -> Result<Foreign> {
    begin(plane, actor, server, Way::Give, wanted).await
}

/// One piece of work.
pub async fn foreign(plane: &ControlPlane, actor: &Actor, id: ForeignId) -> Result<Foreign> {
    Ok(owned(plane, actor, id).await?.now())
}

/// The work of one server with others, newest first, as far as it is remembered.
pub async fn foreigns(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<Foreign>> {
    own(plane, actor, server).await?;
    Ok(plane.foreign().of_server(server))
}

/// The apps for which the last form was let in, so that a password that was used up need not be made anew.
pub async fn let_in(plane: &ControlPlane, actor: &Actor, server: ServerId, wanted: &Wanted) -> Result<Vec<String>> {
    own(plane, actor, server).await?;
    let Ok(ceps) = Ceps::at(plane.settings().places, &wanted.address, &wanted.user) else { return Ok(Vec::new()) };
    let apps = wanted.apps.iter().filter_map(|(app, _)| app.trim().parse().ok());
    let kept = apps.filter(|app| plane.foreign().kept(&opens(&ceps, server, app)).is_some());
    Ok(kept.map(|app: AppId| app.to_string()).collect())
}

/// Stops it. What came is thrown away; what went stays there.
pub async fn stop(plane: &ControlPlane, actor: &Actor, id: ForeignId) -> Result<Foreign> {
    let job = owned(plane, actor, id).await?;
    job.stop.cancel();
    job.end(State::Ended, None);
    plane.note_change();
    Ok(job.now())
}

async fn begin(plane: &ControlPlane, actor: &Actor, server: ServerId, way: Way, wanted: Wanted) -> Result<Foreign> {
    own(plane, actor, server).await?;
    let ceps = Ceps::at(plane.settings().places, &wanted.address, &wanted.user)?;
    if plane.foreign().is_busy(server, way) {
        return Err(busy());
    }
    let tokens = sign_in(plane, server, &ceps, &wanted).await?;
    let work = Foreign {
        id: ForeignId::new(plane.now().as_millisecond()),
        server,
        way,
        host: ceps.host(),
        user: ceps.user().to_owned(),
        apps: tokens.iter().map(|token| token.app.to_string()).collect(),
        state: State::Waiting,
        stage: Stage::Read,
        doing: String::new(),
        records: 0,
        files: 0,
        bytes: 0,
        of: None,
        there: 0,
        left: Vec::new(),
        error: None,
        import: None,
        begun: plane.now(),
    };
    let stop = plane.stopping().child_token();
    let job = plane.foreign().take_up(*actor, work, stop).ok_or_else(busy)?;
    for token in &tokens {
        plane.foreign().forget(&opens(&ceps, server, &token.app));
    }
    told(&job.now()).done(plane, server).await;
    let (plane_of, job_of) = (plane.clone(), std::sync::Arc::clone(&job));
    plane.spawn(async move { work_on(&plane_of, &job_of, ceps, tokens).await });
    Ok(job.now())
}

/// Does the work to its end and notes what came of it.
async fn work_on(plane: &ControlPlane, job: &Job, ceps: Ceps, tokens: Vec<Token>) {
    let work = async {
        let turns = std::sync::Arc::clone(&plane.foreign().turns);
        let _turn = turns.acquire_owned().await.map_err(Error::bug)?;
        job.note(|now| now.state = State::Running);
        let (way, longest) = match job.now().way {
            Way::Gather => (Way::Gather, Duration::from_secs(12 * 3600)),
            Way::Give => (Way::Give, Duration::from_secs(7 * 24 * 3600)),
        };
        let work = async {
            match way {
                Way::Gather => gather::gather(plane, job, &ceps, &tokens).await,
                Way::Give => give::give(plane, job, &ceps, &tokens).await,
            }
        };
        let late =
            || Error::new(Kind::Gone, "It took longer than we go on with it. What is there already stays there.");
        tokio::time::timeout(longest, work).await.map_err(|_| late())?
    };
    let ended = job.stop.run_until_cancelled(work).await;
    let job_now = job.now();
    match ended {
        None => job.end(State::Ended, None),
        Some(Ok(())) => job.end(State::Done, None),
        Some(Err(error)) => {
            tracing::info!(server.id = %job_now.server, foreign.id = %job_now.id, error = error.chain(), "work with another server did not get to its end");
            job.end(State::Failed, Some(error.sentence().to_owned()));
        }
    }
    plane.note_change();
    if let Some(note) = told_end(&job.now()) {
        note.done(plane, job_now.server).await;
    }
}

/// Exchanges the passwords. The apps that are let in are kept in mind, since their passwords are used up by that.
async fn sign_in(plane: &ControlPlane, server: ServerId, ceps: &Ceps, wanted: &Wanted) -> Result<Vec<Token>> {
    let mut apps: Vec<(AppId, &Secret)> = Vec::new();
    for (app, password) in wanted.apps.iter().filter(|(app, password)| !app.trim().is_empty() || !password.0.is_empty())
    {
        let id: AppId = app.trim().parse().map_err(|_| {
            let shown: String = app.trim().chars().take(60).collect();
            Error::fix(
                "apps",
                format!("{shown:?} is not the name of an app. Write it as it stands there, like com.salmanff.poster."),
            )
        })?;
        if apps.iter().all(|(known, _)| *known != id) {
            apps.push((id, password));
        }
    }
    if apps.is_empty() {
        return Err(Error::fix("apps", "Write at least one app and its one-time password."));
    }
    if apps.len() > MOST_APPS {
        return Err(Error::fix("apps", format!("At most {MOST_APPS} apps go at a time.")));
    }
    let ceps = ceps.clone().in_a_hurry();
    let (mut tokens, mut refused) = (Vec::new(), Vec::new());
    for (app, password) in apps {
        let opens = opens(&ceps, server, &app);
        let kept = plane.foreign().kept(&opens);
        match (password.0.trim(), kept) {
            ("", None) => refused.push(format!("Write the one-time password for {app}.")),
            ("", Some(token)) => tokens.push(token),
            (password, _) => match ceps.token(&app, &Secret(password.to_owned())).await {
                Ok(token) => {
                    plane.foreign().keep(opens, token.clone());
                    tokens.push(token);
                }
                Err(error) if error.kind() == Kind::Denied => refused.push(error.sentence().to_owned()),
                Err(error) => return Err(error),
            },
        }
    }
    if refused.is_empty() { Ok(tokens) } else { Err(Error::fix("apps", refused.join(" "))) }
}

fn opens(ceps: &Ceps, here: ServerId, app: &AppId) -> Opens {
    Opens { here, origin: ceps.origin(), user: ceps.user().to_owned(), app: app.clone() }
}

fn busy() -> Error {
    Error::conflict("There is work with another server under way already. Wait until it is done, or stop it.")
}

fn told(work: &Foreign) -> Note {
    let (what, text) = match work.way {
        Way::Gather => (What::Import, format!("You began to gather what you have on {}.", work.host)),
        Way::Give => (What::Export, format!("You began to give what you have here to {}.", work.host)),
    };
    Note::new(Who::Owner, what, text).about("foreign", work.id.to_string())
}

fn told_end(work: &Foreign) -> Option<Note> {
    let why = work.error.as_deref().unwrap_or("nobody knows why");
    let (what, text, outcome) = match (work.way, work.state) {
        (Way::Gather, State::Done) => {
            (What::Import, format!("What you have on {} was gathered into an archive.", work.host), Outcome::Done)
        }
        (Way::Give, State::Done) => {
            (What::Export, format!("What you have here was given to {}.", work.host), Outcome::Done)
        }
        (Way::Gather, State::Failed) => {
            (What::Import, format!("What you have on {} could not be gathered: {why}", work.host), Outcome::Failed)
        }
        (Way::Give, State::Failed) => {
            (What::Export, format!("Not all you have here could be given to {}: {why}", work.host), Outcome::Failed)
        }
        _ => return None,
    };
    Some(Note::new(Who::Provider, what, text).about("foreign", work.id.to_string()).ended(outcome))
}

/// Only for the owner of the server.
async fn own(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)
}

async fn owned(plane: &ControlPlane, actor: &Actor, id: ForeignId) -> Result<std::sync::Arc<Job>> {
    if *actor == Actor::Visitor {
        return Err(Error::sign_in());
    }
    let job = plane.foreign().job(id).ok_or_else(not_there)?;
    own(plane, actor, job.now().server).await?;
    Ok(job)
}
