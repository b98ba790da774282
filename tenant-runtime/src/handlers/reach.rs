//! What handlers ask of other computers on the internet.
//!
//! Here it is decided whether an app may: each host is a permission of its own, which the owner gave and can take back. Where
//! a name leads to is for whoever carries the request ([`crate::outside`]) to look at.

use export_format::AppId;
use url::{Host, Url};

use super::api::failure;
use super::wire::{Failure, Request, Response};
use crate::apps::manifest::REACH;
use crate::outside::{self, Fetch};
use crate::permissions::Status;
use crate::server::Server;
use crate::throttle::Rate;

/// How often one app may ask.
const ASKS: Rate = Rate { burst: 60.0, each_second: 0.5 };

/// Asks another computer on behalf of an app's handler.
pub(super) async fn fetch(server: &Server, app: &AppId, request: Request) -> Result<Response, Failure> {
    let url = Url::parse(&request.url).map_err(|_| failure(400, "bad_request", "This is no address."))?;
    let host = match url.host() {
        Some(Host::Domain(host)) => host.trim_end_matches('.').to_ascii_lowercase(),
        _ => {
            return Err(failure(
                403,
                "not_granted",
                "Only hosts with a name can be asked, never an address by its number.",
            ));
        }
    };
    let is_it = |host: &str| {
        let asked = server.apps.asked_by(app);
        asked.iter().any(|p| p.kind == REACH && p.status == Status::Granted && p.tables.iter().any(|name| name == host))
    };
    if !is_it(&host) {
        let why = format!("{app} may not reach {host}: its manifest must name the host, and the owner must allow it.");
        return Err(failure(403, "not_granted", &why));
    }
    server.throttle.take(&format!("fetch {app}"), ASKS)?;
    let fetcher = server.fetcher().map_err(refused)?;
    let fetch = Fetch { method: request.method, url: url.into(), headers: request.headers, body: request.body };
    let fetched = fetcher.fetch(fetch).await.map_err(refused)?;
    Ok(Response { status: fetched.status, headers: fetched.headers, body: fetched.body.into() })
}

fn refused(error: outside::Error) -> Failure {
    match error {
        outside::Error::NoWay => failure(503, "no_way", "This server has no way to other computers where it runs now."),
        outside::Error::Later(why) => failure(503, "later", &why),
        outside::Error::Never(why) => failure(502, "never", &why),
    }
}
