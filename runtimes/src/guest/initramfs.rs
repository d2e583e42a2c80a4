//! The first root of a guest: isomark's init, the program byte for byte, and how to start it.
//!
//! Written once for each program and way of starting it, below the site, and shared by all instances.

use std::fs::File;
use std::path::PathBuf;

use isomark_core::runtime::{Program, Stdio};
use isomark_core::{Error, Site, image};
use isomark_vmm::linux::sum::sum;

use super::cpio::Cpio;
use crate::embedded;

/// Device nodes that programs expect: name, mode, numbers (devices.txt of the kernel).
const DEVICES: [(&str, u32, (u32, u32)); 10] = [
    ("dev/console", 0o600, (5, 1)),
    ("dev/null", 0o666, (1, 3)),
    ("dev/zero", 0o666, (1, 5)),
    ("dev/full", 0o666, (1, 7)),
    ("dev/random", 0o666, (1, 8)),
    ("dev/urandom", 0o666, (1, 9)),
    ("dev/tty", 0o666, (5, 0)),
    ("dev/ttyS0", 0o600, (4, 64)),
    ("dev/ttyS1", 0o600, (4, 65)),
    ("dev/ttyS2", 0o600, (4, 66)),
];

/// `/spec` for the payload: on the line, no arguments, no environment.
pub(crate) const PAYLOAD_SPEC: &[u8] = b"l\0apayload\0";

/// An initramfs on disk.
#[derive(Clone, Debug)]
pub(crate) struct Initramfs {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it adds up to ([`isomark_vmm::linux::sum`]).
    pub(crate) sum: u64,
}

impl Initramfs {
    /// The initramfs of a program: written now unless an earlier instance did.
    ///
    /// # Errors
    /// If the program cannot be read or the file not be written, or if the file that is there has been tampered with.
    pub(crate) fn of(site: &Site, program: &Program) -> Result<Self, Error> {
        let spec = spec(program);
        let key = image::sha256(&[program.image.sha256().as_bytes(), &spec].concat());
        let path = site.dir().join(format!("initramfs-{}", &key[..16]));
        // The sum stands beside the file: a file that no longer adds up is refused, not repaired.
        let beside = site.dir().join(format!("initramfs-{}.sum", &key[..16]));
        if let Ok(text) = std::fs::read_to_string(&beside) {
            let sum = text.trim().parse();
            return sum.map(|sum| Self { path, sum }).map_err(|_| damaged(&beside));
        }
        let source = program.image.path();
        let bytes = std::fs::read(source).map_err(|e| Error::os(format!("read {}", source.display()), e))?;
        let archive = archive(&bytes, &spec);
        let sum = sum(&archive);
        write(&path, &archive)?;
        write(&beside, sum.to_string().as_bytes())?;
        Ok(Self { path, sum })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// If it has gone.
    pub(crate) fn open(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|e| Error::os(format!("open {}", self.path.display()), e))
    }

    /// Whether the file is still the one that was written, for machines that do not check it themselves.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bytes =
            std::fs::read(&self.path).map_err(|e| Error::os(format!("read {}", self.path.display()), e))?;
        if sum(&bytes) == self.sum { Ok(()) } else { Err(damaged(&self.path)) }
    }
}

impl Initramfs {
    /// What a machine that checks the file itself has found.
    pub(crate) fn damaged(&self, what: &str) -> Error {
        Error::Damaged(format!("initramfs {}: {what}; remove it, it is made anew", self.path.display()))
    }
}

fn damaged(path: &std::path::Path) -> Error {
    Error::Damaged(format!(
        "initramfs {}: damaged or not the one that was written; remove it, it is made anew",
        path.display()
    ))
}

fn archive(program: &[u8], spec: &[u8]) -> Vec<u8> {
    let mut cpio = Cpio::default();
    for (dir, mode) in [("dev", 0o755), ("proc", 0o555), ("tmp", 0o1777)] {
        cpio.directory(dir, mode);
    }
    for (name, mode, number) in DEVICES {
        cpio.device(name, mode, number);
    }
    cpio.file("init", 0o755, embedded::INIT);
    cpio.file("spec", 0o400, spec);
    cpio.file("program", 0o755, program);
    cpio.finish()
}

/// `/spec` as init reads it: fields that end with a zero byte, the kind in front.
fn spec(program: &Program) -> Vec<u8> {
    let line = match program.stdio {
        Stdio::Wire | Stdio::Inherit => "l".to_owned(),
        Stdio::Null => "n".to_owned(),
    };
    let args = std::iter::once(&program.name).chain(&program.args).map(|arg| format!("a{arg}"));
    let env = program.env.iter().map(|(key, value)| format!("e{key}={value}"));
    let fields = std::iter::once(line).chain(args).chain(env);
    fields.flat_map(|field| field.into_bytes().into_iter().chain([0])).collect()
}

/// Whole or not at all.
fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension(format!("part-{:?}", std::thread::current().id()));
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|e| Error::os(format!("write {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::cpio;

    fn ground() -> (tempfile::TempDir, Site) {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let site = Site::open(dir.path()).unwrap();
        (dir, site)
    }

    #[test]
    fn the_program_inside_is_the_program_outside() {
        let (_dir, site) = ground();
        let image = embedded::payload(&site).unwrap();
        let program = Program { args: vec!["-x".into(), String::new()], ..Program::payload(image.clone()) };
        let made = Initramfs::of(&site, &program).unwrap();
        let entries = cpio::read(&std::fs::read(&made.path).unwrap());
        let find = |name: &str| &entries.iter().find(|e| e.0 == name).unwrap().2;
        assert_eq!(image::sha256(find("program")), image.sha256());
        assert_eq!(find("init"), embedded::INIT);
        assert_eq!(find("spec"), b"l\0apayload\0a-x\0a\0");
    }

    #[test]
    fn the_payloads_spec_is_what_it_would_be_told() {
        let (_dir, site) = ground();
        assert_eq!(spec(&Program::payload(embedded::payload(&site).unwrap())), PAYLOAD_SPEC);
    }

    #[test]
    fn it_is_written_once_and_a_damaged_one_is_refused() {
        let (_dir, site) = ground();
        let program = Program::payload(embedded::payload(&site).unwrap());
        let first = Initramfs::of(&site, &program).unwrap();
        let second = Initramfs::of(&site, &program).unwrap();
        assert_eq!((&first.path, first.sum), (&second.path, second.sum));
        first.check().unwrap();
        let whole = std::fs::read(&first.path).unwrap();
        let mut flipped = whole.clone();
        flipped[200_000] ^= 4;
        for damaged in [&flipped[..], &whole[..whole.len() - 4], b"", b"not an archive"] {
            std::fs::write(&first.path, damaged).unwrap();
            assert!(matches!(second.check(), Err(Error::Damaged(why)) if why.contains("initramfs")));
        }
    }
}
