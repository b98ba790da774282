//! Pages from fragments: the app brings a body, the server brings the rest.

use super::html::{escape, json_in_script};
use crate::apps::manifest::Page;
use crate::server::{Installed, Server};

/// Where every app finds the client script.
pub(super) const CLIENT: &str = "/app/info.freezr.public/public/freezrApiV2.js";

/// The client script.
pub(super) const CLIENT_TEXT: &str = include_str!("assets/freezrApiV2.js");

/// The whole page around a fragment, for the owner.
pub(super) fn page(server: &Server, app: &Installed, page: &Page, body: &str, nonce: &str) -> String {
    around(app, page, body, nonce, &meta(server, app), &super::started::tag(app))
}

/// The same for visitors, who are nobody the page knows.
pub(super) fn public_page(server: &Server, app: &Installed, page: &Page, body: &str, nonce: &str) -> String {
    let mut meta = meta(server, app);
    meta["userId"] = serde_json::Value::Null;
    meta["publicOwner"] = server.launch.site.name.as_str().into();
    around(app, page, body, nonce, &meta, "")
}

fn around(app: &Installed, page: &Page, body: &str, nonce: &str, meta: &serde_json::Value, watch: &str) -> String {
    let id = app.record.id.as_str();
    let title = escape(page.title.as_deref().unwrap_or(&app.record.name));
    let address = |path: &str| escape(&address(id, path));
    let mut head = String::new();
    for css in &page.css_files {
        head.push_str(&format!("<link rel=\"stylesheet\" href=\"{}\">\n", address(css)));
    }
    if let Some(icon) = &app.manifest.icon {
        head.push_str(&format!("<link rel=\"icon\" href=\"{}\">\n", address(icon)));
    }
    let meta = json_in_script(meta);
    let mut scripts = format!("<script nonce=\"{nonce}\">window.freezrMeta = {meta};</script>\n");
    scripts.push_str(&format!("<script src=\"{CLIENT}\"></script>\n"));
    for script in &page.script_files {
        scripts.push_str(&format!("<script src=\"{}\" defer></script>\n", address(script)));
    }
    for module in &page.modules {
        scripts.push_str(&format!("<script type=\"module\" src=\"{}\"></script>\n", address(module)));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n\
         <title>{title}</title>\n{watch}{head}{scripts}</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
}

/// What a page is told about where it runs.
fn meta(server: &Server, app: &Installed) -> serde_json::Value {
    serde_json::json!({
        "appName": app.record.id,
        "appVersion": app.record.version,
        "appDisplayName": app.record.name,
        "userId": server.launch.site.name,
        "userDisplayName": server.launch.owner.display_name,
        "serverAddress": server.launch.site.origin(),
        "serverVersion": env!("CARGO_PKG_VERSION"),
        "serverType": "freehold",
        "adminUser": false,
    })
}

/// The address of a file of the app's code; whole addresses and those of other apps' public files stay as they are.
fn address(app: &str, path: &str) -> String {
    match path.strip_prefix("./").unwrap_or(path) {
        rooted if rooted.starts_with('/') => rooted.to_owned(),
        path => {
            let encoded = percent_encoding::utf8_percent_encode(path, PATH);
            format!("/app/{app}/{encoded}")
        }
    }
}

const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');
