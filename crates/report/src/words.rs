//! In which language does a report speak?
//!
//! All texts are in one file a language, `report-templates/lang/NAME.toml`, and code asks for them by key: [`say`] for
//! words alone, [`tell`] with named placeholders. The language is that of the scope, [`within`], on this thread: a
//! hundred small functions make sentences, and two reports in two languages may be made side by side. A text that a
//! language lacks is told in English; a test keeps the files that come with isomark complete.
//!
//! What a run stores is English, always: sentences of `summary.json` and `run.json` are part of a contract. [`stored`]
//! makes them, and [`retold`] says them in the language of the scope by recognising which sentence it is.

pub(crate) mod pattern;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use isomark_core::Error;
use isomark_core::store::read_named;

use pattern::Pattern;

/// The language that everything is stored in, and the one that others fall back to.
pub const ENGLISH: &str = "en";

/// Languages that come with isomark: name and file.
pub const BUILT_IN: [(&str, &str); 2] = [
    (ENGLISH, include_str!("../../../report-templates/lang/en.toml")),
    ("zh", include_str!("../../../report-templates/lang/zh.toml")),
];

/// Section of sentences that are stored in English and recognised again.
const STORED: &str = "stored.";

/// Largest file of texts accepted, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How often a part of a stored sentence may be a stored sentence itself.
const DEPTH: usize = 4;

/// All texts of one language.
#[derive(Clone, Debug, Default)]
pub struct Words {
    name: String,
    texts: BTreeMap<String, Pattern>,
}

static FALLBACK: LazyLock<Words> = LazyLock::new(|| Words::parse(ENGLISH, BUILT_IN[0].1).unwrap_or_default());

thread_local! {
    static SPOKEN: RefCell<Option<Rc<Words>>> = const { RefCell::new(None) };
}

impl Words {
    /// The texts of a language: those of `templates/lang/NAME.toml` if that exists, else those that come with isomark.
    ///
    /// # Errors
    /// [`Error::Input`] naming the languages that exist, or the file and what is wrong with it.
    pub fn load(name: &str, templates: Option<&Path>) -> Result<Self, Error> {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let own = templates.filter(|_| plain).map(|dir| dir.join("lang").join(format!("{name}.toml")));
        if let Some(path) = own.filter(|path| path.exists()) {
            let fail = |e: &dyn Display| Error::Input(format!("texts {}: {e}", path.display()));
            let text =
                read_named(&path, MAX_FILE).map_err(|e| Error::Input(format!("texts {}", e.chain())))?;
            return Self::parse(name, &text).map_err(|e| fail(&e));
        }
        let known = BUILT_IN.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            Error::Input(format!(
                "no language {name:?}: there are {}, and --templates DIR adds DIR/lang/NAME.toml",
                names.join(" and ")
            ))
        })?;
        Self::parse(name, known.1).map_err(|e| Error::Input(format!("texts {name}: {e}")))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut texts = BTreeMap::new();
        flatten("", &table, &mut texts)?;
        Ok(Self { name: name.to_owned(), texts })
    }

    /// Name of the language, as `<html lang>` has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys with the names of their placeholders.
    pub fn keys(&self) -> impl Iterator<Item = (&str, std::collections::BTreeSet<&str>)> {
        self.texts.iter().map(|(key, pattern)| (key.as_str(), pattern.names()))
    }

    /// Names of the placeholders of a text that are shown, and do not only choose a number form.
    #[must_use]
    pub fn shown(&self, key: &str) -> std::collections::BTreeSet<&str> {
        self.get(key).map(Pattern::shown).unwrap_or_default()
    }

    fn get(&self, key: &str) -> Option<&Pattern> {
        self.texts.get(key)
    }
}

fn flatten(above: &str, table: &toml::Table, texts: &mut BTreeMap<String, Pattern>) -> Result<(), String> {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, texts)?,
            toml::Value::String(text) => {
                let pattern = Pattern::parse(text).map_err(|why| format!("{key}: {why}"))?;
                texts.insert(key, pattern);
            }
            _ => return Err(format!("{key}: a text or a table of texts is needed")),
        }
    }
    Ok(())
}

/// Does something in a language.
///
/// ```
/// use isomark_report::words::{Words, say, within};
/// # fn demo() -> Result<(), isomark_core::Error> {
/// let chinese = Words::load("zh", None)?;
/// let (there, here) = (within(chinese, || say("page.method")), say("page.method"));
/// assert_ne!(there, here);
/// # Ok(())
/// # }
/// # demo().unwrap();
/// ```
pub fn within<T>(words: Words, work: impl FnOnce() -> T) -> T {
    /// Puts back what was spoken before, also if the work panics.
    struct Before(Option<Rc<Words>>);
    impl Drop for Before {
        fn drop(&mut self) {
            SPOKEN.set(self.0.take());
        }
    }
    let _before = Before(SPOKEN.replace(Some(Rc::new(words))));
    work()
}

/// Name of the language of the scope.
#[must_use]
pub fn language() -> String {
    SPOKEN
        .with_borrow(|spoken| spoken.as_ref().map_or_else(|| ENGLISH.to_owned(), |words| words.name.clone()))
}

