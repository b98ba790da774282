//! Signing in and out.

use axum::extract::Query;
use axum::http::{HeaderValue, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use control_plane::accounts::{self, SignIn};
use control_plane::{Error, Kind};
use serde::Deserialize;

use crate::page::{self, Answer, Field};
use crate::shell::Shell;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/sign_in.html")]
struct SignInPage {
    shell: Shell,
    problem: Option<String>,
    email: Field,
    password: Field,
    next: String,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    email: String,
    password: String,
    next: String,
}

/// `GET /sign-in`.
pub(super) async fn show(visit: Visit, Query(form): Query<Form>) -> Answer {
    let next = local(&form.next);
    if visit.actor.account().is_some() {
        return page::on_to(if next.is_empty() { "/" } else { &next });
    }
    form_page(&visit, String::new(), next, None)
}

/// `POST /sign-in`.
pub(super) async fn send(visit: Visit, Posted(form): Posted<Form>) -> Answer {
    let next = local(&form.next);
    let who = SignIn { email: form.email.clone(), password: form.password };
    match accounts::sign_in(visit.console.plane(), who, visit.from).await {
        Ok(session) => {
            let cookies = visit.console.cookies().keep_session(&session.token);
            let on = Redirect::to(if next.is_empty() { "/" } else { &next });
            Ok((AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))), on).into_response())
        }
        Err(error) if error.kind() != Kind::Bug => form_page(&visit, form.email, next, Some(error)),
        Err(error) => Err(error.into()),
    }
}

/// `POST /sign-out`.
pub(super) async fn sign_out(visit: Visit, _: Posted<Nothing>) -> Answer {
    if let Some(session) = &visit.session {
        accounts::sign_out(visit.console.plane(), session).await?;
    }
    let cookie = visit.console.cookies().drop_session();
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// A path of ours to go on to; anything that could lead elsewhere is nothing.
pub(crate) fn local(next: &str) -> String {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/\\")
        && !next.contains(|sign: char| sign.is_control() || sign == '\\');
    if ours { next.to_owned() } else { String::new() }
}

fn form_page(visit: &Visit, email: String, next: String, error: Option<Error>) -> Answer {
    let error = error.as_ref();
    let problem = error.filter(|error| !matches!(error.field(), Some("email" | "password")));
    let to_server = next.contains("/open");
    let form = SignInPage {
        shell: Shell::bare(visit),
        problem: problem.map(|error| error.sentence().to_owned()),
        email: Field::judged(email, "email", error),
        password: Field::judged("", "password", error),
        next,
    };
    let mut response = page::show_form(error, &form)?;
    if to_server {
        // The answer to this form leads on to the person's own server, which browsers count as a target of the form.
        let scheme = visit.console.scheme().as_str();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self' {scheme}://*.{}:*; frame-ancestors 'none'; base-uri 'none'",
            visit.business.sites_domain
        );
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn only_our_own_paths_are_gone_on_to() {
        assert_eq!(local("/servers/anna/open?next=/open/x"), "/servers/anna/open?next=/open/x");
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "javascript:x"] {
            assert_eq!(local(bad), "", "{bad:?} was taken");
        }
    }
}
