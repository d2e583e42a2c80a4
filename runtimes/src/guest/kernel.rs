//! The stock kernel that guests boot: where it is, whether it is whole, and who it is.
//!
//! Named by the user, or Debian's cloud kernel unpacked below the state directory. Nothing is ever installed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use isomark_core::{Error, Unavailable, image};

use super::intact;

/// Largest file taken for a kernel, in bytes.
const LARGEST: u64 = 256 << 20;

/// The kernel of this command's guests: looked for once, when first asked.
#[derive(Debug)]
pub struct Kernels {
    named: Option<PathBuf>,
    state: PathBuf,
    found: OnceLock<Result<Kernel, Missing>>,
}

/// Why there is none.
#[derive(Clone, Debug)]
enum Missing {
    /// None is named and none is where one would be.
    Nowhere,
    /// The file that is named, or found, cannot be booted.
    Bad(String),
}

/// A kernel that has been looked at.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The file.
    pub(crate) path: PathBuf,
    /// What tells it from another: hash, release, config.
    pub(crate) details: Vec<(String, String)>,
    /// Its release.
    pub(crate) release: String,
}

impl Kernels {
    /// The kernel that the user named, else one below `state`.
    #[must_use]
    pub const fn new(named: Option<PathBuf>, state: PathBuf) -> Self {
        Self { named, state, found: OnceLock::new() }
    }

    /// The kernel.
    ///
    /// # Errors
    /// That there is none, or what is wrong with it, and how to get one.
    pub(crate) fn get(&self) -> Result<&Kernel, Unavailable> {
        self.found().map_err(|missing| match missing {
            Missing::Nowhere => Unavailable::new("there is no guest kernel", self.remedy()),
            Missing::Bad(why) => Unavailable::new(why.clone(), self.remedy()),
        })
    }

    /// The kernel, for somebody who has to have it.
    ///
    /// # Errors
    /// [`Error::Input`] if the file is at fault.
    pub(crate) fn need(&self) -> Result<&Kernel, Error> {
        self.found().map_err(|missing| match missing {
            Missing::Nowhere => Error::Unsupported(format!("there is no guest kernel; {}", self.remedy())),
            Missing::Bad(why) => Error::Input(why.clone()),
        })
    }

    /// A file that the user named must be a kernel, whether or not anything here can boot one.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not.
    pub fn check_named(&self) -> Result<(), Error> {
        if self.named.is_some() { self.need().map(drop) } else { Ok(()) }
    }

    fn found(&self) -> Result<&Kernel, &Missing> {
        self.found.get_or_init(|| self.look()).as_ref()
    }

    fn look(&self) -> Result<Kernel, Missing> {
        let path = self.named.clone().or_else(|| newest(&self.state.join("kernel/boot")));
        let path = path.ok_or(Missing::Nowhere)?;
        Kernel::open(&path).map_err(|why| Missing::Bad(format!("kernel {}: {why}", path.display())))
    }

    fn remedy(&self) -> String {
        let dir = self.state.join("kernel");
        format!(
            "on Debian: apt-get download $(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \
             \\(linux-image-[0-9]\\)/\\1/p') && dpkg-deb -x linux-image-*.deb {}; or name any x86-64 kernel: --kernel FILE \
             (ISOMARK_KERNEL)",
            dir.display()
        )
    }
}

/// The last of the kernels in a directory, by name.
fn newest(dir: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let kernel = |path: &PathBuf| {
        path.file_name().and_then(|n| n.to_str()).is_some_and(|name| name.starts_with("vmlinuz-"))
    };
    files.filter(kernel).max()
}

impl Kernel {
    fn open(path: &Path) -> Result<Self, String> {
        let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
        if !meta.is_file() || meta.len() > LARGEST {
            return Err(format!("not a file of at most {LARGEST} bytes"));
        }
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let found = intact::examine(&bytes)?;
        let path = std::fs::canonicalize(path).map_err(|e| e.to_string())?;
        let release = found.release.unwrap_or_else(|| "unknown".into());
        let details = [
            ("kernel", release.clone()),
            ("kernel file", found.kind.to_owned()),
            ("kernel sha256", image::sha256(&bytes)),
            ("kernel config sha256", config(&path)),
        ];
        let details = details.map(|(key, value)| (key.to_owned(), value)).into();
        Ok(Self { path, details, release })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// If it has gone.
    pub(crate) fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|e| Error::os(format!("open {}", self.path.display()), e))
    }
}

/// Debian puts the configuration beside the kernel, under the same version.
fn config(kernel: &Path) -> String {
    let name = kernel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let beside =
        name.strip_prefix("vmlinuz-").map(|version| kernel.with_file_name(format!("config-{version}")));
    let bytes = beside.and_then(|path| std::fs::read(path).ok());
    bytes.map_or_else(|| "not beside the kernel".into(), |bytes| image::sha256(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_the_users_fault_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let none = Kernels::new(None, dir.path().to_owned());
        assert!(none.get().is_err_and(|why| why.remedy.contains("apt-get download")));
        assert!(none.check_named().is_ok() && matches!(none.need(), Err(Error::Unsupported(_))));
        let bad = dir.path().join("bad");
        std::fs::write(&bad, "not a kernel").unwrap();
        let named = Kernels::new(Some(bad), dir.path().to_owned());
        assert!(matches!(named.check_named(), Err(Error::Input(why)) if why.contains("bad: neither")));
        let gone = Kernels::new(Some(dir.path().join("gone")), dir.path().to_owned());
        assert!(matches!(gone.check_named(), Err(Error::Input(why)) if why.contains("No such file")));
    }

    #[test]
    fn the_newest_below_the_state_directory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let boot = dir.path().join("kernel/boot");
        std::fs::create_dir_all(&boot).unwrap();
        for name in ["vmlinuz-6.1.0-1-cloud", "vmlinuz-6.1.0-2-cloud", "System.map-9", "config-9"] {
            std::fs::write(boot.join(name), "").unwrap();
        }
        assert_eq!(newest(&boot), Some(boot.join("vmlinuz-6.1.0-2-cloud")));
        assert_eq!(newest(dir.path()), None);
    }
}
