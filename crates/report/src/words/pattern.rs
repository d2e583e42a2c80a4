//! A text with named placeholders: written and, where it was stored, read again.
//!
//! `{name}` stands for what is given under that name, `{name:one|many}` for the first word if that is `1` and for the
//! second otherwise. Nothing else is special; a brace is never wanted in a sentence.

use std::collections::BTreeSet;
use std::fmt::Display;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Named(String),
    Number { name: String, one: String, many: String },
}

/// A text with named placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(from) = rest.find('{') {
            let to = rest[from..].find('}').map(|at| from + at).ok_or("a { without its }")?;
            if from > 0 {
                pieces.push(Piece::Words(rest[..from].to_owned()));
            }
            pieces.push(piece(&rest[from + 1..to])?);
            rest = &rest[to + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Words(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Names of its placeholders.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(Piece::name).collect()
    }

    /// Names of those that are shown.
    pub(crate) fn shown(&self) -> BTreeSet<&str> {
        let shown = self.0.iter().filter(|piece| matches!(piece, Piece::Named(_)));
        shown.filter_map(Piece::name).collect()
    }

    /// How many letters of it are its own.
    pub(crate) fn letters(&self) -> usize {
        let own = |piece: &Piece| if let Piece::Words(words) = piece { words.len() } else { 0 };
        self.0.iter().map(own).sum()
    }

    /// The text with its placeholders filled in; one that was not given stays visible.
    pub(crate) fn fill(&self, with: &[(&str, &dyn Display)]) -> String {
        let given =
            |name: &str| with.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        let one = |piece: &Piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Named(name) => given(name).unwrap_or_else(|| format!("{{{name}}}")),
            Piece::Number { name, one, many } => {
                if given(name).as_deref() == Some("1") {
                    one.clone()
                } else {
                    many.clone()
                }
            }
        };
        self.0.iter().map(one).collect()
    }

    /// What stands for each placeholder in a text that was made by this pattern.
    pub(crate) fn read<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>> {
        // A pattern without words of its own would recognise everything.
        if self.letters() == 0 {
            return None;
        }
        let mut found = Vec::new();
        read(&self.0, text, &mut found).then_some(found)
    }
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Words(_) => None,
            Self::Named(name) | Self::Number { name, .. } => Some(name),
        }
    }
}

fn piece(inner: &str) -> Result<Piece, String> {
    let (name, forms) = inner.split_once(':').map_or((inner, None), |(name, forms)| (name, Some(forms)));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Err(format!("{{{inner}}} is no placeholder"));
    }
    let name = name.to_owned();
    match forms.map(|forms| forms.split_once('|')) {
        None => Ok(Piece::Named(name)),
        Some(Some((one, many))) => Ok(Piece::Number { name, one: one.to_owned(), many: many.to_owned() }),
        Some(None) => Err(format!("{{{inner}}} needs two forms: {{{name}:one|many}}")),
    }
}

/// Reads the pieces off the front of a text, shortest placeholders first.
fn read<'p, 't>(pieces: &'p [Piece], text: &'t str, found: &mut Vec<(&'p str, &'t str)>) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Words(words), rest @ ..] => {
            text.strip_prefix(&**words).is_some_and(|text| read(rest, text, found))
        }
        [Piece::Number { one, many, .. }, rest @ ..] => [many, one]
            .into_iter()
            .any(|form| text.strip_prefix(&**form).is_some_and(|text| read(rest, text, found))),
        [Piece::Named(name), rest @ ..] => {
            let ends = text.char_indices().map(|(at, _)| at).skip(1).chain([text.len()]);
            for end in ends {
                let before = found.len();
                found.push((name, &text[..end]));
                if !text.is_empty() && read(rest, &text[end..], found) {
                    return true;
                }
                found.truncate(before);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn placeholders_have_names_and_number_forms() {
        let trials = pattern("{n} of {all} {all:trial|trials} failed");
        assert_eq!(trials.names(), ["all", "n"].into());
        assert_eq!(trials.fill(&[("n", &1), ("all", &1)]), "1 of 1 trial failed");
        assert_eq!(trials.fill(&[("n", &1), ("all", &24)]), "1 of 24 trials failed");
        assert_eq!(trials.fill(&[]), "{n} of {all} trials failed");
        for bad in ["{", "{}", "{N}", "{n:one}"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let one = pattern("{who} cannot run here: {why}");
        let found = one.read("docker cannot run here: it: is not installed").unwrap();
        assert_eq!(found, [("who", "docker"), ("why", "it: is not installed")]);
        assert_eq!(one.read("docker cannot run"), None);
        assert_eq!(pattern("{all}").read("anything"), None);
    }

    proptest! {
        #[test]
        fn reading_is_the_inverse_of_filling(a in "[a-z0-9 .:é–]{1,20}", b in "[a-z0-9 .:é–]{1,20}") {
            let one = pattern("({a}) against ({b})");
            let text = one.fill(&[("a", &a), ("b", &b)]);
            prop_assert_eq!(one.read(&text), Some(vec![("a", a.as_str()), ("b", b.as_str())]));
        }

        #[test]
        fn no_text_makes_a_pattern_panic(text in ".{0,60}", words in ".{0,60}") {
            if let Ok(one) = Pattern::parse(&words) {
                let _ = one.read(&text);
            }
        }
    }
}
