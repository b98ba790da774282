//! The static files, embedded in the binary so that a provider is one file to copy.
//!
//! Every file is served under a name that carries the hash of its content and may be kept by browsers for ever;
//! a new version has a new name. A wrong hash is a 404: never another version under an old name.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    served_as: String,
}

fn asset(name: &'static str, kind: &'static str, body: &'static str) -> Asset {
    let digest = hex::encode(Sha256::digest(body.as_bytes()));
    let (stem, ending) = name.split_once('.').unwrap_or((name, "bin"));
    Asset { name, kind, body, served_as: format!("{stem}.{}.{ending}", &digest[..12]) }
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        asset("tokens.css", "text/css; charset=utf-8", tenant_runtime::pages::TOKENS),
        asset("components.css", "text/css; charset=utf-8", include_str!("../static/components.css")),
        asset("console.js", "text/javascript; charset=utf-8", include_str!("../static/console.js")),
        asset("mark.svg", "image/svg+xml", include_str!("../static/mark.svg")),
    ]
});

/// The path under which the named static file is served; an unknown name is a mistake in a template.
pub(crate) fn url(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    debug_assert!(found.is_some(), "no static file is called {name}");
    found.map(|asset| format!("/static/{}", asset.served_as)).unwrap_or_default()
}

/// `GET /static/{file}`.
pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.served_as == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.body).into_response()
}

/// `GET /favicon.ico`, which browsers ask for on their own.
pub(crate) async fn favicon() -> axum::response::Redirect {
    axum::response::Redirect::permanent(&url("mark.svg"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_served_name_carries_the_hash_of_its_content() {
        let url = super::url("tokens.css");
        let hash = url.strip_prefix("/static/tokens.").and_then(|rest| rest.strip_suffix(".css"));
        assert_eq!(hash.map(str::len), Some(12), "{url}");
    }
}
