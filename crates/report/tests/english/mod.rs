//! Which sentences of a text are English?
//!
//! Four words in a row that are made of small Latin letters are a sentence; names, numbers, units and flags are none. What
//! a page marks as English (`lang="en"`), code, style and script are left out.

/// Elements whose text is not for reading, or that are never closed.
const SILENT: [&str; 4] = ["style", "script", "code", "pre"];
const VOID: [&str; 6] = ["meta", "link", "br", "input", "hr", "img"];
/// Attributes that are read.
const READ: [&str; 4] = ["title", "aria-label", "data-label", "alt"];

/// English sentences of a text, or of a page's texts and attributes.
pub(crate) fn sentences(text: &str, markup: bool) -> Vec<String> {
    let texts = if markup { texts(text) } else { text.lines().map(str::to_owned).collect() };
    texts.into_iter().filter(|text| is_english(text)).collect()
}

fn is_english(text: &str) -> bool {
    let mut row = 0;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let plain = bare.len() > 1 && bare.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '\'' | '’'));
        row = if plain && !word.starts_with("--") { row + 1 } else { 0 };
        if row >= 4 {
            return true;
        }
        // A list of names and values, `isa auto, kernel lu`, is no sentence.
        if word.ends_with(',') {
            row = 0;
        }
    }
    false
}

/// What is read of a page: the texts between tags, and attributes that are told.
fn texts(page: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut silent: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        if silent.is_empty() && !rest[..at].trim().is_empty() {
            all.push(rest[..at].trim().to_owned());
        }
        let end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        let tag = &rest[at + 1..end.saturating_sub(1).max(at + 1)];
        rest = &rest[end..];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default().to_owned();
        let closed = tag.ends_with('/') || VOID.contains(&&*name);
        if tag.starts_with('/') {
            if silent.last() == Some(&name) {
                silent.pop();
            }
        } else if !closed
            && (!silent.is_empty() && silent.last() == Some(&name) || starts_silence(&name, tag))
        {
            silent.push(name);
        } else if silent.is_empty() {
            all.extend(READ.iter().filter_map(|attribute| value(tag, attribute)));
        }
        // What stands in a script is no markup.
        if let Some(name) = silent.last().filter(|name| SILENT.contains(&name.as_str())) {
            let close = format!("</{name}");
            rest = rest.find(&close).map_or("", |at| &rest[at..]);
        }
    }
    all
}

fn starts_silence(name: &str, tag: &str) -> bool {
    SILENT.contains(&name) || (name != "html" && value(tag, "lang").as_deref() == Some("en"))
}

fn value(tag: &str, attribute: &str) -> Option<String> {
    let start = format!(" {attribute}=\"");
    let rest = &tag[tag.find(&start)? + start.len()..];
    rest.split('"').next().map(str::to_owned)
}

#[test]
fn sentences_are_told_from_names() {
    let page = "<html lang=\"en\"><p title=\"one more instance here\">中文</p><style>a b c d e f</style>\
                <p>用 isomark run --plan claims 测量</p><p lang=\"en\">this is left <b>out on</b> purpose alone</p>\
                <br><p>they are paired within blocks</p>";
    assert_eq!(sentences(page, true), ["one more instance here", "they are paired within blocks"]);
}
