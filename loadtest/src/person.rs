//! A person with a browser: keeps cookies, reads pages, fills in forms.
//!
//! It goes through the same pages and the same forms as everybody else, with
//! what is hidden in them, so that a journey in a test is one that a browser
//! without JavaScript can make.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ORIGIN};
use reqwest::{Client, Method, RequestBuilder, Response};
use scraper::{Html, Selector};
use serde_json::Value;
use url::Url;

/// How long a person waits while nothing at all comes back. Everything here answers sooner, also when it refuses.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody with a cookie jar and a console to go to.
#[derive(Clone)]
pub struct Person {
    http: Client,
    console: Url,
}

/// A form as it stands on a page, with what it has been filled in with.
#[derive(Clone, Debug)]
pub struct Form {
    pub(crate) action: Url,
    pub(crate) fields: BTreeMap<String, String>,
}

/// A person's own server, signed in to.
#[derive(Clone)]
pub struct OwnServer {
    /// Whose it is.
    pub person: Person,
    /// The first label of its address.
    pub name: String,
    origin: Url,
}

/// Every name leads to this machine, as `*.localhost` does in a browser.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, _: Name) -> Resolving {
        let address: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
        Box::pin(std::future::ready(Ok(address)))
    }
}

/// A client to which every name is this machine.
pub(crate) fn this_machine(client: reqwest::ClientBuilder) -> Result<Client> {
    // The HTTP client builds TLS even where it speaks none, and takes the cryptography the program installs.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = client.dns_resolver(Arc::new(ThisMachine)).connect_timeout(PATIENCE).read_timeout(PATIENCE);
    Ok(client.build()?)
}

impl Person {
    /// Somebody who has typed in the console's address.
    pub fn at(address: SocketAddr, console: &str) -> Result<Self> {
        let mut console: Url = console.parse().context("the console's address")?;
        console.set_port(Some(address.port())).map_err(|()| anyhow!("a console without a host"))?;
        let http = this_machine(Client::builder().cookie_store(true).pool_max_idle_per_host(4))?;
        Ok(Self { http, console })
    }

    /// The same browser, where somebody has typed in another console's address.
    pub fn elsewhere(&self, address: SocketAddr, console: &str) -> Result<Self> {
        let mut console: Url = console.parse().context("the console's address")?;
        console.set_port(Some(address.port())).map_err(|()| anyhow!("a console without a host"))?;
        Ok(Self { http: self.http.clone(), console })
    }

    /// The address of a path of the console, or of a whole link.
    fn url(&self, path: &str) -> Result<Url> {
        self.console.join(path).with_context(|| format!("the address {path}"))
    }

    /// Any request to the console.
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        Ok(self.http.request(method, self.url(path)?))
    }

    /// Asks for a page; follows redirects; any status.
    pub async fn ask(&self, path: &str) -> Result<Response> {
        let request = self.http.get(self.url(path)?).header(ACCEPT, "text/html");
        Ok(request.send().await?)
    }

    /// A page that must be there.
    pub async fn page(&self, path: &str) -> Result<String> {
        let response = self.ask(path).await?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        ensure!(status.is_success(), "{url} answered {status}: {}", words(&text));
        Ok(text)
    }

    /// The form on page `path` whose action begins with `action`.
    pub async fn form(&self, path: &str, action: &str) -> Result<Form> {
        let response = self.ask(path).await?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        let found = find_form(&text, &url, action)?;
        found.with_context(|| format!("{url} ({status}) has no form for {action}: {}", words(&text)))
    }

    /// The form whose action begins with `action` on a page that is there already.
    pub fn form_in(&self, page: &str, at: &Url, action: &str) -> Result<Form> {
        find_form(page, at, action)?.with_context(|| format!("{at} has no form for {action}: {}", words(page)))
    }

    /// Sends a form; any status.
    pub async fn send(&self, form: Form) -> Result<Response> {
        let origin = form.action.origin().ascii_serialization();
        let request = self.http.post(form.action).header(ORIGIN, origin).header(ACCEPT, "text/html");
        Ok(request.form(&form.fields).send().await?)
    }

    /// Sends a form that must be accepted; the page it led to.
    pub async fn submit(&self, form: Form) -> Result<(Url, String)> {
        let action = form.action.clone();
        let response = self.send(form).await?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        ensure!(status.is_success(), "{action} answered {status}: {}", words(&text));
        Ok((url, text))
    }

    /// Signs up on the first plan that is offered, and waits until the server is ready.
    pub async fn sign_up(&self, name: &str) -> Result<OwnServer> {
        self.sign_up_on(name, &self.first_plan().await?).await
    }

    /// The same, on the last plan that is offered, which has the most room.
    pub async fn sign_up_widely(&self, name: &str) -> Result<OwnServer> {
        let plans = self.plans().await?;
        self.sign_up_on(name, plans.last().context("the sign-up page offers no plan")?).await
    }

    async fn sign_up_on(&self, name: &str, plan: &str) -> Result<OwnServer> {
        let form = self.form("/sign-up", "/sign-up").await?;
        let email = format!("{name}@example.org");
        let answers =
            [("address", name), ("email", &email), ("password", "violet harbour counts seven"), ("plan", plan)];
        self.submit(form.with(&answers)).await?;
        self.enter(name).await
    }

    /// The id of the first plan on the sign-up page.
    pub async fn first_plan(&self) -> Result<String> {
        self.plans().await?.into_iter().next().context("the sign-up page offers no plan")
    }

    /// The ids of the plans on the sign-up page.
    async fn plans(&self) -> Result<Vec<String>> {
        let page = self.page("/sign-up").await?;
        let plans = Selector::parse("input[name=plan]").map_err(|error| anyhow!("{error}"))?;
        let page = Html::parse_document(&page);
        Ok(page.select(&plans).filter_map(|input| Some(input.attr("value")?.to_owned())).collect())
    }

    /// Goes from the console to the server by hand-over, waiting while it is made.
    pub async fn enter(&self, name: &str) -> Result<OwnServer> {
        let mut last = String::new();
        for _ in 0..600 {
            let response = self.ask(&format!("/servers/{name}/open")).await?;
            let at = response.url().clone();
            if response.status().is_success() && at.host_str().is_some_and(|host| host.starts_with(&format!("{name}.")))
            {
                let origin = at.join("/")?;
                return Ok(OwnServer { person: self.clone(), name: name.to_owned(), origin });
            }
            last = format!("{at} answered {}", response.status());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{name} did not become ready: {last}")
    }
}

