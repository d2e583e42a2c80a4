//! How a user names a runtime with another binary or other parameters: `crun@/opt/crun-new{network=none}`.
//!
//! The text a variant prints is canonical: equal variants have equal names in results, whatever order their parameters
//! were written in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// A runtime as the user named it.
///
/// ```
/// use isomark_core::Variant;
/// let variant: Variant = "crun@/opt/crun{memory=64M,network=none}".parse().unwrap();
/// assert_eq!(variant.runtime, "crun");
/// assert_eq!(variant.binary.as_deref(), Some("/opt/crun".as_ref()));
/// assert_eq!(variant.params["network"], "none");
/// assert_eq!(variant.to_string(), "crun@/opt/crun{memory=64M,network=none}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// Its name on the shelf.
    pub runtime: String,
    /// Another binary in place of the one it finds by itself; for a built-in runtime: another isomark.
    pub binary: Option<PathBuf>,
    /// Parameters in key order, as written.
    pub params: BTreeMap<String, String>,
}

impl Variant {
    /// Whether it is the runtime as it stands on the shelf.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.binary.is_none() && self.params.is_empty()
    }

    /// Several variants, separated by commas outside of braces.
    ///
    /// # Errors
    /// [`Error::Input`] naming the one that cannot be read.
    pub fn list(text: &str) -> Result<Vec<Self>, Error> {
        let mut depth = 0_usize;
        let mut parts = vec![String::new()];
        for c in text.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            match (c, depth) {
                (',', 0) => parts.push(String::new()),
                _ => parts.iter_mut().last().into_iter().for_each(|part| part.push(c)),
            }
        }
        parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            Error::Input(format!("runtime {text:?}: {why}; write NAME[@BINARY][{{key=value,…}}]"))
        };
        let (head, params) = match text.split_once('{') {
            None => (text, ""),
            Some((head, rest)) => {
                (head, rest.strip_suffix('}').ok_or_else(|| refuse("the brace is not closed"))?)
            }
        };
        let (name, binary) = match head.split_once('@') {
            None => (head, None),
            Some((_, "")) => return Err(refuse("no binary stands after @")),
            Some((name, binary)) => (name, Some(PathBuf::from(binary))),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(refuse("its name is empty or has a character that no name has"));
        }
        let mut all = BTreeMap::new();
        for pair in params.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| refuse("a parameter has no ="))?;
            if key.is_empty() || value.is_empty() || value.contains(['{', '}']) {
                return Err(refuse("a parameter lacks its name or its value"));
            }
            if all.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(refuse("a parameter is given twice"));
            }
        }
        Ok(Self { runtime: name.to_owned(), binary, params: all })
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.runtime)?;
        if let Some(binary) = &self.binary {
            write!(f, "@{}", binary.display())?;
        }
        if self.params.is_empty() {
            return Ok(());
        }
        let pairs = self.params.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        write!(f, "{{{}}}", pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, with: &str) {
        match text.parse::<Variant>() {
            Err(Error::Input(why)) => assert!(why.contains(with), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        let plain: Variant = "microvm".parse().unwrap();
        assert!(plain.is_plain() && plain.to_string() == "microvm");
        let sorted: Variant = "docker{z=1, network=none}".parse().unwrap();
        assert_eq!(sorted.to_string(), "docker{network=none,z=1}");
        let list = Variant::list("process, docker{network=none,memory=64M},crun@/opt/a").unwrap();
        assert_eq!(
            list.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["process", "docker{memory=64M,network=none}", "crun@/opt/a"]
        );
        assert!(Variant::list(" ").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_meant_is_refused() {
        refused("", "its name is empty");
        refused("a b", "no name has");
        refused("crun@", "no binary");
        refused("crun{network=none", "not closed");
        refused("crun{network}", "no =");
        refused("crun{=none}", "lacks");
        refused("crun{a=1,a=2}", "twice");
        refused("crun{a=1}b", "not closed");
        assert!(Variant::list("process,crun{").is_err());
    }
}