/// Whether the scope speaks the language that everything is stored in.
#[must_use]
pub fn is_english() -> bool {
    SPOKEN.with_borrow(|spoken| spoken.as_ref().is_none_or(|words| words.name == ENGLISH))
}

/// The text of a key.
#[must_use]
pub fn say(key: &str) -> String {
    tell(key, &[])
}

/// The text of a key with its placeholders filled in. A key that nobody knows stands for itself.
#[must_use]
pub fn tell(key: &str, with: &[(&str, &dyn Display)]) -> String {
    known(key, with).unwrap_or_else(|| key.to_owned())
}

/// The text of a name in a section, `word.slower`; the name itself where the section does not have it.
#[must_use]
pub fn named(section: &str, name: &str) -> String {
    known(&format!("{section}.{name}"), &[]).unwrap_or_else(|| name.to_owned())
}

/// The text of a name in a section, if it has it.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<String> {
    known(&format!("{section}.{name}"), &[])
}

/// The text of a key, if there is one.
pub(crate) fn known(key: &str, with: &[(&str, &dyn Display)]) -> Option<String> {
    SPOKEN.with_borrow(|spoken| {
        let own = spoken.as_ref().and_then(|words| words.get(key));
        own.or_else(|| FALLBACK.get(key)).map(|pattern| pattern.fill(with))
    })
}

/// A sentence that is stored: in English whatever the scope speaks.
#[must_use]
pub fn stored(key: &str, with: &[(&str, &dyn Display)]) -> String {
    FALLBACK.get(&format!("{STORED}{key}")).map_or_else(|| key.to_owned(), |pattern| pattern.fill(with))
}

/// A stored sentence in the language of the scope; as it is where nobody knows it.
#[must_use]
pub fn retold(text: &str) -> String {
    if is_english() { text.to_owned() } else { read_again(text, DEPTH) }
}

/// A stored text in the language of the scope, and the name of the language that it is in then.
#[must_use]
pub fn again(text: &str) -> (String, String) {
    let told = retold(text);
    let known = is_english() || told != text;
    (told, if known { language() } else { ENGLISH.to_owned() })
}

fn read_again(text: &str, depth: usize) -> String {
    if depth == 0 || text.is_empty() {
        return text.to_owned();
    }
    let candidates = FALLBACK.texts.range(STORED.to_owned()..).take_while(|(key, _)| key.starts_with(STORED));
    let matching = candidates.filter_map(|(key, pattern)| Some((key, pattern, pattern.read(text)?)));
    // The sentence that says most by itself is meant.
    let Some((key, _, found)) = matching.max_by_key(|(_, pattern, _)| pattern.letters()) else {
        return text.to_owned();
    };
    let parts: Vec<(&str, String)> =
        found.iter().map(|(name, part)| (*name, read_again(part, depth - 1))).collect();
    let with: Vec<(&str, &dyn Display)> =
        parts.iter().map(|(name, part)| (*name, part as &dyn Display)).collect();
    tell(key, &with)
}

/// Words that come with data, such as a claim's title, in the language of the scope: its section `data` has them by their
/// English text.
#[must_use]
pub fn data(text: &str) -> String {
    if is_english() { text.to_owned() } else { named("data", text) }
}

/// `a, b and c` in the language of the scope.
#[must_use]
pub fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => tell("list.and", &[("most", &most.join(&say("list.comma"))), ("last", last)]),
    }
}

/// Clauses side by side as a sentence has them: `it starts late, weighs much and computes as fast`.
pub(crate) fn clauses(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => {
            tell("list.and_clause", &[("most", &most.join(&say("list.clause"))), ("last", last)])
        }
    }
}

/// Parts side by side: `a, b, c` in the language of the scope.
#[must_use]
pub fn comma(parts: &[String]) -> String {
    parts.join(&say("list.comma"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_and_what_is_missing_is_english() {
        let small = Words::parse("xx", "[list]\ncomma = '; '").unwrap();
        let parts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(within(small, || listed(&parts)), "a; b and c");
        assert_eq!(listed(&parts), "a, b and c");
        assert_eq!(say("no.such.key"), "no.such.key");
        assert_eq!(named("word", "no-such-word"), "no-such-word");
    }

    #[test]
    fn stored_sentences_are_recognised_with_their_parts() {
        let text = stored("pairs", &[("n", &7), ("needed", &20)]);
        assert_eq!(text, "7 of 20 pairs that a verdict needs");
        assert_eq!(retold(&text), text);
        let chinese = || Words::load("zh", None).unwrap();
        let told = within(chinese(), || retold(&text));
        assert!(told.contains('7') && told.contains("20") && !told.contains("pairs"), "{told}");
        assert_eq!(within(chinese(), || retold("a message of a kernel")), "a message of a kernel");
    }

    #[test]
    fn languages_that_do_not_exist_are_refused_by_name() {
        for bad in ["", "xx", "../../etc/passwd"] {
            let e = Words::load(bad, Some(Path::new("/"))).unwrap_err().to_string();
            assert!(e.contains("en and zh"), "{e}");
        }
    }
}
