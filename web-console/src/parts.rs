//! The parts pages are put together from: facts, banners, steps, tables. Each is a struct that a page embeds.

use std::fmt;

use askama::filters::HtmlSafe;
use control_plane::operations::{Kind, Operation, State, StepState};
use jiff::Timestamp;

use crate::icon::{self, Icon};
use crate::show::{self, Amount};

/// Text that is written into a page: escaped when made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Plain text.
    pub(crate) fn text(text: impl fmt::Display) -> Self {
        let text = text.to_string();
        let mut html = String::with_capacity(text.len());
        for sign in text.chars() {
            match sign {
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '&' => html.push_str("&amp;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                other => html.push(other),
            }
        }
        Self(html)
    }

    /// What is safe by its type.
    pub(crate) fn safe(part: impl HtmlSafe) -> Self {
        Self(part.to_string())
    }

    /// Markup put together from parts that were escaped one by one.
    pub(crate) fn already_safe(markup: String) -> Self {
        Self(markup)
    }

    /// A link.
    pub(crate) fn link(path: &str, words: impl fmt::Display) -> Self {
        Self(format!(r#"<a href="{}">{}</a>"#, Self::text(path).0, Self::text(words).0))
    }

    /// A badge: a state that is never told by colour alone.
    pub(crate) fn badge(badge: &Badge) -> Self {
        Self(format!(r#"<span class="badge {}">{}</span>"#, badge.tone, Self::text(&badge.words).0))
    }

    /// This and a smaller line under it.
    pub(crate) fn with_small(self, small: impl HtmlSafe) -> Self {
        Self(format!(r#"{}<small class="when">{small}</small>"#, self.0))
    }

    /// Two parts, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(format!("{} {}", self.0, other.0))
    }
}

impl fmt::Display for Html {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// A state: its colour and its word.
#[derive(Debug, Clone)]
pub(crate) struct Badge {
    pub(crate) tone: &'static str,
    pub(crate) words: String,
}

impl Badge {
    pub(crate) fn new(tone: &'static str, words: impl Into<String>) -> Self {
        Self { tone, words: words.into() }
    }
}

/// A label and what stands against it.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) value: Html,
    pub(crate) note: String,
}

impl Fact {
    pub(crate) fn new(label: &str, value: impl fmt::Display) -> Self {
        Self { label: label.to_owned(), value: Html::text(value), note: String::new() }
    }

    pub(crate) fn html(label: &str, value: impl HtmlSafe) -> Self {
        Self { label: label.to_owned(), value: Html::safe(value), note: String::new() }
    }

    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Something that asks to be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Banner {
    pub(crate) tone: &'static str,
    pub(crate) what: String,
    pub(crate) meaning: String,
    pub(crate) path: String,
    pub(crate) label: &'static str,
}

/// One step of something that takes a while.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) words: String,
    pub(crate) hint: String,
    pub(crate) took: String,
    pub(crate) state: StepState,
}

impl Step {
    pub(crate) fn class(&self) -> &'static str {
        match self.state {
            StepState::Waiting => "later",
            StepState::Running => "now",
            StepState::Done => "done",
            StepState::Failed => "failed",
        }
    }

    pub(crate) fn spoken(&self) -> &'static str {
        match self.state {
            StepState::Waiting => "Not started",
            StepState::Running => "In progress",
            StepState::Done => "Done",
            StepState::Failed => "Failed",
        }
    }

    pub(crate) fn dot(&self) -> Option<&'static str> {
        match self.state {
            StepState::Done => Some("check"),
            StepState::Failed => Some("x"),
            StepState::Waiting | StepState::Running => None,
        }
    }
}

/// The steps of an operation, for its page.
pub(crate) fn steps(operation: &Operation) -> Vec<Step> {
    let step = |view: &control_plane::operations::StepView| Step {
        words: view.title.to_owned(),
        hint: view.error.clone().unwrap_or_default(),
        took: match (view.state, view.progress) {
            (StepState::Running, Some((done, total))) if total > 0 => format!("{} %", done.min(total) * 100 / total),
            _ => String::new(),
        },
        state: view.state,
    };
    operation.steps.iter().map(step).collect()
}

/// A bar with its words.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) width: String,
    pub(crate) words: String,
}

impl Bar {
    /// `done` of `total`, told as amounts of data or as `what`.
    pub(crate) fn new(done: u64, total: u64, what: Option<&str>) -> Self {
        let width = if total == 0 { 0.0 } else { done.min(total) as f64 * 100.0 / total as f64 };
        let words = match what {
            Some(what) => format!("{} of {} {what}", show::Count(done), show::Count(total)),
            None => format!("{} of {}", Amount(done), Amount(total)),
        };
        Self { width: format!("{width:.1}"), words }
    }
}

/// An operation as one line of a list.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) icon: Icon,
    pub(crate) what: String,
    pub(crate) state: String,
    pub(crate) when: show::Moment,
    pub(crate) path: String,
}

