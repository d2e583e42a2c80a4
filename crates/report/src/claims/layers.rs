//! At which layer does a runtime isolate?
//!
//! "A virtual machine" is a microVM of 32 MiB to one reader and a distribution with systemd to another, and they differ
//! by orders of magnitude. So each verdict names its layer. Which runtime stands at which layer is data
//! (`scenarios/claims/layers.toml`); one that nobody placed stands at the layer for others of its kind.

use isomark_core::record::{Run, RuntimeRecord};
use isomark_core::runtime::Kind;
use isomark_core::{Error, Params};
use serde::Deserialize;

use super::file::{OneOf, Taken};

/// All layers, from the thinnest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// The layers.
    pub layer: Vec<Layer>,
}

/// A layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its short name: `P`, `N`, `V-min` …
    pub id: String,
    /// Its name in a sentence: `a microVM`.
    pub name: String,
    /// The same in Chinese.
    pub name_zh: Option<String>,
    /// What runtimes of it are at heart.
    pub kind: Kind,
    /// What runs between the host's kernel and the program, in a few words.
    pub inside: String,
    /// The runtimes that stand here.
    #[serde(default)]
    pub runtimes: Vec<String>,
    /// Parameters that a cell must have to stand here: what makes a restored machine one.
    #[serde(default)]
    pub params: std::collections::BTreeMap<String, OneOf>,
    /// What their identity must say: an emulated CPU is another layer than a real one.
    #[serde(default)]
    pub details: std::collections::BTreeMap<String, String>,
    /// Whether runtimes of this kind that nobody placed stand here.
    #[serde(default)]
    pub others: bool,
    /// The boxes of the documents' drawing from the bottom to the top.
    pub stack: Vec<Storey>,
}

/// One box of the documents' drawing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storey {
    /// Its name: `guest OS`.
    pub name: String,
    /// What it is here.
    pub what: String,
    /// Whether the host has it once for all, and each instance none of it.
    #[serde(default)]
    pub shared: bool,
    /// What of one idle instance's memory it is, by metrics of the scenario `memory`.
    pub memory: Option<Taken>,
    /// Whether it is the program: it weighs what it weighs as a plain process.
    #[serde(default)]
    pub program: bool,
    /// What of that the same program takes as a plain process; taken off.
    pub less: Option<Taken>,
}

impl Layers {
    /// Reads the layers.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and key.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let all: Self = toml::from_str(text).map_err(|e| Error::Input(format!("layers {name}: {e}")))?;
        let refuse = |why: String| Err(Error::Input(format!("layers {name}: {why}")));
        for (at, layer) in all.layer.iter().enumerate() {
            if all.layer[..at].iter().any(|other| other.id == layer.id) {
                return refuse(format!("layer {} stands there twice", layer.id));
            }
            if layer.stack.is_empty() {
                return refuse(format!("layer {} has no stack", layer.id));
            }
        }
        for kind in [Kind::Process, Kind::Container, Kind::Vm] {
            if all.layer.iter().filter(|layer| layer.kind == kind && layer.others).count() != 1 {
                return refuse(format!("one layer of kind {} needs others = true", kind.word()));
            }
        }
        Ok(all)
    }

    /// A layer by its short name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Layer> {
        self.layer.iter().find(|layer| layer.id == id)
    }

    /// All short names.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.layer.iter().map(|layer| layer.id.as_str()).collect()
    }

    /// The layer of a cell of a runtime; none for floors.
    #[must_use]
    pub fn of(&self, run: &Run, runtime: &str, params: &Params) -> Option<&Layer> {
        let record = run.runtimes.iter().find(|record| record.name == runtime)?;
        let kind = record.kind;
        // A variant's name is the runtime's with what was changed behind it.
        let plain = runtime.split(['@', '{']).next().unwrap_or(runtime);
        let of_kind = || self.layer.iter().filter(move |layer| layer.kind == kind);
        let named = of_kind().filter(|layer| layer.runtimes.iter().any(|name| name == plain));
        let fits = named.filter(|layer| layer.admits(params) && layer.describes(record));
        let placed = fits.max_by_key(|layer| layer.params.len() + layer.details.len());
        placed.or_else(|| of_kind().find(|layer| layer.others))
    }
}

impl Layer {
    fn describes(&self, record: &RuntimeRecord) -> bool {
        let told = record.identity.as_ref().map(|identity| &identity.details);
        self.details.iter().all(|(key, wanted)| told.and_then(|all| all.get(key)) == Some(wanted))
    }

    fn admits(&self, params: &Params) -> bool {
        self.params.iter().all(|(key, wanted)| params.get(key).is_some_and(|value| wanted.has(value)))
    }
}
