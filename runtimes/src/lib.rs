//! The shelf: every way of running a payload, in the order reports show them.
//!
//! A new native runtime is one file or folder here and one line in [`shelf`].
//!
//! ```
//! use isomark_core::payload::Job;
//! use isomark_core::{Program, Site, Spec};
//! use isomark_runtimes::{Shelf, embedded};
//!
//! # let state = std::env::temp_dir().join(format!("isomark-shelf-{}", std::process::id()));
//! let site = Site::open(&state)?;
//! let runtime = Shelf::open(&site, None)?.find(&"process".parse()?)?;
//! let spec = Spec::new(Program::payload(embedded::payload(&site)?));
//!
//! runtime.prepare(&spec)?;
//! let mut instance = runtime.create(&spec)?;
//! instance.start()?;
//! assert_eq!(instance.run(&Job::Echo(42))?.u64("token"), Ok(42));
//! instance.stop()?;
//! instance.remove()?;
//! # std::fs::remove_dir_all(state).unwrap();
//! # Ok::<(), isomark_core::Error>(())
//! ```

mod catalogue;
pub mod embedded;
mod external;
pub mod floor;
mod guest;
pub mod kvm;
mod launch;
pub mod microvm;
pub mod namespace;
pub mod process;
pub mod qemu;
pub mod tsc;
pub mod uml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isomark_core::nearest::meant;
use isomark_core::{Error, Kind, Runtime, Site, Variant};

use catalogue::Stanza;
use external::External;
pub use guest::Kernels;

/// What the user may say about runtimes before they are made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The kernel of guests that bring one (`--kernel`, `ISOMARK_KERNEL`).
    pub kernel: Option<PathBuf>,
    /// A directory of the user's own stanzas (`--catalogue`, `ISOMARK_CATALOGUE`).
    pub catalogue: Option<PathBuf>,
}

impl Options {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        let path = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Self { kernel: path("ISOMARK_KERNEL"), catalogue: path("ISOMARK_CATALOGUE") }
    }

    /// The kernel of guests: the one that is named, or one below the directory in which the site lies.
    fn kernels(&self, site: &Site) -> Arc<Kernels> {
        let state = site.dir().parent().unwrap_or(site.dir());
        Arc::new(Kernels::new(self.kernel.clone(), state.to_owned()))
    }

    /// Whether the files that it names are what they are named as.
    ///
    /// # Errors
    /// [`Error::Input`] for one that is not.
    pub fn check(&self) -> Result<(), Error> {
        Kernels::new(self.kernel.clone(), PathBuf::new()).check_named()
    }
}

/// The stanzas that come with isomark: file name and text.
pub fn stanzas() -> impl Iterator<Item = (&'static str, &'static str)> {
    catalogue::STANZAS.iter().copied()
}

/// Whether a stanza is one, without looking for what it names.
///
/// ```
/// let refused = isomark_runtimes::check_stanza("mine.toml", "nmae = 'mine'").unwrap_err().to_string();
/// assert!(refused.contains("mine.toml") && refused.contains("nmae"));
/// ```
///
/// # Errors
/// [`Error::Input`] naming file, line and key.
pub fn check_stanza(file: &str, text: &str) -> Result<(), Error> {
    catalogue::check(file, text)
}

/// The name of a system call of x86-64 Linux.
#[must_use]
pub fn call_name(number: u64) -> String {
    isomark_vmm::names::word(number)
}

/// The host's system calls that a microVM's monitor may make while its guest runs.
#[must_use]
pub fn monitor_calls() -> Vec<String> {
    isomark_vmm::confine::names()
}

/// The runtimes that isomark brings along, and their floors.
#[must_use]
pub fn shelf(site: &Site) -> Vec<Box<dyn Runtime + '_>> {
    shelf_with(site, &Options::from_env())
}

/// The same, as the user wants it.
#[must_use]
pub fn shelf_with<'s>(site: &'s Site, options: &Options) -> Vec<Box<dyn Runtime + 's>> {
    let kernels = options.kernels(site);
    let mut all: Vec<Box<dyn Runtime + '_>> = vec![
        Box::new(process::Process::new(site)),
        Box::new(namespace::Namespace::new(site)),
        Box::new(microvm::Microvm::new(site)),
        Box::new(microvm::MicrovmLinux::new(site, Arc::clone(&kernels))),
    ];
    all.push(Box::new(uml::Uml::new(site)));
    all.extend(qemu::Qemu::plain(site, &kernels).map(|guest| Box::new(guest) as Box<dyn Runtime + '_>));
    all.extend(floor::all(site));
    all
}

/// The shelf with the catalogue: everything that a runtime's name can mean.
pub struct Shelf<'s> {
    site: &'s Site,
    options: Options,
    stanzas: Vec<Arc<Stanza>>,
}

impl<'s> Shelf<'s> {
    /// Reads the catalogue, with the user's own stanzas if a directory of them is named.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and key of a stanza that is wrong.
    pub fn open(site: &'s Site, catalogue: Option<&Path>) -> Result<Self, Error> {
        let catalogue = catalogue.map(Path::to_owned);
        Self::with(site, Options { catalogue, ..Options::from_env() })
    }

