//! The way from the console to the person's own server: a single-use ticket, made when it is asked for.
//!
//! It is a link and not a form, because a form's answer may not lead to another origin under our policy; what a forged
//! request could win is that people find themselves signed in on their own server.

use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::own_server;
use super::sign_in::local;
use crate::page::Answer;
use crate::visit::Visit;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    next: String,
}

/// `GET /servers/{name}/open?next=`.
pub(super) async fn hand_over(visit: Visit, Path(name): Path<String>, Query(wish): Query<Wish>) -> Answer {
    let server = own_server(&visit, &name).await?;
    // One that has moved is opened where it is; no ticket for it leaves this place.
    let course = super::leaving::newest(&visit, &server).await?.filter(|course| course.stand.is_gone());
    if let Some(course) = course {
        return Ok(Redirect::to(&course.successor).into_response());
    }
    let next = local(&wish.next);
    let next = (!next.is_empty()).then_some(next.as_str());
    let link = control_plane::servers::handover_link(visit.console.plane(), &visit.actor, server.id, next).await?;
    Ok(Redirect::to(link.as_str()).into_response())
}
