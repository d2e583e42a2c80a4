//! Placeholders: `{name}` in text, doubled braces for braces themselves.
//!
//! A placeholder stands for one text, or, alone in an argument, for several arguments or none. What is not known is an
//! error when the stanza is read, never an argument that reaches a tool.

use std::collections::{BTreeMap, BTreeSet};

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One text.
    One(String),
    /// Arguments.
    Many(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::One(text)
    }
}

/// Placeholders and what they stand for.
pub(crate) type Values = BTreeMap<String, Value>;

/// A piece of text.
enum Piece<'t> {
    Plain(&'t str),
    Name(&'t str),
}

/// Takes text apart.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        pieces.push(Piece::Plain(before));
        if from.starts_with("{{") || from.starts_with("}}") {
            pieces.push(Piece::Plain(&from[..1]));
            rest = &from[2..];
            continue;
        }
        let inside = from.strip_prefix('{').ok_or("a } without its {; write }} for the brace itself")?;
        let (name, after) =
            inside.split_once('}').ok_or("a { without its }; write {{ for the brace itself")?;
        pieces.push(Piece::Name(name));
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

/// The placeholder that an argument consists of, if it is nothing else.
fn alone(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    (!name.contains(['{', '}'])).then_some(name)
}

/// Checks text against what is known: names of one text, and names that may stand for several arguments.
///
/// # Errors
/// Which placeholder is not known or cannot stand there.
pub(crate) fn check(text: &str, one: &BTreeSet<String>, many: &BTreeSet<String>) -> Result<(), String> {
    if alone(text).is_some_and(|name| many.contains(name)) {
        return Ok(());
    }
    for piece in pieces(text)? {
        match piece {
            Piece::Name(name) if many.contains(name) => {
                return Err(format!("{{{name}}} stands for several arguments and must stand alone"));
            }
            Piece::Name(name) if !one.contains(name) => {
                let known = one.iter().chain(many).map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(format!("placeholder {{{name}}} is none of {known}"));
            }
            Piece::Name(_) | Piece::Plain(_) => {}
        }
    }
    Ok(())
}

/// Fills in one text.
///
/// # Errors
/// Which placeholder has no value here.
pub(crate) fn fill(text: &str, values: &Values) -> Result<String, String> {
    let mut out = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Name(name) => match values.get(name) {
                Some(Value::One(value)) => out.push_str(value),
                Some(Value::Many(_)) => return Err(format!("{{{name}}} must stand alone")),
                None => return Err(format!("{{{name}}} has no value here")),
            },
        }
    }
    Ok(out)
}

/// Fills in a command, argument by argument.
///
/// # Errors
/// Which placeholder has no value here.
pub(crate) fn fill_all<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    values: &Values,
) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for text in texts {
        match alone(text).and_then(|name| values.get(name)) {
            Some(Value::Many(several)) => all.extend(several.iter().cloned()),
            _ => all.push(fill(text, values)?),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let many = Value::Many(vec!["--net".into(), "none".into()]);
        [
            ("a".to_owned(), "A".into()),
            ("many".to_owned(), many),
            ("none".to_owned(), Value::Many(Vec::new())),
        ]
        .into()
    }

    #[test]
    fn placeholders_are_filled_and_braces_survive() {
        let texts = ["x{a}y", "{many}", "{none}", "{{.Pid}}", "{a}{a}", ""];
        assert_eq!(fill_all(texts, &values()).unwrap(), ["xAy", "--net", "none", "{.Pid}", "AA", ""]);
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        for (text, why) in
            [("{b}", "{b}"), ("x{many}", "alone"), ("{a", "without its }"), ("a}", "without its {")]
        {
            let error = fill(text, &values()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let (one, many) = (["a".to_owned()].into(), ["many".to_owned()].into());
        assert!(check("{a}{many}", &one, &many).is_err());
        assert!(check("{many}", &one, &many).is_ok() && check("{a}", &one, &many).is_ok());
        assert!(check("{x}", &one, &many).unwrap_err().contains("none of a, many"));
    }
}
