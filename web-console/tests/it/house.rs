//! A whole console for one test: a control plane over a small host, behind a real port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use control_plane::catalogue::Catalogue;
use control_plane::{ControlPlane, PublicAddress, Settings};
use reqwest::{Client, Method, Response};
use tokio_util::sync::CancellationToken;
use web_console::config::Scheme;
use web_console::{Console, Parts};

use crate::host::SmallHost;

pub(crate) const PASSWORD: &str = "velvet harbour thirteen moths";

pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) plane: ControlPlane,
    _folder: tempfile::TempDir,
}

impl House {
    /// Nobody's yet.
    pub(crate) async fn new() -> Self {
        // The HTTP client builds TLS even where it speaks none, and takes the cryptography the program installs.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Arc::new(SmallHost::new(folder.path().to_owned()));
        let plane = ControlPlane::start(Settings {
            database: control_plane::db::Db::url_in(folder.path()),
            data_dir: folder.path().to_owned(),
            public: PublicAddress { scheme: "http".into(), host: "localhost".into(), port: Some(address.port()) },
            host,
            smtp: None,
            idle_after: Duration::from_secs(300),
            sign_ups_per_hour: 1000,
            places: control_plane::places::Reach::Private,
            // Nobody answers there, so that no test asks the network.
            dns: control_plane::domains::Dns {
                resolver: Some(([127, 0, 0, 1], 1).into()),
                addresses: vec!["192.0.2.7".parse().unwrap()],
            },
            drills_every: None,
            grace: billing::Grace::default(),
            clock: control_plane::Clock::system(),
        })
        .await
        .unwrap();
        let console = web_console::console(Console::new(Parts {
            plane: plane.clone(),
            catalogue: Catalogue::built_in(folder.path(), jiff::Timestamp::now()).unwrap(),
            form_key: [7; 32],
            scheme: Scheme::Http,
            proposed_domain: "localhost".into(),
            stopping: CancellationToken::new(),
        }));
        tokio::spawn(async move {
            axum::serve(listener, console.into_make_service_with_connect_info::<SocketAddr>()).await
        });
        Self { address, plane, _folder: folder }
    }

    /// Set up, with an operator who is signed in.
    pub(crate) async fn open() -> (Self, Browser) {
        let house = Self::new().await;
        let token = control_plane::business::setup_token(&house.plane).await.unwrap().unwrap();
        let operator = house.browser();
        let page = operator.get(&format!("/setup?token={token}")).await;
        let mut form = fields(&page);
        form.retain(|(name, _)| !["business_name", "display_name", "email", "password"].contains(&name.as_str()));
        for (name, value) in [
            ("business_name", "Nordhaus"),
            ("display_name", "Jonas Maier"),
            ("email", "jonas@nordhaus.example"),
            ("password", PASSWORD),
        ] {
            form.push((name.into(), value.into()));
        }
        let answer = operator.send("/setup", &form).await;
        assert!(matches!(answer.status(), StatusCode::OK | StatusCode::SEE_OTHER), "{}", answer.text().await.unwrap());
        (house, operator)
    }

    /// Somebody new, with a cookie jar of their own.
    pub(crate) fn browser(&self) -> Browser {
        self.browser_of(Client::builder().cookie_store(true))
    }

    fn browser_of(&self, client: reqwest::ClientBuilder) -> Browser {
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Browser { client, origin: format!("http://localhost:{}", self.address.port()) }
    }

    /// Somebody whose browser keeps no cookies, so that a test can say which are sent.
    pub(crate) fn bare(&self) -> Browser {
        self.browser_of(Client::builder())
    }

    /// Somebody who has signed up for a server of this name, which is there.
    pub(crate) async fn person(&self, name: &str) -> Browser {
        let person = self.browser();
        let answer = person.sign_up(name).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{}", answer.text().await.unwrap());
        loop {
            let answer = person.ask(Method::GET, &format!("/servers/{name}/creating")).send().await.unwrap();
            if answer.status() == StatusCode::SEE_OTHER {
                return person;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) struct Browser {
    client: Client,
    pub(crate) origin: String,
}

impl Browser {
    pub(crate) fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.origin)).header("accept", "text/html")
    }

    /// A page that must be there.
    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.ask(Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    pub(crate) async fn send(&self, path: &str, form: &[(String, String)]) -> Response {
        self.ask(Method::POST, path).form(form).send().await.unwrap()
    }

    /// The token of this browser's forms, from any page with one.
    pub(crate) async fn token(&self) -> String {
        for path in ["/account", "/sign-in"] {
            let text = self.ask(Method::GET, path).send().await.unwrap().text().await.unwrap();
            if let Some((_, token)) = fields(&text).into_iter().find(|(name, _)| name == "token") {
                return token;
            }
        }
        panic!("no page has a form");
    }

    pub(crate) async fn sign_up(&self, name: &str) -> Response {
        let mut form = fields(&self.get("/sign-up").await);
        form.retain(|(field, _)| !["address", "email"].contains(&field.as_str()));
        form.extend(
            [("address", name.to_owned()), ("email", format!("{name}@berg.example")), ("password", PASSWORD.into())]
                .map(|(a, b)| (a.to_owned(), b)),
        );
        self.send("/sign-up", &form).await
    }
}

/// What a browser would send of the forms on a page: named inputs with their values, ticked radio buttons.
pub(crate) fn fields(page: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in page.split("<input ").skip(1) {
        let tag = input.split('>').next().unwrap_or_default();
        let attribute = |name: &str| {
            let (_, rest) = tag.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let kind = attribute("type").unwrap_or_default();
        if kind == "file" || kind == "password" || (kind == "radio" && !tag.contains(" checked")) {
            continue;
        }
        if let Some(name) = attribute("name")
            && !fields.iter().any(|(known, _)| *known == name)
        {
            fields.push((name, attribute("value").unwrap_or_default()));
        }
    }
    fields
}
