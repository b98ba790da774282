//! The outbox: every letter, whether it left or is only kept here.

use axum::extract::{Path, Query};
use control_plane::Error;
use control_plane::LetterId;
use control_plane::mail::{self, OutboxEntry, State};

use super::listing::{Asked, Finder, Listing};
use crate::page::{self, Answer};
use crate::parts::{Badge, Html};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/letter.html")]
struct LetterPage {
    shell: Shell,
    subject: String,
    to: String,
    written: show::Moment,
    state: Badge,
    problem: Option<String>,
    text: String,
    next: &'static str,
}

fn badge(letter: &OutboxEntry) -> Badge {
    match letter.state {
        State::Sent => Badge::new("ok", "Sent"),
        State::Kept => Badge::new("", "Kept here"),
        State::Waiting if letter.last_error.is_some() => Badge::new("warn", "Tried again"),
        State::Waiting => Badge::new("info", "Leaves soon"),
        State::Failed => Badge::new("danger", "Not taken"),
    }
}

/// `GET /operator/outbox`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let page = mail::outbox(visit.console.plane(), &visit.actor, &asked.ask()).await?;
    let mut table = asked.or_nothing(
        &["Letter", "To", "State", "Written"],
        "No letters yet",
        "The first one is written when somebody signs up.",
    );
    for letter in &page.items {
        table.row(vec![
            Html::link(&format!("/operator/outbox/{}", letter.id), &letter.subject),
            Html::text(&letter.to),
            Html::badge(&badge(letter)),
            Html::safe(show::both(letter.created)),
        ]);
    }
    let sends = visit.console.plane().settings().smtp.is_some();
    let lead = if sends {
        "Letters leave by themselves."
    } else {
        "No mail server is configured, so letters stay here: read them and pass them on."
    };
    let next = if sends {
        "A letter the mail server does not take is tried again by itself."
    } else {
        "Set mail.smtp in the configuration to have letters sent."
    };
    let states = &[("waiting", "Waiting"), ("sent", "Sent"), ("kept", "Kept here"), ("failed", "Not taken")];
    Listing::new(&visit, "outbox", "Outbox", lead.to_owned(), table)
        .await?
        .found_by(Finder::new("/operator/outbox", "E-mail or subject", states, asked, &page))
        .next(next)
        .show()
}

/// `GET /operator/outbox/{letter}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: LetterId = id.parse().map_err(|_| Refusal::of(Error::gone("There is no such letter.")))?;
    let letter = mail::letter(visit.console.plane(), &visit.actor, id).await?;
    page::show(&LetterPage {
        shell: Shell::of(&visit, "outbox", None).await?,
        state: badge(&letter),
        subject: letter.subject,
        to: letter.to,
        written: show::both(letter.created),
        problem: letter.last_error,
        text: letter.text,
        next: "Letters are kept here as they were written.",
    })
}
