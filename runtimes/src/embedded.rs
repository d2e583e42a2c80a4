//! The programs that came with this build: the payload, the VMM and the guests' init, as bytes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use isomark_core::{Error, Image, Site};

/// The payload's ELF.
pub static PAYLOAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isomark-payload"));

/// The VMM's ELF.
pub static VMM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isomark-vmm"));

/// The ELF of process 1 of guests with a kernel of their own.
pub static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isomark-init"));

/// Target triple that both were built for.
pub const TARGET: &str = env!("ISOMARK_TARGET");

/// What a reader must know of the payload's target, if it is not the intended one.
#[must_use]
pub fn note() -> Option<String> {
    let musl = TARGET.ends_with("musl");
    (!musl).then(|| {
        "the payload was built for the GNU target, whose C library executes dozens of CPUID instructions at start; \
         each one leaves a virtual machine, so startup of virtual machines is overstated. \
         Remedy: rustup target add x86_64-unknown-linux-musl, and build again"
            .into()
    })
}

/// The payload as a file below `site`.
///
/// # Errors
/// What the host refused.
pub fn payload(site: &Site) -> Result<Image, Error> {
    Image::open(&unpack(site, "payload", PAYLOAD)?)
}

/// Writes a program below `site`, once.
pub(crate) fn unpack(site: &Site, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = site.dir().join(name);
    if path.exists() {
        return Ok(path);
    }
    let write = || {
        let part = site.dir().join(format!("{name}.part"));
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o755).open(&part)?;
        file.write_all(bytes)?;
        // Pages that are not on disk yet cannot be dropped from the cache for a cold start.
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(|e| Error::os(format!("write {}", path.display()), e))?;
    Ok(path)
}
