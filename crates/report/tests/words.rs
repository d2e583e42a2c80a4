//! Every language says everything, and nothing is asked for that no language says.
//!
//! The files of texts are compared with one another and with the keys that code and templates name. A text that nobody
//! asks for is a mistake as well: it would be kept up to date for nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use isomark_report::words::{BUILT_IN, ENGLISH, Words};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(dir: &Path, endings: &[&str], all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, endings, all);
        } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
            all.push(path);
        }
    }
}

/// Sources of the report and its templates; tests at the end of a source are left out.
fn sources() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    files(&root().join("crates/report/src"), &["rs"], &mut all);
    files(&root().join("report-templates"), &["html", "js", "css"], &mut all);
    assert!(all.len() > 50, "the walk found {} files only", all.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (path, text)
    };
    all.into_iter().map(read).collect()
}

/// The first argument of every call of a function, where it is a literal.
fn asked(text: &str, function: &str) -> Vec<String> {
    let call = format!("{function}(");
    let calls = text
        .match_indices(&call)
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    calls
        .filter_map(|(at, _)| text[at + call.len()..].trim_start().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn keys(language: &str) -> BTreeMap<String, BTreeSet<String>> {
    let words = Words::load(language, None).unwrap();
    let own = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    words.keys().map(|(key, names)| (key.to_owned(), own(names))).collect()
}

#[test]
fn all_languages_have_the_same_texts_with_the_same_placeholders() {
    let english = keys(ENGLISH);
    assert!(english.len() > 50);
    for (language, _) in BUILT_IN {
        let own = keys(language);
        for (key, names) in &english {
            let found = own.get(key).unwrap_or_else(|| panic!("{language}.toml lacks {key}"));
            // A language without plural needs no placeholder that only chooses a form.
            assert!(found.is_subset(names), "{language}.toml {key}: {found:?} instead of {names:?}");
            let english = Words::load(ENGLISH, None).unwrap();
            let needed = english.shown(key);
            assert!(
                needed.is_subset(&found.iter().map(String::as_str).collect()),
                "{language}.toml {key}: {needed:?}"
            );
        }
        // Words that come with data have their English in the data.
        let extra = |key: &&String| !english.contains_key(*key) && !key.starts_with("data.");
        let beyond: Vec<&String> = own.keys().filter(extra).collect();
        assert!(beyond.is_empty(), "{language}.toml says what {ENGLISH}.toml does not: {beyond:?}");
    }
}

#[test]
fn every_text_that_is_asked_for_exists() {
    let known = keys(ENGLISH);
    let mut count = 0;
    for (path, text) in sources() {
        let plain = ["say", "tell"].into_iter().flat_map(|function| asked(&text, function));
        let stored = asked(&text, "stored").into_iter().map(|key| format!("stored.{key}"));
        for key in plain.chain(stored) {
            assert!(known.contains_key(&key), "{}: no text {key:?}", path.display());
            count += 1;
        }
        for section in ["named", "find"].into_iter().flat_map(|function| asked(&text, function)) {
            let start = format!("{section}.");
            if start == "data." {
                continue;
            }
            assert!(
                known.keys().any(|key| key.starts_with(&start)),
                "{}: no section {section:?}",
                path.display()
            );
        }
    }
    assert!(count > 50, "{count} keys found only");
}

#[test]
fn every_text_is_asked_for() {
    let sources = sources();
    let all: String = sources.iter().map(|(_, text)| text.as_str()).collect();
    let sections: BTreeSet<String> =
        ["named", "find"].into_iter().flat_map(|function| asked(&all, function)).collect();
    for key in keys(ENGLISH).keys() {
        let section = key.rsplit_once('.').map(|(section, _)| section).unwrap_or_default();
        let short = key.strip_prefix("stored.").unwrap_or(key);
        let named = all.contains(&format!("\"{short}\"")) || sections.contains(section);
        // Sentences of other crates: this one only recognises them.
        let foreign = key.starts_with("stored.told.");
        assert!(named || foreign, "nobody asks for {key}");
    }
}

#[test]
fn data_that_a_page_shows_has_its_words_in_every_language() {
    let (layers, files) = isomark_report::claims::shelf::load().unwrap();
    let untitled = files.iter().filter(|file| file.title_zh.is_none());
    let mut all: BTreeSet<&str> = untitled.map(|file| file.title.as_str()).collect();
    all.extend(files.iter().flat_map(|file| &file.rules).map(|rule| rule.about.as_str()));
    all.extend(layers.layer.iter().flat_map(|layer| [layer.name.as_str(), layer.inside.as_str()]));
    let boxes = layers.layer.iter().flat_map(|layer| &layer.stack);
    all.extend(boxes.flat_map(|one| [one.name.as_str(), one.what.as_str()]));
    all.extend(files.iter().flat_map(|file| &file.rules).filter_map(|rule| rule.not_testable.as_deref()));
    all.remove("");
    for (language, _) in BUILT_IN.iter().filter(|(language, _)| *language != ENGLISH) {
        let own = keys(language);
        let lacking: Vec<&&str> =
            all.iter().filter(|text| !own.contains_key(&format!("data.{text}"))).collect();
        assert!(lacking.is_empty(), "{language}.toml [data] lacks {lacking:#?}");
    }
}
