//! Which runtimes a command line means.
//!
//! Without a name: those that isomark brings along, so that a run takes as long as its plan says however much a host
//! has installed. `all`: also every verified runtime of the catalogue that is installed. Else what is named.

use isomark_core::{Error, Kind, Runtime, Variant};
use isomark_runtimes::Shelf;

/// The word for everything that is installed.
const ALL: &str = "all";

/// Runtimes to choose from, and the names that were chosen; none: all of them.
pub(crate) struct Chosen<'s> {
    pub runtimes: Vec<Box<dyn Runtime + 's>>,
    pub names: Vec<String>,
}

impl<'s> Chosen<'s> {
    /// What these words mean: SPECs, several in one word by commas outside of braces.
    ///
    /// # Errors
    /// [`Error::Input`] for a word that is none, or a runtime that is not on the shelf.
    pub(crate) fn of(shelf: &Shelf<'s>, words: &[String]) -> Result<Self, Error> {
        let mut runtimes = shelf.built_in();
        let variants = Variant::list(&words.join(","))?;
        if variants.iter().any(|variant| variant.is_plain() && variant.runtime == ALL) {
            let installed = |r: &dyn Runtime| shelf.verified(r.name()) == Some(true) && r.probe().is_ok();
            runtimes.extend(shelf.catalogue()?.into_iter().filter(|r| installed(r.as_ref())));
            return Ok(Self { runtimes, names: Vec::new() });
        }
        let mut names = Vec::new();
        for variant in variants {
            let name = variant.to_string();
            if names.contains(&name) {
                continue;
            }
            let found = shelf.find(&variant)?;
            if !runtimes.iter().any(|r| r.name() == name) {
                runtimes.push(found);
            }
            names.push(name);
        }
        Ok(Self { runtimes, names })
    }

    /// The runtimes of a stored run, by the names that it has them under.
    ///
    /// # Errors
    /// As [`Chosen::of`].
    pub(crate) fn again(shelf: &Shelf<'s>, names: &[String]) -> Result<Self, Error> {
        let floors = shelf.built_in();
        let is_floor = |name: &String| floors.iter().any(|r| r.kind() == Kind::Floor && r.name() == name);
        Self::of(shelf, &names.iter().filter(|name| !is_floor(name)).cloned().collect::<Vec<_>>())
    }

    /// Those whose stanza nobody has tried.
    pub(crate) fn unverified(&self, shelf: &Shelf<'_>) -> Vec<&str> {
        let name = |r: &dyn Runtime| r.name().split(['@', '{']).next().unwrap_or_default().to_owned();
        let untried = self.runtimes.iter().filter(|r| shelf.verified(&name(r.as_ref())) == Some(false));
        untried.map(|r| r.name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use isomark_core::Site;

    use super::*;

    #[test]
    fn words_mean_runtimes() {
        let parent = tempfile::tempdir().unwrap();
        let site = Site::open(parent.path()).unwrap();
        let shelf = Shelf::open(&site, None).unwrap();
        let of = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            Chosen::of(&shelf, &words)
        };
        let built_in = shelf.built_in().len();
        let none = of(&[]).unwrap();
        assert!(none.names.is_empty() && none.runtimes.len() == built_in);
        let named = of(&["process,runc{seccomp=off,network=host}", "crun@/opt/crun"]).unwrap();
        assert_eq!(named.names, ["process", "runc{network=host,seccomp=off}", "crun@/opt/crun"]);
        assert_eq!(named.runtimes.len(), built_in + 2);
        for (word, why) in [
            ("runk", "did you mean \"runc\""),
            ("runc{netwrok=host}", "did you mean \"network\""),
            ("runc{network=no}", "none of own, host"),
            ("process{x=y}", "no parameter"),
            ("process@/bin/x", "isomark ab"),
        ] {
            let Err(Error::Input(text)) = of(&[word]).map(drop) else { panic!("{word} was taken") };
            assert!(text.contains(why), "{text}");
        }
    }
}
