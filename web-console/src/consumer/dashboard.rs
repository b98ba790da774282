//! The page of one's server: is it well, how full is it, could I leave today, what do I pay next.

use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use billing::Plan;
use control_plane::operations::State;
use control_plane::servers::{Doing, Seen, Server};
use tenant_runtime::admin::api::{CareFinding, CareView, Usage};

use super::bill::{self, Told};
use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::{self, Badge, Banner, Fact, Html, Line};
use crate::shell::{Plate, Shell};
use crate::show::{self, Amount, Count, Fullness, Meter};
use crate::visit::Visit;

/// For so long a server counts as young.
const YOUNG: jiff::SignedDuration = jiff::SignedDuration::from_hours(60 * 24);
/// How long the page waits for a server to tell what it holds.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(askama::Template)]
#[template(path = "consumer/dashboard.html")]
struct Dashboard {
    shell: Shell,
    path: String,
    plate: Plate,
    greeting: String,
    state: Sighted,
    banner: Option<Banner>,
    /// Where it lives now, if no longer here.
    gone: Option<String>,
    /// That it moves, or has moved.
    moving: Option<Banner>,
    running: Vec<Line>,
    /// The move by which it comes here, or came.
    coming: Option<super::arriving::Card>,
    /// Whether it is so young that it may be meant for what is elsewhere.
    young: bool,
    plan_name: String,
    plan_storage: Amount,
    usage: Option<Used>,
    /// Why the server told nothing, when it did not.
    silent: String,
    /// How the data was last checked, when it was.
    checked: Option<Html>,
    damage: Vec<String>,
    /// Storage of the owner's that the last copy did not reach, with its page.
    places: Vec<(String, String)>,
    /// How many notices of apps wait on the server.
    notices: u64,
    /// Whether one could leave, as last tried.
    tested: super::drills::Tested,
    next_invoice: Option<bill::Next>,
    bill_lines: Vec<Fact>,
    apps: Vec<App>,
    lately: Vec<Line>,
    next: Vec<String>,
}

/// What was seen of the server.
struct Sighted {
    tone: &'static str,
    words: &'static str,
    hint: Html,
}

/// What the server says it holds.
struct Used {
    used: Amount,
    free: Amount,
    words: String,
    full: Option<String>,
    documents: Count,
    files: Count,
    parcels: Vec<Parcel>,
    measured: show::Moment,
    /// What an acknowledged write is worth; nothing when the server does not say.
    durable: Option<String>,
}

/// One stretch of the storage bar.
struct Parcel {
    class: &'static str,
    name: String,
    size: Amount,
    x: String,
    width: String,
}

struct App {
    tile: Html,
    name: String,
    open: String,
}

