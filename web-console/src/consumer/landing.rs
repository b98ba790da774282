//! The front page.

use axum::response::{IntoResponse, Redirect};

use super::own_servers;
use super::plans::{Choice, offered};
use crate::page::{self, Answer};
use crate::shell::{Plate, Shell};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/landing.html")]
struct Landing {
    shell: Shell,
    plans: Vec<Choice>,
    cheapest: Option<String>,
    example: Plate,
}

#[derive(askama::Template)]
#[template(path = "consumer/no_server.html")]
struct NoServer {
    shell: Shell,
    operator: bool,
}

/// `GET /`: for those who are signed in, the way to their own page.
pub(super) async fn show(visit: Visit) -> Answer {
    if visit.actor.account().is_some() {
        let servers = own_servers(&visit).await?;
        return match servers.first() {
            Some(server) => Ok(Redirect::to(&super::base(server)).into_response()),
            None if visit.actor.is_operator() => Ok(Redirect::to("/operator").into_response()),
            None => page::show(&NoServer { shell: Shell::of(&visit, "server", None).await?, operator: false }),
        };
    }
    let plans = offered(&visit).await?;
    let cheapest = plans.iter().min_by_key(|plan| plan.cents).map(|plan| plan.price.clone());
    let example = Plate::new("yourname", &visit.business.sites_domain);
    page::show(&Landing { shell: Shell::bare(&visit), plans, cheapest, example })
}

/// What pages about one server show to somebody who has none.
pub(super) async fn without_server(visit: &Visit, here: &'static str) -> Answer {
    page::show(&NoServer { shell: Shell::of(visit, here, None).await?, operator: visit.actor.is_operator() })
}

/// `GET /health`: whether the provider answers, for what watches it.
pub(super) async fn health() -> &'static str {
    "ok\n"
}
