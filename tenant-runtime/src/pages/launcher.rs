//! The first page of a server: the owner's apps, or the door for anyone else.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::blob::{self, Served};
use super::plain::own;
use super::{bytes, code, enter, policy};
use crate::ceps::auth;
use crate::handlers::stops;
use crate::happenings::{self, Notice, notices};
use crate::launch::{Access, Launch, Limits};
use crate::permissions::Permission;
use crate::problem::Problem;
use crate::quota::Held;
use crate::server::{Installed, Server};
use crate::sessions::Session;

/// The style of all our own pages: the console's tokens and the few parts used here.
pub(super) const STYLE: &str = concat!(include_str!("assets/tokens.css"), include_str!("assets/pages.css"));

/// One app on the launcher.
struct Tile {
    name: String,
    link: String,
    /// The address of its picture; without one, its first letter stands there.
    icon: Option<String>,
    letter: char,
    /// Which of the tile colours, 0 to 7.
    colour: u32,
}

/// A question an app asks, on the launcher.
struct Question {
    app: String,
    text: String,
}

#[derive(Template)]
#[template(path = "launcher.html")]
struct Launcher<'a> {
    name: &'a str,
    domain: &'a str,
    owner: &'a str,
    provider: &'a str,
    /// Its provider's console; a server at home has none.
    console: Option<Console>,
    tiles: Vec<Tile>,
    used: String,
    /// How much there may be, where that is bounded.
    limit: Option<String>,
    /// How full, 0 to 100.
    full: u64,
    read_only: bool,
    shows_home_page: bool,
    questions: Vec<Question>,
    notices: Vec<(String, String)>,
    told: Vec<Told>,
    /// How much came with an archive and waits for the owner's word.
    held: u64,
    /// Whether any app has code that runs here.
    has_code: bool,
}

/// Where the console has what.
struct Console {
    itself: String,
    catalogue: String,
    export: String,
}

impl Console {
    fn of(launch: &Launch) -> Option<Self> {
        let itself = launch.provider.console_origin.clone();
        let of_server = format!("{itself}/servers/{}", launch.site.name);
        let there = Self { catalogue: format!("{of_server}/apps"), export: format!("{of_server}/leave"), itself };
        (there.itself != launch.site.origin()).then_some(there)
    }
}

/// Something an app tells the owner.
struct Told {
    id: String,
    app: String,
    title: String,
    text: String,
    link: Option<String>,
}

#[derive(Template)]
#[template(path = "visitor.html")]
struct Visitor<'a> {
    name: &'a str,
    domain: &'a str,
    owner: &'a str,
    sign_in: String,
    provider: &'a str,
}

/// The owner's launcher.
pub(super) async fn page(server: &Server, _: &Session) -> Response {
    let held = match server.home.read(Held::read).await {
        Ok(held) => held.total(),
        Err(problem) => return problem.into_response(),
    };
    let told = server.home.read(|db| Ok::<_, happenings::Error>((notices::all(db)?, happenings::held(db)?))).await;
    let (told, waits) = match told {
        Ok(found) => found,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut notices = server.apps.notices();
    match stopped(server).await {
        Ok(stopped) => notices.extend(stopped),
        Err(problem) => return problem.into_response(),
    }
    let launch = &server.launch;
    let page = Launcher {
        name: &launch.site.name,
        domain: &launch.site.domain,
        owner: &launch.owner.display_name,
        provider: &launch.provider.name,
        console: Console::of(launch),
        tiles: server.apps.all().iter().map(|app| tile(app)).collect(),
        used: bytes(held),
        limit: Some(server.quota.limit()).filter(|limit| *limit < Limits::UNBOUNDED).map(bytes),
        full: (held.saturating_mul(100) / server.quota.limit().max(1)).min(100),
        read_only: launch.standing == Access::ReadOnly,
        shows_home_page: server.apps.at_home_address().is_some(),
        notices,
        told: told.into_iter().map(|notice| tell(server, notice)).collect(),
        held: waits,
        has_code: server.apps.all().iter().any(|app| app.manifest.handlers.is_some()),
        questions: server.apps.unanswered().iter().map(|asked| question(server, asked)).collect(),
    };
    own(StatusCode::OK, &page)
}

/// Apps whose code was stopped, and why.
async fn stopped(server: &Server) -> Result<Vec<(String, String)>, Problem> {
    let mut all = Vec::new();
    for app in server.apps.all().into_iter().filter(|app| app.manifest.handlers.is_some()) {
        let (id, release) = (app.record.id.clone(), app.record.release);
        if let Some(why) = server.home.read(move |db| stops::stopped(db, &id, release)).await? {
            let text = format!("Its code on this server was stopped: {why}. Your data is untouched.");
            all.push((app.record.name.clone(), text));
        }
    }
    Ok(all)
}

/// What a visitor sees where the owner shows nothing.
pub(super) fn visitor(server: &Server) -> Response {
    let launch = &server.launch;
    let page = Visitor {
        name: &launch.site.name,
        domain: &launch.site.domain,
        owner: &launch.owner.display_name,
        sign_in: enter::console(server, None),
        provider: &launch.provider.name,
    };
    own(StatusCode::OK, &page)
}

fn tile(app: &Installed) -> Tile {
    let id = app.record.id.as_str();
    let has_icon = app.manifest.icon.is_some();
    Tile {
        name: app.record.name.clone(),
        link: format!("/open/{}", app.record.label),
        icon: has_icon.then(|| format!("/.freehold/icon/{}?v={}", app.record.label, app.record.release)),
        letter: app.record.name.chars().next().map_or('?', |c| c.to_uppercase().next().unwrap_or(c)),
        colour: id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 8,
    }
}

fn tell(server: &Server, notice: Notice) -> Told {
    let app = server.apps.get(&notice.app);
    let link = notice.words.link.as_deref().zip(app.as_ref()).map(|(link, app)| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        format!("/open/{}?{}", app.record.label, query.append_pair("next", link).finish())
    });
    Told { id: notice.id, app: server.called(&notice.app), title: notice.words.title, text: notice.words.text, link }
}

fn question(server: &Server, asked: &Permission) -> Question {
    Question { app: server.called(&asked.app), text: server.wish(asked) }
}

/// `/.freehold/icon/<label>`: an app's picture, for the owner's launcher.
pub(super) async fn icon(
    State(server): State<Server>,
    Path(label): Path<String>,
    parts: Parts,
) -> Result<Response, Problem> {
    let nothing = || Problem::not_found("There is no such picture.");
    auth::owner(&server, &parts.headers).ok_or_else(nothing)?;
    let app = server.apps.at_label(&label).ok_or_else(nothing)?;
    let path = app.manifest.icon.as_deref().ok_or_else(nothing)?;
    let file = code::find(&server, &app, path.trim_start_matches("./")).await?.ok_or_else(nothing)?;
    if !file.mime.starts_with("image/") {
        return Err(nothing());
    }
    let served = Served { digest: file.digest, size: file.size, mime: file.mime, modified: None };
    let mut response = blob::respond(&server, &served, &parts.method, &parts.headers).await?;
    policy::set(response.headers_mut(), "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}