/// `GET /servers/{name}`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let plane = visit.console.plane();
    let path = base(&server);
    if matches!(server.seen.seen, Seen::Nothing) && server.host.is_none() {
        return Ok(Redirect::to(&format!("{path}/creating")).into_response());
    }
    let course = super::leaving::newest(&visit, &server).await?;
    // Whoever has moved is not here, whatever is still kept of it.
    let gone = course.as_ref().filter(|course| course.stand.is_gone()).map(|course| course.successor.clone());
    let sighted = match &gone {
        Some(_) => elsewhere(),
        None => sighted(&server),
    };
    let asked = tokio::time::timeout(PATIENCE, control_plane::servers::usage(plane, &visit.actor, server.id));
    let cared = tokio::time::timeout(PATIENCE, control_plane::servers::care(plane, &visit.actor, server.id));
    let desk = visit.console.operations();
    let (usage, cared, plans, bill, operations) = tokio::join!(
        asked,
        cared,
        control_plane::business::plans(plane, &visit.actor),
        control_plane::subscriptions::bill(plane, &visit.actor, server.account),
        desk.of_server(&visit.actor, server.id)
    );
    let (usage, silent): (Option<Usage>, _) = match usage {
        Ok(Ok(usage)) => (Some(usage), String::new()),
        Ok(Err(error)) => (None, error.sentence().to_owned()),
        Err(_) => (None, "Your server did not answer in time.".to_owned()),
    };
    // A server that does not say how its data is gets no word about it here.
    let care: Option<CareView> = cared.ok().and_then(Result::ok);
    let (plans, bill, operations) = (plans?, bill?, operations?);
    let told = Told::of(&bill);
    let arrivals = control_plane::moves::arriving::arrivals(plane, &visit.actor, server.id).await?;
    let is_young = plane.now().duration_since(server.created) < YOUNG;
    let line = |operation| Line::of(operation, &path);
    let open =
        |operation: &&control_plane::operations::Operation| matches!(operation.state, State::Running | State::Waiting);
    let shell = Shell::of(&visit, "server", Some(&server)).await?;
    let first_name = shell.person.split_whitespace().next().unwrap_or_default().to_owned();
    let mut next = vec![told.next.clone()];
    if !operations.iter().any(|operation| operation.kind == control_plane::operations::Kind::Export) {
        next.push("You have not taken a copy yet. Export makes one file with everything, and costs nothing.".into());
    }
    page::show(&Dashboard {
        plate: Plate { asleep: matches!(sighted.words, "Stopped"), ..Plate::of(&server) },
        greeting: if first_name.is_empty() { "Hello".to_owned() } else { format!("Hello, {first_name}") },
        state: sighted,
        // That what is left is erased one day says the page of the move.
        banner: told.banner.clone().filter(|_| gone.is_none() || bill.closing.is_none()),
        moving: course.and_then(|course| super::leaving::banner(&course, &path)),
        gone,
        coming: super::arriving::card(&server, &arrivals, plane.now()),
        young: is_young && !arrivals.iter().any(control_plane::moves::arriving::Arrival::is_live),
        running: operations.iter().filter(open).map(line).collect(),
        plan_name: bill.terms.name.clone(),
        plan_storage: Amount(bill.terms.storage_bytes),
        apps: usage.iter().flat_map(|usage| &usage.apps).map(|app| app_tile(&visit, app)).collect(),
        usage: usage.as_ref().map(|usage| used(usage, &remedy(usage, &plans, &visit), show::time(plane.now()))),
        silent,
        checked: care.as_ref().and_then(checked),
        damage: care.iter().flat_map(|care| &care.findings).filter(|found| !found.repaired).map(damage).collect(),
        places: super::places::troubles(&visit, &server).await,
        notices: control_plane::wakes::notices(plane, &visit.actor, server.id).await?,
        tested: super::drills::Tested::of(&visit, &server).await?,
        next_invoice: told.next_invoice,
        bill_lines: told.lines,
        lately: operations.iter().filter(|operation| !open(operation)).take(4).map(line).collect(),
        next,
        shell,
        path,
    })
}

fn app_tile(visit: &Visit, app: &tenant_runtime::admin::api::AppUsage) -> App {
    let in_catalogue = visit.console.catalogue().list().iter().any(|listing| listing.id.to_string() == app.id);
    App {
        tile: parts::tile(&app.id, &app.name, in_catalogue),
        name: app.name.clone(),
        open: super::apps::open_path(&app.id),
    }
}

/// The state with the time it was seen: what we know, and since when.
fn sighted(server: &Server) -> Sighted {
    let at = show::time(server.seen.at);
    let seen = format!(", seen {at}");
    let (tone, words, hint) = match &server.seen.seen {
        Seen::Placed { doing: Doing::Awake { .. }, .. } => ("ok", "Awake", "It answers".to_owned()),
        Seen::Placed { doing: Doing::Asleep, .. } => {
            ("", "Asleep", "Nobody used it lately; your next tap wakes it".to_owned())
        }
        Seen::Placed { doing: Doing::Crashing { .. }, .. } => (
            "warn",
            "Starting again",
            "It stopped unasked and is being started anew. What you saved is safe".to_owned(),
        ),
        Seen::Unsure => ("", "Not looked yet", "We have just started and have not seen it yet".to_owned()),
        Seen::Nothing => ("info", "Being placed", "It gets its place now".to_owned()),
        Seen::Erased => ("danger", "Stopped", "It was erased".to_owned()),
    };
    let badge = Badge::new(tone, words);
    let mut text = Html::text(hint).to_string() + &seen + ".";
    if let Some(trouble) = &server.trouble {
        text.push(' ');
        text.push_str(&Html::text(trouble).to_string());
    }
    Sighted { tone: badge.tone, words, hint: Html::already_safe(text) }
}

/// It was handed over.
fn elsewhere() -> Sighted {
    let hint = Html::text("It lives elsewhere. What it held when it left is still kept here.");
    Sighted { tone: Badge::new("info", "Moved").tone, words: "Moved", hint }
}

