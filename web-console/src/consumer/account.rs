//! The account: what we call you, your password, the devices that are signed in.

use axum::extract::{Path, Query};
use control_plane::accounts;
use control_plane::{Error, Kind};
use serde::Deserialize;

use super::{base, own_servers};
use crate::page::{self, Answer, Field};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/account.html")]
struct AccountPage {
    shell: Shell,
    email: String,
    since: show::Moment,
    operator: bool,
    name: Field,
    current: Field,
    fresh: Field,
    sessions: Vec<Device>,
    /// The page of what happened, where there is a server for it to happen on.
    activity: Option<String>,
}

struct Device {
    id: String,
    device: &'static str,
    this: bool,
    since: show::Moment,
    seen: show::Moment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Name {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Passwords {
    current: String,
    fresh: String,
}

/// `GET /account`.
pub(super) async fn show(visit: Visit, Query(done): Query<Done>) -> Answer {
    let said = match done.done.as_str() {
        "name" => Some("The name is changed."),
        "password" => Some("The password is changed, and all other devices are signed out."),
        "session" => Some("That device is signed out."),
        "sessions" => Some("All other devices are signed out."),
        _ => None,
    };
    account_page(&visit, None, said, None).await
}

async fn account_page(visit: &Visit, name: Option<String>, said: Option<&str>, error: Option<Error>) -> Answer {
    let plane = visit.console.plane();
    let id = visit.actor.account().ok_or_else(|| Refusal::of(Error::sign_in()))?;
    let account = accounts::account(plane, &visit.actor, id).await?;
    let this = visit.session.as_deref().map(accounts::session_id);
    let sessions = accounts::sessions(plane, &visit.actor).await?;
    let device = |session: accounts::SessionView| Device {
        device: "A browser",
        this: this.as_ref() == Some(&session.id),
        since: show::both(session.created),
        seen: show::both(session.seen),
        id: session.id,
    };
    let servers = own_servers(visit).await?;
    let mut shell = Shell::of(visit, "account", servers.first()).await?;
    if let Some(said) = said {
        shell = shell.saying(said, None);
    }
    let error = error.as_ref();
    let page = AccountPage {
        shell,
        email: account.email.as_str().to_owned(),
        since: show::day(account.created),
        operator: visit.actor.is_operator(),
        name: Field::judged(name.unwrap_or(account.display_name), "name", error),
        current: Field::judged("", "current", error),
        fresh: Field::judged("", "fresh", error),
        sessions: sessions.into_iter().map(device).collect(),
        activity: servers.first().map(|server| format!("{}/activity", base(server))),
    };
    page::show_form(error, &page)
}

/// `POST /account/name`.
pub(super) async fn rename(visit: Visit, Posted(form): Posted<Name>) -> Answer {
    match accounts::rename(visit.console.plane(), &visit.actor, &form.name).await {
        Ok(()) => page::on_to("/account?done=name"),
        Err(error) if error.kind() == Kind::Fix => {
            account_page(&visit, Some(form.name), None, Some(error.about("name"))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /account/password`.
pub(super) async fn change_password(visit: Visit, Posted(form): Posted<Passwords>) -> Answer {
    let changed = accounts::change_password(
        visit.console.plane(),
        &visit.actor,
        &form.current,
        &form.fresh,
        visit.session.as_deref(),
    )
    .await;
    match changed {
        Ok(()) => page::on_to("/account?done=password"),
        Err(error) if error.field().is_some() => {
            let error = if error.field() == Some("password") { error.about("fresh") } else { error };
            account_page(&visit, None, None, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /account/sessions/{session}/end`.
pub(super) async fn end_session(visit: Visit, Path(session): Path<String>, _: Posted<Nothing>) -> Answer {
    accounts::end_session(visit.console.plane(), &visit.actor, &session).await?;
    page::on_to("/account?done=session")
}

/// `POST /account/sessions/end-others`.
pub(super) async fn end_others(visit: Visit, _: Posted<Nothing>) -> Answer {
    let this = visit.session.as_deref().ok_or_else(Error::sign_in)?;
    accounts::end_other_sessions(visit.console.plane(), &visit.actor, this).await?;
    page::on_to("/account?done=sessions")
}