    /// The same, with all that the user may say.
    ///
    /// # Errors
    /// As [`Shelf::open`].
    pub fn with(site: &'s Site, options: Options) -> Result<Self, Error> {
        let taken: Vec<String> =
            shelf_with(site, &options).iter().map(|runtime| runtime.name().to_owned()).collect();
        let stanzas = catalogue::load(options.catalogue.as_deref(), &taken)?;
        Ok(Self { site, options, stanzas })
    }

    /// The runtimes that isomark brings along, and their floors.
    #[must_use]
    pub fn built_in(&self) -> Vec<Box<dyn Runtime + 's>> {
        shelf_with(self.site, &self.options)
    }

    /// The runtimes of the catalogue as they stand there.
    ///
    /// # Errors
    /// [`Error::Input`] if a stanza's defaults do not fit; reading it has ruled that out.
    pub fn catalogue(&self) -> Result<Vec<Box<dyn Runtime + 's>>, Error> {
        let plain = |stanza: &Arc<Stanza>| {
            let variant = Variant { runtime: stanza.name.get_ref().clone(), ..Variant::default() };
            Ok(Box::new(External::new(self.site, stanza, &variant)?) as Box<dyn Runtime + 's>)
        };
        self.stanzas.iter().map(plain).collect()
    }

    /// Whether a runtime of the catalogue was verified by the conformance suite; `None` for any other name.
    #[must_use]
    pub fn verified(&self, name: &str) -> Option<bool> {
        self.stanzas.iter().find(|stanza| stanza.name.get_ref() == name).map(|stanza| stanza.verified)
    }

    /// Whether a name is one of the runtimes that isomark brings along.
    #[must_use]
    pub fn is_built_in(&self, name: &str) -> bool {
        // QEMU has a driver of its own here, but it is a program of the host's.
        !is_qemu(name) && shelf_with(self.site, &self.options).iter().any(|runtime| runtime.name() == name)
    }

    /// Whether a parameter is one of the runtime's own; any other is for the scenario.
    #[must_use]
    pub fn takes(&self, name: &str, key: &str) -> bool {
        if is_qemu(name) {
            return qemu::PARAMS.contains(&key);
        }
        let stanza = self.stanzas.iter().find(|stanza| stanza.name.get_ref() == name);
        stanza.is_some_and(|stanza| external::takes(stanza, key))
    }

    /// The runtime that a variant names.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that is not on the shelf, or what the runtime cannot be given, naming the nearest.
    pub fn find(&self, variant: &Variant) -> Result<Box<dyn Runtime + 's>, Error> {
        let name = variant.runtime.as_str();
        if let Some(stanza) = self.stanzas.iter().find(|stanza| stanza.name.get_ref() == name) {
            return Ok(Box::new(External::new(self.site, stanza, variant)?));
        }
        if is_qemu(name) {
            let kernels = self.options.kernels(self.site);
            return Ok(Box::new(qemu::Qemu::new(self.site, kernels, variant)?));
        }
        let built_in =
            shelf_with(self.site, &self.options).into_iter().filter(|runtime| runtime.kind() != Kind::Floor);
        let mut names = self.stanzas.iter().map(|stanza| stanza.name.get_ref().clone()).collect::<Vec<_>>();
        for runtime in built_in {
            if runtime.name() == name {
                return plain(runtime, variant);
            }
            names.push(runtime.name().to_owned());
        }
        let (meant, all) = (meant(name, names.iter().map(String::as_str)), names.join(", "));
        Err(Error::Input(format!("runtime {name:?} is not on the shelf; {meant}known: {all}")))
    }
}

/// A built-in runtime: it has no parameters, and another binary of it is another isomark.
fn plain<'s>(runtime: Box<dyn Runtime + 's>, variant: &Variant) -> Result<Box<dyn Runtime + 's>, Error> {
    let name = runtime.name();
    match (&variant.binary, variant.params.keys().next()) {
        (None, None) => Ok(runtime),
        (Some(binary), _) => Err(Error::Input(format!(
            "runtime {name}@{}: {name} is built into isomark; compare two builds with isomark ab",
            binary.display()
        ))),
        (None, Some(key)) => {
            Err(Error::Input(format!("runtime {name} has no parameter {key:?}: it has none at all")))
        }
    }
}

fn is_qemu(name: &str) -> bool {
    [qemu::NAME, qemu::DISTRIBUTION].contains(&name)
}

/// Writes what a distribution guest needs of this build into a directory: the payload as `program`, `init`, and `spec`,
/// which says how init starts the payload.
///
/// # Errors
/// If a file cannot be written.
pub fn write_guest_parts(dir: &Path) -> Result<(), Error> {
    for (name, bytes) in
        [("program", embedded::PAYLOAD), ("init", embedded::INIT), ("spec", guest::PAYLOAD_SPEC)]
    {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|e| Error::os(format!("write {}", path.display()), e))?;
    }
    Ok(())
}
