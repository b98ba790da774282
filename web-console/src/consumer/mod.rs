//! The pages of people with a server, and of those who may become some.

mod account;
mod activity;
mod apps;
mod arriving;
mod bill;
mod close;
mod confirm;
mod creating;
mod dashboard;
mod domains;
mod drills;
mod export;
mod foreign;
mod import;
mod landing;
mod leave;
mod leaving;
mod live;
mod open;
mod packages;
mod past;
mod places;
mod plain_form;
mod plans;
mod sign_in;
mod sign_up;
mod upload;
mod usage;
mod ways;

use axum::http::Method;
use control_plane::Error;
use control_plane::operations::{Operation, OperationId};
use control_plane::servers::Server;

use crate::assets;
use crate::doors::Doors;
use crate::doors::Who::{Account, Anybody, Visitor};
use crate::refusal::Refusal;
use crate::visit::Visit;

pub(crate) use drills::took;

/// The days of the week, as the schedule's form numbers them.
pub(crate) const WEEK: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The doors of this audience.
pub(crate) fn doors(doors: Doors) -> Doors {
    doors
        .get("/static/{file}", Anybody, assets::serve)
        .get("/health", Anybody, landing::health)
        .get("/favicon.ico", Anybody, assets::favicon)
        .get("/", Visitor, landing::show)
        .get("/addresses", Visitor, sign_up::addresses)
        .get("/sign-up", Visitor, sign_up::show)
        .post("/sign-up", Visitor, sign_up::send)
        .get("/sign-in", Visitor, sign_in::show)
        .post("/sign-in", Visitor, sign_in::send)
        .post("/sign-out", Visitor, sign_in::sign_out)
        .get("/catalogue/icons/{app}", Visitor, apps::icon)
        .get("/catalogue/{*file}", Visitor, apps::file)
        .get("/leave", Account, leave::find)
        .get("/bill", Account, bill::show)
        .get("/account", Account, account::show)
        .post("/account/name", Account, account::rename)
        .post("/account/password", Account, account::change_password)
        .post("/account/sessions/{session}/end", Account, account::end_session)
        .post("/account/sessions/end-others", Account, account::end_others)
        .get("/servers/{name}", Account, dashboard::show)
        .get("/servers/{name}/creating", Account, creating::show)
        .get("/servers/{name}/events", Account, live::server)
        .get("/servers/{name}/open", Account, open::hand_over)
        .get("/servers/{name}/apps", Account, apps::show)
        .post("/servers/{name}/apps/{app}/install", Account, apps::install)
        .get("/servers/{name}/apps/{app}/remove", Account, apps::confirm_remove)
        .post("/servers/{name}/apps/{app}/remove", Account, apps::remove)
        .post("/servers/{name}/apps/{app}/restore", Account, apps::restore)
        .post("/servers/{name}/apps/{app}/pin", Account, packages::pin)
        .post("/servers/{name}/apps/{app}/unpin", Account, packages::unpin)
        .get("/servers/{name}/apps/{app}/erase", Account, packages::ask_erase)
        .post("/servers/{name}/apps/{app}/erase", Account, packages::erase)
        .get("/servers/{name}/add", Account, packages::show)
        .upload(Method::POST, "/servers/{name}/add", Account, packages::add)
        .get("/servers/{name}/packages/{package}", Account, packages::one)
        .post("/servers/{name}/packages/{package}/install", Account, packages::install)
        .get("/servers/{name}/usage", Account, usage::show)
        .get("/servers/{name}/activity", Account, activity::show)
        .get("/servers/{name}/past", Account, past::show)
        .get("/servers/{name}/past/preview", Account, past::preview)
        .post("/servers/{name}/past", Account, past::go_back)
        .post("/servers/{name}/past/{restore}/undo", Account, past::undo)
        .get("/servers/{name}/leave", Account, leave::show)
        .get("/move/consent", Account, leaving::ask)
        .post("/move/consent", Account, leaving::answer)
        .get("/servers/{name}/moving", Account, leaving::show)
        .get("/servers/{name}/moving/events", Account, leaving::events)
        .post("/servers/{name}/moving/stop", Account, leaving::stop)
        .get("/servers/{name}/moving/back", Account, leaving::ask_back)
        .post("/servers/{name}/moving/back", Account, leaving::take_back)
        .post("/servers/{name}/moving/back/anyway", Account, leaving::take_back_anyway)
        .get("/servers/{name}/moving/receipt.json", Account, leaving::receipt)
        .get("/servers/{name}/moving/receipt.json.sig", Account, leaving::receipt_signature)
        .get("/servers/{name}/moving/erase", Account, leaving::ask_erase)
        .post("/servers/{name}/moving/erase", Account, leaving::erase)
        .get("/servers/{name}/close", Account, close::ask)
        .post("/servers/{name}/close", Account, close::close)
        .post("/servers/{name}/keep", Account, close::keep)
        .get("/servers/{name}/operations/{operation}/events", Account, live::operation)
        .get("/tls/may-certify", Anybody, domains::may_certify)
        .get("/servers/{name}/domains", Account, domains::show)
        .post("/servers/{name}/domains", Account, domains::add)
        .get("/servers/{name}/domains/events", Account, domains::events)
        .post("/servers/{name}/domains/{domain}/prove", Account, domains::prove)
        .post("/servers/{name}/domains/{domain}/look", Account, domains::look)
        .post("/servers/{name}/domains/{domain}/use", Account, domains::set_use)
        .get("/servers/{name}/domains/{domain}/remove", Account, domains::ask_remove)
        .post("/servers/{name}/domains/{domain}/remove", Account, domains::remove)
        .get("/servers/{name}/export", Account, export::show)
        .post("/servers/{name}/exports", Account, export::start)
        .get("/servers/{name}/exports/{operation}", Account, export::one)
        .get("/servers/{name}/exports/{operation}/archive", Account, export::archive)
        .post("/servers/{name}/drills", Account, drills::ask)
        .get("/servers/{name}/places", Account, places::show)
        .get("/servers/{name}/places/add/{kind}", Account, places::add_form)
        .post("/servers/{name}/places/add/{kind}", Account, places::add)
        .get("/servers/{name}/places/{place}", Account, places::one)
        .post("/servers/{name}/places/{place}/copies", Account, places::copy)
        .post("/servers/{name}/places/{place}/try", Account, places::try_it)
        .post("/servers/{name}/places/{place}/name", Account, places::rename)
        .post("/servers/{name}/places/{place}/schedule", Account, places::plan)
        .post("/servers/{name}/places/{place}/passphrase", Account, places::seal)
        .get("/servers/{name}/places/{place}/unseal", Account, places::ask_unseal)
        .post("/servers/{name}/places/{place}/unseal", Account, places::unseal)
        .get("/servers/{name}/places/{place}/remove", Account, places::ask_remove)
        .post("/servers/{name}/places/{place}/remove", Account, places::remove)
        .get("/servers/{name}/places/{place}/archives", Account, places::archives)
        .post("/servers/{name}/places/{place}/imports", Account, places::import)
        .post("/servers/{name}/exports/{operation}/cancel", Account, export::cancel)
        .get("/servers/{name}/move", Account, arriving::show)
        .post("/servers/{name}/move", Account, arriving::look)
        .post("/servers/{name}/moves", Account, arriving::begin)
        .get("/servers/{name}/moves/{move}", Account, arriving::one)
        .get("/servers/{name}/moves/{move}/events", Account, arriving::events)
        .get("/servers/{name}/moves/{move}/go", Account, arriving::go)
        .get("/servers/{name}/moves/{move}/log", Account, arriving::log)
        .post("/servers/{name}/moves/{move}/hurry", Account, arriving::hurry)
        .get("/servers/{name}/moves/{move}/stop", Account, arriving::ask_stop)
        .post("/servers/{name}/moves/{move}/stop", Account, arriving::stop)
        .get("/move/here", Account, arriving::here)
        .get("/move/return", Account, arriving::returned)
        .get("/move/v1/arrivals/{move}", Visitor, arriving::whether)
        .get("/servers/{name}/bring", Account, foreign::bring)
        .get("/servers/{name}/bring/ceps", Account, foreign::gather_form)
        .post("/servers/{name}/bring/ceps", Account, foreign::gather)
        .get("/servers/{name}/give", Account, foreign::give_form)
        .post("/servers/{name}/give", Account, foreign::give)
        .get("/servers/{name}/foreign/{work}", Account, foreign::one)
        .get("/servers/{name}/foreign/{work}/events", Account, live::foreign)
        .post("/servers/{name}/foreign/{work}/stop", Account, foreign::stop)
        .get("/servers/{name}/import", Account, import::show)
        .post("/servers/{name}/imports/begin", Account, upload::begin)
        .upload(Method::POST, "/servers/{name}/imports", Account, upload::whole)
        .upload(Method::PATCH, "/servers/{name}/imports/{operation}/archive", Account, upload::piece)
        .get("/servers/{name}/imports/{operation}/archive", Account, upload::offset)
        .get("/servers/{name}/imports/{operation}", Account, import::one)
        .post("/servers/{name}/imports/{operation}/unlock", Account, import::unlock)
        .post("/servers/{name}/imports/{operation}/confirm", Account, import::confirm)
        .post("/servers/{name}/imports/{operation}/cancel", Account, import::cancel)
        .post("/servers/{name}/imports/{operation}/undo", Account, import::undo)
}

/// The visitor's own servers, first made first.
async fn own_servers(visit: &Visit) -> Result<Vec<Server>, Refusal> {
    let account = visit.actor.account().ok_or_else(|| Refusal::of(Error::sign_in()))?;
    Ok(control_plane::servers::servers_of(visit.console.plane(), &visit.actor, account).await?)
}

/// The visitor's own server of this name. Another person's is as unknown as one that never was.
async fn own_server(visit: &Visit, name: &str) -> Result<Server, Refusal> {
    let found = own_servers(visit).await?.into_iter().find(|server| server.name.to_string() == name);
    found.ok_or_else(|| Refusal::of(Error::gone("You have no server of this name.")))
}

/// An operation of this very server.
async fn operation_of(visit: &Visit, server: &Server, id: &str) -> Result<Operation, Refusal> {
    let unknown = || Refusal::of(Error::gone("Your server has no such operation."));
    let id: OperationId = id.parse().map_err(|_| unknown())?;
    let operation = visit.console.operations().operation(&visit.actor, id).await?;
    if operation.server == server.id { Ok(operation) } else { Err(unknown()) }
}

/// Where the pages of a server begin.
fn base(server: &Server) -> String {
    format!("/servers/{}", server.name)
}
