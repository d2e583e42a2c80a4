//! What the documents point at is there: files, headings, paths in backticks, scripts; and README leads to all of them.
//!
//! Nothing outside of the repository is looked up: whether an address on the net still answers is no test's business.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where documents lie.
const FOLDERS: [&str; 7] =
    ["", "docs", "queries", "bench-results", "fuzz", "report-templates", "report-templates/fonts"];
/// Paths that begin so are meant from the top of the repository. What lies below `bench-results` is made by runs.
const TOPS: [&str; 8] =
    ["scripts/", "docs/", "crates/", "runtimes/", "scenarios/", "report-templates/", "queries/", "fuzz/"];
/// What fuzzing makes: not there in a clean clone.
const MADE: [&str; 3] = ["fuzz/artifacts", "fuzz/corpus", "fuzz/coverage"];
/// Words that stand for a name: what is before them must exist.
const PLACEHOLDERS: [&str; 3] = ["NAME", "DIR", "FILE"];

/// A document of the repository: its path from the top, and its text.
struct Document {
    path: PathBuf,
    text: String,
}

/// The documents of a repository, in the order of their paths.
fn documents(root: &Path) -> Vec<Document> {
    let mut all = Vec::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "md")) {
            let text = fs::read_to_string(&path).unwrap();
            all.push(Document { path: path.strip_prefix(root).unwrap().to_owned(), text });
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

impl Document {
    /// Its lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        })
    }

    /// The addresses of its links.
    fn links(&self) -> BTreeSet<String> {
        let rest = |line: &str| -> Vec<String> {
            line.split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next())
                .map(str::to_owned)
                .collect()
        };
        self.prose().flat_map(rest).filter(|link| !link.contains("://")).collect()
    }

    /// The fragments by which its headings are linked to.
    fn headings(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for heading in self.prose().filter(|line| line.starts_with('#')) {
            let plain = slug(heading.trim_start_matches('#').trim());
            let more = (1..).map(|n| format!("{plain}-{n}"));
            let free = std::iter::once(plain.clone()).chain(more).find(|slug| !all.contains(slug));
            all.extend(free);
        }
        all
    }

    /// What stands between backticks, word by word. A span may go on in the next line.
    fn quoted(&self) -> Vec<String> {
        let prose = self.prose().collect::<Vec<_>>().join("\n");
        let spans = prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
        spans
            .flat_map(str::split_whitespace)
            .map(|word| word.trim_matches([',', ';', ':', '.', '\'', '"']).to_owned())
            .collect()
    }

    /// Where a relative address leads.
    fn target(&self, address: &str) -> PathBuf {
        let mut path = self.path.parent().unwrap().to_owned();
        for part in Path::new(address).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                part => path.push(part),
            }
        }
        path
    }
}

/// A heading as a fragment, as GitHub makes it.
fn slug(heading: &str) -> String {
    let letter = |c: char| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    };
    heading.chars().filter_map(letter).collect()
}

/// Whether a path in words exists, up to the first part that stands for something.
fn exists(root: &Path, words: &str) -> bool {
    let stands_for = |part: &str| {
        let stem = part.split('.').next().unwrap_or_default();
        PLACEHOLDERS.contains(&stem) || part.contains(['*', '{', '<', '…'])
    };
    let known: PathBuf = words.split('/').take_while(|part| !stands_for(part)).collect();
    root.join(known).exists()
}

/// What leads nowhere, in words.
fn complaints(root: &Path) -> Vec<String> {
    let all = documents(root);
    let mut bad = Vec::new();
    for document in &all {
        let name = document.path.display();
        for link in document.links() {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { document.path.clone() } else { document.target(file) };
            if !root.join(&target).exists() {
                bad.push(format!("{name}: the link to {link} leads to no file"));
            }
            let there = all.iter().find(|other| other.path == target);
            if !heading.is_empty() && !there.is_some_and(|there| there.headings().contains(heading)) {
                bad.push(format!("{name}: the link to {link} leads to no heading"));
            }
        }
        for path in document.quoted().iter().filter(|word| TOPS.iter().any(|top| word.starts_with(top))) {
            let made = MADE.iter().any(|made| path.starts_with(made));
            if !made && !exists(root, path) {
                bad.push(format!("{name}: there is no {path}"));
            }
        }
        // Commands to type stand in blocks, too.
        for rest in document.text.split("scripts/").skip(1) {
            let script = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap();
            if !root.join("scripts").join(script).exists() {
                bad.push(format!("{name}: there is no scripts/{script}"));
            }
        }
    }
    bad
}

