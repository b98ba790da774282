//! The owner's page about others: whom they know, who is blocked, and what is shared with whom.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::enter::sign_in;
use super::plain::own;
use super::shared::told;
use crate::ceps::auth::{self, Owner};
use crate::documents;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing::{self, Giver, Grantee, Person};

/// How many shares the page lists.
const MOST: usize = 200;
/// The page.
const PAGE: &str = "/.freehold/people";

struct Known {
    id: String,
    address: String,
    blocked: bool,
    moved: bool,
}

struct Share {
    title: String,
    app: String,
    with: String,
    counts: bool,
    table: String,
    id: String,
    grantee: String,
    giver: String,
    permission: String,
}

#[derive(Template)]
#[template(path = "people.html")]
struct People<'a> {
    name: &'a str,
    domain: &'a str,
    me: String,
    contacts: Vec<Known>,
    shares: Vec<Share>,
    is_cut: bool,
}

/// Shows it.
pub(super) async fn page(State(server): State<Server>, parts: Parts) -> Response {
    if auth::owner(&server, &parts.headers).is_none() {
        let text = "This page is for the owner of this server.".into();
        return sign_in(&server, StatusCode::UNAUTHORIZED, text, Some(PAGE));
    }
    let whose = server.clone();
    let read = server.home.read(move |db| {
        let contacts = sharing::contacts(db)?.into_iter().map(|contact| Known {
            id: contact.id,
            address: contact.person.to_string(),
            blocked: contact.blocked,
            moved: !contact.former.is_empty(),
        });
        let contacts: Vec<_> = contacts.collect();
        let mut shares = Vec::new();
        for share in sharing::listed(db, MOST + 1)? {
            let Some(row) = documents::get(db, &share.table, &share.id)? else { continue };
            shares.push(Share {
                title: told(&row, &row.fields()).title,
                app: whose.called(share.table.app()),
                with: with(&share.grantee),
                counts: whose.apps.counts(&share.giver.app, &share.giver.permission),
                table: share.table.to_string(),
                id: share.id,
                grantee: share.grantee.to_string(),
                giver: share.giver.app.to_string(),
                permission: share.giver.permission,
            });
        }
        Ok::<_, Problem>((contacts, shares))
    });
    let (contacts, mut shares) = match read.await {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    let is_cut = shares.len() > MOST;
    shares.truncate(MOST);
    let site = &server.launch.site;
    let me = site.person().to_string();
    own(StatusCode::OK, &People { name: &site.name, domain: &site.domain, me, contacts, shares, is_cut })
}

fn with(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Public => "everyone".into(),
        Grantee::PrivateLink => "whoever has the link".into(),
        Grantee::PrivateFeed(feed) => format!("whoever has the link of the feed “{feed}”"),
        Grantee::Group(group) => format!("the group “{group}”"),
        Grantee::Person(person) => person.to_string(),
    }
}

/// Whom to add.
#[derive(Deserialize)]
pub(super) struct Added {
    address: String,
}

/// Adds a contact.
pub(super) async fn add(State(server): State<Server>, _: Owner, Form(added): Form<Added>) -> Result<Response, Problem> {
    server.writable()?;
    let person: Person = added.address.trim().parse().map_err(|_| {
        Problem::bad_request("Write the person's address as name@server, for instance anna@anna.example.org.")
    })?;
    if person == server.launch.site.person() {
        return Err(Problem::bad_request("That is your own address."));
    }
    let now = now();
    server.quota.take(&server.home, 1_024, now).await?;
    server.home.write(move |db| Ok::<_, Problem>(sharing::add(db, &person, now)?)).await?;
    Ok(Redirect::to(PAGE).into_response())
}

/// What to do with a contact.
#[derive(Deserialize)]
pub(super) struct Changed {
    id: String,
    act: String,
}

/// Blocks a contact, lets them again, or forgets them.
pub(super) async fn change(
    State(server): State<Server>,
    _: Owner,
    Form(changed): Form<Changed>,
) -> Result<Response, Problem> {
    server.writable()?;
    let now = now();
    server
        .home
        .write(move |db| {
            match changed.act.as_str() {
                "block" => sharing::set_blocked(db, &changed.id, true, now)?,
                "unblock" => sharing::set_blocked(db, &changed.id, false, now)?,
                "remove" => sharing::remove(db, &changed.id)?,
                _ => return Err(Problem::bad_request("There is no such thing to do with a contact.")),
            };
            Ok(())
        })
        .await?;
    Ok(Redirect::to(PAGE).into_response())
}

/// What to take back.
#[derive(Deserialize)]
pub(super) struct Ended {
    table: String,
    id: String,
    grantee: String,
    giver: String,
    permission: String,
}

/// Takes a share back.
pub(super) async fn end(State(server): State<Server>, _: Owner, Form(ended): Form<Ended>) -> Result<Response, Problem> {
    server.writable()?;
    let wrong = || Problem::bad_request("There is no such share.");
    let grantee: Grantee = ended.grantee.parse().map_err(|_| wrong())?;
    let giver = Giver { app: ended.giver.parse().map_err(|_| wrong())?, permission: ended.permission };
    let now = now();
    let done = server.home.write(move |db| {
        let mut all = sharing::listed(db, usize::MAX)?.into_iter();
        let share =
            all.find(|share| share.id == ended.id && share.table.to_string() == ended.table).ok_or_else(wrong)?;
        let row = sharing::withdraw(db, (&share.table, &share.id), &giver, &grantee, now)?;
        Ok::<_, Problem>((share.table, row))
    });
    let (table, row) = done.await?;
    server.changes.tell(&table, &row.id, row.modified, crate::changes::Kind::Written);
    Ok(Redirect::to(PAGE).into_response())
}
