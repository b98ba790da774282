//! What `$text` looks for, from a person's words to FTS5's language.
//!
//! All words must be there, in any of the index's fields; `"words in quotes"` stand together, `-word` must not be there,
//! and `word*` is the beginning of one. Letters match without regard to case and accents. Nothing a person types is
//! an operator of FTS5: every word goes into quotes.

use super::query::Error;

/// The longest search.
const LENGTH_LIMIT: usize = 1_000;
/// The most words.
const WORDS_LIMIT: usize = 32;

/// Words to be found. Invariant: at least one of them is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    expression: String,
}

impl Words {
    /// Reads what a person typed.
    pub fn parse(search: &str) -> Result<Self, Error> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        if search.len() > LENGTH_LIMIT {
            return Err(Error::TooLarge("the words to be found are longer than 1,000 characters"));
        }
        let mut rest = search.trim_start();
        while !rest.is_empty() {
            let (list, body) = match rest.strip_prefix('-') {
                Some(body) => (&mut unwanted, body),
                None => (&mut wanted, rest),
            };
            let (word, after) = match body.strip_prefix('"') {
                Some(body) => body.split_once('"').unwrap_or((body, "")),
                None => body.split_at(body.find(char::is_whitespace).unwrap_or(body.len())),
            };
            // A word of signs only would be found nowhere, or everywhere.
            if word.chars().any(char::is_alphanumeric) {
                list.push(quoted(word));
            }
            rest = after.trim_start();
        }
        if wanted.len() + unwanted.len() > WORDS_LIMIT {
            return Err(Error::TooLarge("there are more than 32 words to be found"));
        }
        if wanted.is_empty() {
            return Err(Error::Operand { operator: "$text".into(), needs: "$search with a word to be found" });
        }
        let mut expression = format!("({})", wanted.join(" AND "));
        for word in unwanted {
            expression = format!("({expression} NOT {word})");
        }
        Ok(Self { expression })
    }

    /// In the language of FTS5.
    pub(super) fn expression(&self) -> &str {
        &self.expression
    }
}

fn quoted(word: &str) -> String {
    let (word, beginning) = match word.strip_suffix('*') {
        Some(beginning) => (beginning, "*"),
        None => (word, ""),
    };
    format!("\"{}\"{beginning}", word.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_become_an_expression_and_nothing_typed_is_an_operator() {
        let expression = |text: &str| Words::parse(text).unwrap().expression;
        assert_eq!(expression("green  tea"), r#"("green" AND "tea")"#);
        assert_eq!(expression(r#""green tea" -milk sug*"#), r#"(("green tea" AND "sug"*) NOT "milk")"#);
        assert_eq!(expression("a OR (b) NEAR c0:x"), r#"("a" AND "OR" AND "(b)" AND "NEAR" AND "c0:x")"#);
        assert_eq!(expression(r#"a "open"#), r#"("a" AND "open")"#);
        for nothing in ["", "  ", "-a", "!!! ***", "\""] {
            assert!(Words::parse(nothing).is_err(), "{nothing}");
        }
        assert!(Words::parse(&"a ".repeat(40)).is_err() && Words::parse(&"a".repeat(2000)).is_err());
    }
}