/// The documents that somebody finds who begins with README.
fn reached(all: &[Document]) -> BTreeSet<&Path> {
    let (mut found, mut next) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(path) = next.pop() {
        let Some(document) = all.iter().find(|document| document.path == path) else { continue };
        if found.insert(document.path.as_path()) {
            next.extend(document.links().iter().map(|link| document.target(link.split('#').next().unwrap())));
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn whatever_a_document_points_at_is_there() {
    let all = documents(&root());
    let links: usize = all.iter().map(|document| document.links().len()).sum();
    assert!(all.len() > 15 && links > 30, "{} documents with {links} links were found only", all.len());
    let bad = complaints(&root());
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn every_document_is_reached_from_the_readme() {
    let all = documents(&root());
    let found = reached(&all);
    let lost = all.iter().map(|document| document.path.as_path()).filter(|path| !found.contains(path));
    let lost = lost.collect::<Vec<_>>();
    assert!(lost.is_empty(), "no way from README.md to {lost:?}");
}

#[test]
fn what_leads_nowhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["docs", "scripts", "runtimes/catalogue"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let page = "# The first `word`, twice\n## Two\n## Two\n[a](#two-1) [b](docs/OTHER.md#fine) [c](https://x.org/y#z)\n\
                `runtimes/catalogue/NAME.toml` `runtimes/*.toml`\n```\n[not](a-link) `docs/nor-a-path`\n```\n";
    let other = "# Fine\n[up](../README.md#the-first-word-twice) [gone](GONE.md) [lost](../README.md#two-2)\n\
                 `docs/no-such\nfile` run scripts/none\n";
    fs::write(dir.path().join("README.md"), page).unwrap();
    fs::write(dir.path().join("docs/OTHER.md"), other).unwrap();
    let bad = complaints(dir.path());
    let other = |what: &str| format!("docs/OTHER.md: {what}");
    assert_eq!(
        bad,
        [
            other("the link to ../README.md#two-2 leads to no heading"),
            other("the link to GONE.md leads to no file"),
            other("there is no docs/no-such"),
            other("there is no scripts/none"),
        ]
    );
    fs::write(dir.path().join("docs/ALONE.md"), "# Alone\n").unwrap();
    let all = documents(dir.path());
    assert_eq!(reached(&all), [Path::new("README.md"), Path::new("docs/OTHER.md")].into());
}

/// The bodies of the blocks of a page that open with these words.
fn blocks<'p>(page: &'p str, head: &str) -> Vec<&'p str> {
    let fence = format!("```{head}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// What `scripts/test-guides` needs minutes for is looked at in a moment: whether the guides still fit the house.
#[test]
fn the_guides_add_to_the_house_as_it_stands() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let stanza = "runtimes/catalogue/chroot.toml";
    let text = blocks(&page, &format!("toml {stanza}"));
    assert_eq!(text.len(), 1);
    isomark_runtimes::check_stanza(stanza, text[0]).unwrap();
    for added in [stanza, "runtimes/src/powerless.rs", "scenarios/src/round_trip.rs"] {
        assert!(page.contains(&format!(" {added}\n")) && !root().join(added).exists(), "{added}");
    }
    // `sed -i 's/^LINE/…/' FILE` puts something beside a line that must be there, once.
    let edits = blocks(&page, "sh")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("sed -i 's/^"));
    let mut count = 0;
    for edit in edits {
        let (line, file) = (edit.split('/').next().unwrap(), edit.rsplit(' ').next().unwrap());
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.lines().filter(|own| own.starts_with(line)).count(), 1, "{line:?} in {file}");
        count += 1;
    }
    assert_eq!(count, 4, "two lines on each shelf");
    let scenario = blocks(&page, "rust scenarios/src/round_trip.rs");
    let lines = scenario[0].lines().filter(|line| !line.is_empty() && !line.starts_with("//!")).count();
    assert!(lines + 2 <= 20, "{lines} lines and two on the shelf are more than twenty");
}