/// What it means that the server said *saved*.
fn durable(loss_window_ms: u64) -> String {
    match loss_window_ms {
        0 => "What your server calls saved is on durable storage before it says so.".to_owned(),
        ms => format!(
            "If its machine dies, what was saved in the last {} may be lost; everything older is safe.",
            show::Spell(ms)
        ),
    }
}

/// When everything was last checked, and what came of it.
fn checked(care: &CareView) -> Option<Html> {
    let when = show::both(parts::moment(care.checked_ms?));
    let mended = care.findings.iter().filter(|found| found.repaired).count();
    let result = match (care.findings.len(), mended) {
        (0, _) => "all whole".to_owned(),
        (found, mended) if found == mended => format!("{mended} were damaged and are mended"),
        (found, mended) => format!("{} damaged, of which {mended} are mended", found),
    };
    let objects = Html::text(format!(": {} objects, {}, {result}.", Count(care.objects), Amount(care.bytes)));
    Some(Html::already_safe(format!("Checked {when}{objects}")))
}

fn damage(found: &CareFinding) -> String {
    format!("{}: {}", found.what, found.why)
}

/// What helps against a full server: where most lies, and which plan has more room.
fn remedy(usage: &Usage, plans: &[Plan], visit: &Visit) -> String {
    let largest = usage.apps.iter().max_by_key(|app| app.bytes).filter(|app| app.bytes > usage.limit_bytes / 5);
    let delete = match largest {
        Some(app) => format!("{} holds {}: delete what you no longer need there", app.name, Amount(app.bytes)),
        None => "Delete what you no longer need".to_owned(),
    };
    let roomier = plans.iter().filter(|plan| plan.offered && plan.storage_bytes > usage.limit_bytes);
    match roomier.min_by_key(|plan| (plan.storage_bytes, plan.price_cents)) {
        Some(plan) => format!(
            "{delete}, or ask {} for the plan {}: {} for {} a month.",
            visit.business.name,
            plan.name,
            Amount(plan.storage_bytes),
            plan.price()
        ),
        None => format!("{delete}."),
    }
}

fn used(usage: &Usage, remedy: &str, measured: show::Moment) -> Used {
    let total = usage.database_bytes + usage.blob_bytes;
    let meter = Meter { used: total, of: usage.limit_bytes };
    Used {
        used: Amount(total),
        free: meter.free(),
        words: meter.words(),
        full: match meter.fullness() {
            Fullness::Roomy => None,
            Fullness::Near => Some(format!("It is nearly full. {remedy}")),
            Fullness::Full => Some(format!(
                "It is full: nothing new can be saved. Everything saved is safe, and Export works. {remedy}"
            )),
        },
        documents: Count(usage.documents),
        files: Count(usage.files),
        parcels: parcels(usage),
        measured,
        durable: usage.loss_window_ms.map(durable),
    }
}

/// The largest apps, then the records, side by side in the bar; each at least a visible sliver.
fn parcels(usage: &Usage) -> Vec<Parcel> {
    const CLASSES: [&str; 6] = ["p1", "p2", "p3", "p4", "p5", "p6"];
    let mut pieces: Vec<(String, u64)> = usage.apps.iter().map(|app| (app.name.clone(), app.bytes)).collect();
    pieces.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let rest: u64 = pieces.iter().skip(4).map(|(_, bytes)| bytes).sum();
    pieces.truncate(4);
    pieces.push(("Records".to_owned(), usage.database_bytes));
    let told: u64 = pieces.iter().map(|(_, bytes)| bytes).sum();
    let other = (usage.database_bytes + usage.blob_bytes).saturating_sub(told).max(rest);
    pieces.push(("Other".to_owned(), other));
    let mut x = 0.0_f64;
    let parcel = |((name, bytes), class): ((String, u64), &'static str)| {
        let share = bytes as f64 / usage.limit_bytes.max(1) as f64 * 100.0;
        let width = share.max(0.5).min(100.0 - x);
        let parcel = Parcel { class, name, size: Amount(bytes), x: format!("{x:.2}"), width: format!("{width:.2}") };
        x += width + 0.2;
        parcel
    };
    pieces.into_iter().filter(|(_, bytes)| *bytes > 0).zip(CLASSES).map(parcel).collect()
}
