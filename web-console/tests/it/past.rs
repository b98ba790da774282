//! Going back in time, as its owner does it; the runtime of these tests remembers one hour with one thing in it.

use std::sync::Arc;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use reqwest::Method;
use tenant_runtime::admin::api::{
    CareView, PastMoment, PastPreview, PastView, Problem, RestoreRequest, RestoreView, TableDifference,
};

use crate::house::{House, fields};

const UNTIL: i64 = 1_795_262_400_000; // 21 November 2026, 12:00 UTC
const FROM: i64 = UNTIL - 3_600_000;
const NEVER: i64 = 32_503_680_000_000;

#[derive(serde::Deserialize)]
struct At {
    at_ms: i64,
}

/// What a runtime answers about its past.
pub(crate) fn router() -> Router {
    let restores: Arc<Mutex<Vec<RestoreView>>> = Arc::default();
    let view = {
        let restores = Arc::clone(&restores);
        move || async move {
            let moments = vec![PastMoment { at_ms: FROM + 1, what: "before Notes was updated to 1.3".into() }];
            let restores = restores.lock().clone();
            let (from_ms, until_ms) = (FROM, UNTIL);
            Json(PastView { kept: true, from_ms, until_ms, window_days: 30, moments, restores, ..PastView::default() })
        }
    };
    let preview = |Query(at): Query<At>| async move {
        if !(FROM..=UNTIL).contains(&at.at_ms) {
            let detail = "This moment is not kept any more.".to_owned();
            let problem = Problem { kind: "about:blank".into(), title: String::new(), status: 404, detail };
            return Err((StatusCode::NOT_FOUND, Json(problem)));
        }
        let notes = TableDifference {
            app_name: "Notes".into(),
            table: "notes".into(),
            returning: 12,
            leaving: 1,
            ..TableDifference::default()
        };
        Ok(Json(PastPreview { at_ms: at.at_ms, tables: vec![notes], ..PastPreview::default() }))
    };
    let restore = {
        let restores = Arc::clone(&restores);
        move |Json(asked): Json<RestoreRequest>| async move {
            let mut restores = restores.lock();
            let id = asked.id.unwrap();
            if !restores.iter().any(|known| known.id == id) {
                let (at_ms, done_ms, undo_until_ms) = (asked.at_ms, UNTIL, NEVER);
                restores.push(RestoreView { id: id.clone(), at_ms, done_ms, undo_until_ms, undone: false });
            }
            Json(restores.iter().find(|known| known.id == id).unwrap().clone())
        }
    };
    let undo = move |Path(id): Path<String>| async move {
        let mut restores = restores.lock();
        let known = restores.iter_mut().find(|known| known.id == id).unwrap();
        known.undone = true;
        Json(known.clone())
    };
    let care = || async {
        Json(CareView { checked_ms: Some(UNTIL), objects: 1_234, bytes: 56_000_000, ..CareView::default() })
    };
    Router::new()
        .route("/past", get(view))
        .route("/past/preview", get(preview))
        .route("/past/restore", post(restore))
        .route("/past/restores/{id}/undo", post(undo))
        .route("/care", get(care))
}

#[tokio::test]
async fn a_moment_is_chosen_seen_gone_back_to_and_come_back_from() {
    let (house, _operator) = House::open().await;
    let anna = house.person("anna").await;
    let dashboard = anna.get("/servers/anna").await;
    assert!(dashboard.contains("1,234 objects, 56 MB, all whole") && dashboard.contains("/servers/anna/past"));
    assert!(dashboard.contains("on durable storage before it says so"), "{dashboard}");
    let page = anna.get("/servers/anna/past").await;
    for part in
        ["Before Notes was updated to 1.3", "21 November 2026, 11:00 UTC", "min=\"2026-11-21\"", "value=\"12:00\""]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Undo"));

    // By day and time, on a clock that is an hour ahead.
    let preview = anna.get("/servers/anna/past/preview?day=2026-11-21&time=12:30&ahead=60").await;
    assert!(preview.contains("21 November 2026, 11:30 UTC"), "{preview}");
    assert!(preview.contains("Notes, notes: 12 records come back, 1 record made since goes."), "{preview}");
    for nonsense in ["", "?day=2026-11-21&time=", "?at=yesterday", "?day=1999-01-01&time=12:00"] {
        let answer = anna.ask(Method::GET, &format!("/servers/anna/past/preview{nonsense}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{nonsense}");
    }

    let form = fields(&preview);
    for _ in 0..2 {
        assert_eq!(anna.send("/servers/anna/past", &form).await.status(), StatusCode::SEE_OTHER, "twice is once");
    }
    let page = anna.get("/servers/anna/past").await;
    assert_eq!(page.matches("Your server went back to").count(), 1, "{page}");
    let (_, undo) = page.split_once("/servers/anna/past/").unwrap();
    let path = page.split("action=\"").map(|rest| rest.split('"').next().unwrap()).find(|path| path.ends_with("/undo"));
    let path = path.unwrap_or_else(|| panic!("no way back: {undo}"));
    let token = [("token".to_owned(), anna.token().await)];
    assert_eq!(anna.send(path, &token).await.status(), StatusCode::SEE_OTHER);
    let page = anna.get("/servers/anna/past").await;
    assert!(page.contains("Taken back.") && !page.contains("/undo\""), "{page}");
    let answer = anna.send("/servers/anna/past/..%2Fx/undo", &token).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
