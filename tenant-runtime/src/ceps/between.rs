//! How an app of one person comes to read what another person shares: `/ceps/perms/validationtoken/…`.
//!
//! The visitor's own server gives the app a proof; the app shows it to the owner's server, which asks the visitor's server
//! whether it is one. Whoever shares nothing with somebody asks nobody anything on their account.

use axum::Json;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Caller, bearer};
use super::body::Shaped;
use crate::outside::Errand;
use crate::permissions::Status;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing::{self, Claim, PROOF_LIFETIME, Person, Standing, VISIT_LIFETIME, Visitor};
use crate::throttle::Rate;

/// How often strangers may ask this server to look something up.
const ASKED: Rate = Rate { burst: 60.0, each_second: 1.0 };
/// How often one other server may make this one ask back.
const ASKED_BACK: Rate = Rate { burst: 20.0, each_second: 0.2 };

/// How the token of a visitor begins.
const VISITOR: &str = "fv1.";

/// The address on which a server is asked whether a proof is its own.
const VERIFY: &str = "/ceps/perms/validationtoken/verify";

/// What is claimed, in a body or in an address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    validation_token: String,
    data_owner_user: String,
    data_owner_host: String,
    table_id: String,
    #[serde(alias = "permission_name", alias = "name")]
    permission: String,
    #[serde(alias = "requestor_app")]
    app_id: String,
    requestor_user: String,
    requestor_host: String,
}

impl Asked {
    fn claim(&self) -> Result<Claim, Problem> {
        let app = self.app_id.parse().map_err(|_| Problem::bad_request("app_id must name an app."))?;
        if self.permission.is_empty() || self.table_id.is_empty() {
            return Err(Problem::bad_request("Say permission and table_id as well."));
        }
        Ok(Claim { app, permission: self.permission.clone(), table: self.table_id.clone() })
    }
}

fn person(user: &str, host: &str) -> Result<Person, Problem> {
    let host = host.split_once("://").map_or(host, |(_, rest)| rest).trim_end_matches('/');
    format!("{user}@{host}").parse().map_err(|error: sharing::NoGrantee| Problem::bad_request(error.to_string()))
}

/// 192 bits that nobody guesses.
fn fresh() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}

/// `POST /ceps/perms/validationtoken/set`
pub(super) async fn set(
    State(server): State<Server>,
    caller: Caller,
    Shaped(mut asked): Shaped<Asked>,
) -> Result<Response, Problem> {
    server.writable()?;
    if asked.app_id.is_empty() {
        asked.app_id = caller.app.to_string();
    }
    caller.is(&asked.app_id)?;
    let me = server.launch.site.person();
    if !asked.requestor_user.is_empty() && asked.requestor_user != me.user {
        return Err(Problem::forbidden(format!("This server is {}'s.", me.user)));
    }
    let claim = asked.claim()?;
    let owner = person(&asked.data_owner_user, &asked.data_owner_host)?;
    let granted = |p: &crate::permissions::Permission| p.name == claim.permission && p.status == Status::Granted;
    if caller.is_guest() || !server.apps.asked_by(&caller.app).iter().any(granted) {
        return Err(Problem::forbidden(format!("{} has no permission {:?}.", caller.app, claim.permission)));
    }
    let (token, now) = (fresh(), now());
    let (kept, expires) = (token.clone(), now + PROOF_LIFETIME);
    server.home.write(move |db| Ok::<_, Problem>(sharing::put_proof(db, &kept, &claim, &owner, expires, now)?)).await?;
    let answer = json!({"success": true, "validation_token": token, "requestor_host": me.host, "requestor_user": me.user, "expiration": expires});
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `GET /ceps/perms/validationtoken/verify`, asked by the owner's server.
pub(super) async fn verify(State(server): State<Server>, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    server.throttle.take("verify", ASKED)?;
    server.writable()?;
    let claim = asked.claim()?;
    let owner = person(&asked.data_owner_user, &asked.data_owner_host)?;
    let is_me = asked.requestor_user == server.launch.site.name;
    let (token, now) = (asked.validation_token, now());
    let taken =
        server.home.write(move |db| Ok::<_, Problem>(is_me && sharing::take_proof(db, &token, &claim, &owner, now)?));
    if !taken.await? {
        return Err(unproven());
    }
    Ok(Json(json!({"verified": true, "success": true})))
}

/// `GET /ceps/perms/validationtoken/validate`, asked by the visitor's app.
pub(super) async fn validate(State(server): State<Server>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    server.throttle.take("validate", ASKED)?;
    server.writable()?;
    let me = server.launch.site.person();
    if person(&asked.data_owner_user, &asked.data_owner_host)? != me {
        return Err(Problem::forbidden(format!("This server is that of {me}.")));
    }
    let visitor = Visitor { person: person(&asked.requestor_user, &asked.requestor_host)?, claim: asked.claim()? };
    let (standing, looked_up) = (Standing::of(&server.apps), visitor.clone());
    let shares = server.home.read(move |db| Ok::<_, Problem>(sharing::shares_with(db, &standing, &looked_up)?)).await?;
    if !shares {
        return Err(Problem::forbidden("Nothing is shared with you in this way."));
    }
    server.throttle.take(&format!("ask {}", visitor.person.host), ASKED_BACK)?;
    let query = [
        ("validation_token", &asked.validation_token),
        ("data_owner_user", &me.user),
        ("data_owner_host", &me.host),
        ("table_id", &asked.table_id),
        ("permission", &asked.permission),
        ("app_id", &asked.app_id),
        ("requestor_user", &visitor.person.user),
    ];
    let query = query.map(|(name, value)| (name.to_owned(), value.clone())).to_vec();
    let carried = server.outside()?.carry(Errand::get(&visitor.person.host, VERIFY, query)).await?;
    let said: Value = serde_json::from_slice(&carried.body).unwrap_or_default();
    if carried.status != 200 || said["verified"] != true {
        return Err(unproven());
    }
    let (token, now) = (format!("{VISITOR}{}", fresh()), now());
    let (kept, expires) = (token.clone(), now + VISIT_LIFETIME);
    server.home.write(move |db| Ok::<_, Problem>(sharing::let_in(db, &kept, &visitor, expires, now)?)).await?;
    let answer =
        json!({"success": true, "validated": true, "access-token": token, "access_token": token, "expiry": expires});
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn unproven() -> Problem {
    let detail = "This token is wrong, was used already, or is too old: ask for a new one with validationtoken/set.";
    Problem::new(StatusCode::UNAUTHORIZED, "not_verified", detail)
}

/// Whoever asks for records: an app of the owner's, or somebody with whom something is shared.
pub(super) enum Reader {
    App(Caller),
    Visitor(Visitor),
}

impl FromRequestParts<Server> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Problem> {
        let token = bearer(&parts.headers).filter(|token| token.starts_with(VISITOR)).map(str::to_owned);
        let Some(token) = token else { return Caller::from_request_parts(parts, server).await.map(Self::App) };
        let now = now();
        let found = server.home.read(move |db| Ok::<_, Problem>(sharing::visitor(db, &token, now)?)).await?;
        found.map(Self::Visitor).ok_or_else(Problem::unauthorized)
    }
}