impl Form {
    /// Where it is sent.
    #[must_use]
    pub fn action(&self) -> &Url {
        &self.action
    }

    /// The form with these answers filled in.
    #[must_use]
    pub fn with(mut self, answers: &[(&str, &str)]) -> Self {
        for (name, value) in answers {
            self.fields.insert((*name).to_owned(), (*value).to_owned());
        }
        self
    }
}

impl OwnServer {
    /// The host name and port of the server, or of one of its apps by label.
    pub fn host(&self, label: Option<&str>) -> Result<String> {
        let host = self.origin.host_str().context("a server without a host")?;
        let port = self.origin.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(match label {
            Some(label) => format!("{label}.{host}{port}"),
            None => format!("{host}{port}"),
        })
    }

    /// A call to an app's origin, with what a page of that origin would send along.
    pub fn call(&self, label: &str, method: Method, path: &str) -> Result<RequestBuilder> {
        let origin = format!("http://{}", self.host(Some(label))?);
        let request = self.person.http.request(method, format!("{origin}{path}"));
        Ok(request.header(ORIGIN, origin))
    }

    /// A call whose answer must be JSON and a success.
    pub async fn json(&self, label: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.call(label, method, path)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{label}{path} answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{label}{path} answered {text}"))
    }

    /// Installs an app from the provider's catalogue and opens it once, so that
    /// this person's browser is signed in on its origin.
    pub async fn install(&self, app: &str) -> Result<()> {
        let apps = format!("/servers/{}/apps", self.name);
        let form = self.person.form(&apps, &format!("{apps}/{app}/install")).await?;
        self.person.submit(form).await?;
        self.open(app).await
    }

    /// A password of an app, good once.
    pub async fn app_password(&self, app: &str) -> Result<String> {
        let url = self.origin.join(&format!("/acctapi/generateAppPassword?app_name={app}"))?;
        let made: Value = self.person.http.get(url).send().await?.error_for_status()?.json().await?;
        made["app_password"].as_str().map(str::to_owned).context("an answer without a password")
    }

    /// A token for an app, as a program outside the browser gets one.
    pub async fn token(&self, label: &str, app: &str) -> Result<String> {
        let ask = serde_json::json!({
            "username": self.name, "password": self.app_password(app).await?, "client_id": app, "grant_type": "password",
        });
        let given = self.json(label, Method::POST, "/oauth/token", Some(&ask)).await?;
        given["access_token"].as_str().map(str::to_owned).context("an answer without a token")
    }

    /// Opens an app from the launcher.
    pub async fn open(&self, app: &str) -> Result<()> {
        let url = self.origin.join(&format!("/open/{app}"))?;
        let response = self.person.http.get(url).header(ACCEPT, "text/html").send().await?;
        let (status, at) = (response.status(), response.url().clone());
        ensure!(status.is_success(), "opening {app} ended at {at} with {status}");
        Ok(())
    }
}

fn find_form(page: &str, at: &Url, action: &str) -> Result<Option<Form>> {
    let selector = |text: &str| Selector::parse(text).map_err(|error| anyhow!("{error}"));
    let (forms, inputs) = (selector("form")?, selector("input[name]")?);
    let page = Html::parse_document(page);
    for form in page.select(&forms) {
        let url = at.join(form.attr("action").unwrap_or_default())?;
        if !url.path().starts_with(action) {
            continue;
        }
        let fields = form
            .select(&inputs)
            .filter(|input| {
                !matches!(input.attr("type"), Some("radio" | "checkbox" | "file")) || input.attr("checked").is_some()
            })
            .filter_map(|input| {
                Some((input.attr("name")?.to_owned(), input.attr("value").unwrap_or_default().to_owned()))
            })
            .collect();
        return Ok(Some(Form { action: url, fields }));
    }
    Ok(None)
}

/// What a page says, without its markup.
pub(crate) fn words(page: &str) -> String {
    let text: String = Html::parse_document(page).root_element().text().collect::<Vec<_>>().join(" ");
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(600).collect()
}
