//! The page that asks once more before something goes.

use crate::shell::Shell;

#[derive(askama::Template)]
#[template(path = "consumer/confirm.html")]
pub(super) struct Confirm {
    pub(super) shell: Shell,
    pub(super) question: String,
    pub(super) meaning: String,
    pub(super) action: String,
    pub(super) back: String,
    pub(super) keep: &'static str,
    pub(super) go: &'static str,
    pub(super) next: String,
}
