//! The catalogue: tools that a user already has, one stanza of data each.
//!
//! Stanzas come with isomark (`runtimes/catalogue/*.toml`) or from a directory of the user's. One that is wrong is
//! refused when it is read, by file, line and key, before anything runs.

mod check;
pub(crate) mod stanza;
pub(crate) mod template;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use isomark_core::Error;

pub(crate) use stanza::Stanza;

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// Largest stanza accepted, in bytes.
const MAX_STANZA: u64 = 64 << 10;

/// Reads a stanza and forgets it.
///
/// # Errors
/// [`Error::Input`] naming file, line and key.
pub(crate) fn check(file: &str, text: &str) -> Result<(), Error> {
    check::parse(file, text, &[]).map(drop)
}

/// All stanzas, in the order of their names: those that came with isomark, then the user's. None may have a name that is
/// `taken`.
///
/// # Errors
/// [`Error::Input`] naming file, line and key.
pub(crate) fn load(extra: Option<&Path>, taken: &[String]) -> Result<Vec<Arc<Stanza>>, Error> {
    let mut all = Vec::new();
    for (file, text) in STANZAS {
        all.push(Arc::new(check::parse(file, text, taken)?));
    }
    for (file, text) in extra.map_or_else(|| Ok(Vec::new()), read)? {
        let stanza = check::parse(&file, &text, taken)?;
        if all.iter().any(|known| known.name.get_ref() == stanza.name.get_ref()) {
            let name = stanza.name.get_ref();
            return Err(Error::Input(format!("stanza {file}: name: {name:?} is on the shelf already")));
        }
        all.push(Arc::new(stanza));
    }
    Ok(all)
}

/// The stanzas of a directory, by file name.
fn read(dir: &Path) -> Result<Vec<(String, String)>, Error> {
    let refuse = |path: &Path, why: String| Error::Input(format!("catalogue {}: {why}", path.display()));
    let entries = fs::read_dir(dir).map_err(|e| refuse(dir, e.to_string()))?;
    let mut files = entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    if files.is_empty() {
        return Err(refuse(dir, "no *.toml in it".into()));
    }
    let text = |path: std::path::PathBuf| {
        let text = isomark_core::store::read_named(&path, MAX_STANZA)
            .map_err(|e| Error::Input(format!("catalogue {}", e.chain())))?;
        Ok((path.display().to_string(), text))
    };
    files.into_iter().map(text).collect()
}