impl Line {
    /// `base` is the path of the server it belongs to.
    pub(crate) fn of(operation: &Operation, base: &str) -> Self {
        let (icon, path) = match operation.kind {
            Kind::Export => ("down", format!("{base}/exports/{}", operation.id)),
            Kind::Import => ("up", format!("{base}/imports/{}", operation.id)),
        };
        Self {
            icon: icon::icon(icon),
            what: what(operation).to_owned(),
            state: state(operation),
            when: show::both(moment(operation.created_ms)),
            path,
        }
    }
}

/// What an operation is, for people.
pub(crate) fn what(operation: &Operation) -> &'static str {
    match (operation.kind, operation.place) {
        (Kind::Export, None) => "Export",
        (Kind::Export, Some(_)) => "Copy to storage of yours",
        (Kind::Import, _) => "Import",
    }
}

/// How an operation stands, for its owner.
pub(crate) fn state(operation: &Operation) -> String {
    match (operation.kind, operation.state) {
        (_, State::Running) => {
            let now = operation.steps.iter().find(|step| step.state == StepState::Running);
            now.map_or_else(|| "It goes on by itself.".to_owned(), |step| format!("Now: {}.", lower(step.title)))
        }
        (Kind::Import, State::Waiting) if operation.report.is_some() => {
            "Its report is ready and waits for your yes.".to_owned()
        }
        (_, State::Waiting) => "It waits for the rest of the upload.".to_owned(),
        (_, State::Ready) => match operation.bytes {
            Some(bytes) => format!("Ready to download, {}.", Amount(bytes)),
            None => "Ready to download.".to_owned(),
        },
        (Kind::Export, State::Done) => match operation.bytes {
            Some(bytes) if operation.place.is_some() => format!("It lies there, {}.", Amount(bytes)),
            _ => "Downloaded.".to_owned(),
        },
        (Kind::Import, State::Done) => "Your server has its content.".to_owned(),
        (_, State::Undone) => "Taken back: your server is as it was before.".to_owned(),
        (_, State::Failed) => "It did not finish, and nothing was changed.".to_owned(),
        (_, State::Ended) => "Stopped, and nothing was changed.".to_owned(),
    }
}

/// How an operation stands, as a badge for operators.
pub(crate) fn operation_badge(operation: &Operation) -> Badge {
    match operation.state {
        State::Running => Badge::new("info", "Running"),
        State::Waiting => Badge::new("", "Waits for its owner"),
        State::Ready => Badge::new("ok", "Ready"),
        State::Done => Badge::new("ok", "Done"),
        State::Undone => Badge::new("", "Undone"),
        State::Failed => Badge::new("danger", "Failed"),
        State::Ended => Badge::new("", "Ended"),
    }
}

fn lower(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Milliseconds as a moment; a time beyond the calendar is its end.
pub(crate) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) label: &'static str,
    pub(crate) number: bool,
}

/// A table that reads as a list on a phone.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Vec<Html>>,
    pub(crate) empty: &'static str,
    pub(crate) empty_hint: &'static str,
}

impl Table {
    /// Columns; a label that begins with `#` holds numbers.
    pub(crate) fn new(heads: &[&'static str], empty: &'static str, empty_hint: &'static str) -> Self {
        let head = |label: &&'static str| match label.strip_prefix('#') {
            Some(label) => Head { label, number: true },
            None => Head { label, number: false },
        };
        Self { heads: heads.iter().map(head).collect(), rows: Vec::new(), empty, empty_hint }
    }

    pub(crate) fn row(&mut self, cells: Vec<Html>) {
        debug_assert_eq!(cells.len(), self.heads.len(), "a cell for every column");
        self.rows.push(cells);
    }
}

/// An app's tile: its picture from the catalogue, a drawing of ours, or its first letter.
pub(crate) fn tile(id: &str, name: &str, in_catalogue: bool) -> Html {
    if in_catalogue {
        return Html(format!(
            r#"<span class="tile a-other"><img src="/catalogue/icons/{}" alt="" width="56" height="56"></span>"#,
            url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>()
        ));
    }
    let known = id.rsplit('.').next().unwrap_or(id);
    if icon::is_drawn(known) {
        return Html(format!(r#"<span class="tile a-other">{}</span>"#, icon::icon(known)));
    }
    let letter = name.chars().next().unwrap_or('?').to_uppercase().to_string();
    Html(format!(r#"<span class="tile a-other"><b aria-hidden="true">{}</b></span>"#, Html::text(letter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_once() {
        assert_eq!(Html::text("<a & \"b'").to_string(), "&lt;a &amp; &quot;b&#39;");
        assert_eq!(Html::link("/a?b=\"", "<x>").to_string(), r#"<a href="/a?b=&quot;">&lt;x&gt;</a>"#);
    }
}
