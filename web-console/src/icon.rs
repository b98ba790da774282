//! The line icons, drawn once in `static/icons.svg` and written into the pages, so that they take the colour of the
//! text around them and need no request of their own.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

static DRAWINGS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let source = include_str!("../static/icons.svg");
    source
        .split("<symbol id=\"")
        .skip(1)
        .filter_map(|symbol| {
            let (name, rest) = symbol.split_once('"')?;
            let (_, rest) = rest.split_once('>')?;
            let (drawing, _) = rest.split_once("</symbol>")?;
            Some((name, drawing))
        })
        .collect()
});

/// One icon, ready to be written into a page; it is decoration and hidden from screen readers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Icon {
    drawing: &'static str,
    class: &'static str,
}

/// The icon of this name.
pub(crate) fn icon(name: &str) -> Icon {
    shaded(name, "i")
}

/// The icon of this name with other classes than `i`.
pub(crate) fn shaded(name: &str, class: &'static str) -> Icon {
    let drawing = DRAWINGS.get(name).copied();
    debug_assert!(drawing.is_some(), "no icon is called {name}");
    Icon { drawing: drawing.unwrap_or_default(), class }
}

/// Whether an icon of this name was drawn.
pub(crate) fn is_drawn(name: &str) -> bool {
    DRAWINGS.contains_key(name)
}

impl fmt::Display for Icon {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, r#"<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>"#, self.class, self.drawing)
    }
}

impl askama::filters::HtmlSafe for Icon {}

#[cfg(test)]
mod tests {
    #[test]
    fn every_icon_of_the_source_is_found() {
        assert!(super::DRAWINGS.len() >= 38, "{}", super::DRAWINGS.len());
        assert!(super::icon("door").to_string().contains("<path"));
    }
}
