//! The ledger: what a command makes on the host outside its own memory, noted before it is made and struck off when it
//! is seen to be gone.
//!
//! Lines that only grow, `+ kind object` and `- kind object`, below a head that says which boot of the machine they are
//! of. The file lies in the command's site, for there the next command finds it whatever becomes of results; a command
//! with a run folder writes the same lines there too. What lies below something noted is noted with it: the site's
//! directory stands for every instance's, a command's cgroup for its children, an engine's directory for its images and
//! containers. So nothing is written while a trial runs, but by the scenarios that plant things outside of what is timed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Its name, in a site and in a run folder.
pub const FILE: &str = "ledger";
/// The link in a site that leads to the run folder.
pub const RUN: &str = "run";
/// First word of the head of each command's lines.
const HEAD: &str = "isomark.ledger/1";
/// What ends a line that a full disk or a loss of power has cut short, once another follows it.
const CUT: &str = " (cut short)";
/// Largest ledger that is read, in bytes: files can be wrong. A scenario that plants canaries writes some 400 bytes a trial.
const MAX: u64 = 256 << 20;

/// Something that was noted and not struck off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `directory`, `process`, `cgroup`, `way`, `mount`, `queue`, `tracing` or `engine`.
    pub kind: String,
    /// Path or name.
    pub object: String,
}

/// Begins the ledger of a site; the file is open for as long as its command lives.
///
/// # Errors
/// If it cannot be written.
pub fn begin(site: &Path, tag: &str) -> Result<File, Error> {
    let fail = |e| failed(site, e);
    let mut file = grow(&site.join(FILE)).map_err(fail)?;
    append(&mut file, &format!("{HEAD} {tag} boot {}\n", boot())).map_err(fail)?;
    Ok(file)
}

/// Notes an object, before it is made.
///
/// # Errors
/// If a ledger cannot be written: the object must not be made then.
pub fn note(site: &Path, kind: &str, object: &str) -> Result<(), Error> {
    add(site, '+', kind, object)
}

/// Strikes an object off that is gone.
///
/// # Errors
/// If a ledger cannot be written: the object is looked for once more by the next command then, and not found.
pub fn strike(site: &Path, kind: &str, object: &str) -> Result<(), Error> {
    add(site, '-', kind, object)
}

fn add(site: &Path, sign: char, kind: &str, object: &str) -> Result<(), Error> {
    if object.contains('\n') {
        return Err(Error::Input(format!("{kind} {object:?}: a name on the host cannot have a line break")));
    }
    let line = format!("{sign} {kind} {object}\n");
    let write = |path: PathBuf| {
        let written = grow(&path).and_then(|mut file| append(&mut file, &line));
        written.map_err(|e| failed(path.parent().unwrap_or(&path), e))
    };
    write(site.join(FILE))?;
    folder(site).map_or(Ok(()), |run| write(run.join(FILE)))
}

/// From now on the lines of a site are written to a run folder too; what it has so far is carried over.
///
/// # Errors
/// If the folder cannot be written.
pub fn follow(site: &Path, run: &Path) -> Result<(), Error> {
    let fail = |e| failed(run, e);
    let run = run.canonicalize().map_err(fail)?;
    grow(&run.join(FILE)).and_then(|mut file| append(&mut file, &read(site))).map_err(fail)?;
    std::os::unix::fs::symlink(&run, site.join(RUN)).map_err(|e| failed(site, e))
}

/// The run folder of a site's command, if it has one.
#[must_use]
pub fn folder(site: &Path) -> Option<PathBuf> {
    fs::read_link(site.join(RUN)).ok()
}

/// The text of a ledger; nothing where there is none.
#[must_use]
pub fn read(dir: &Path) -> String {
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(OWN).open(dir.join(FILE));
    let read = file.and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, MAX), &mut bytes));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
}

/// What a ledger's text has open, in the order in which it was noted. A last line without its end was not written in
/// whole, so its object was never made; nor was that of a line which is told to be cut short.
#[must_use]
pub fn open_entries(text: &str) -> Vec<Entry> {
    let mut open = BTreeMap::new();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let whole = line.strip_suffix('\n').filter(|line| !line.ends_with(CUT));
        let Some((sign, rest)) = whole.and_then(|line| line.split_at_checked(2)) else { continue };
        let Some(entry) = rest.split_once(' ') else { continue };
        match sign {
            "+ " => drop(open.entry(entry).or_insert(at)),
            "- " => drop(open.remove(&entry)),
            _ => {}
        }
    }
    let mut open = open.into_iter().collect::<Vec<_>>();
    open.sort_unstable_by_key(|(_, at)| *at);
    let entry = |(kind, object): (&str, &str)| Entry { kind: kind.to_owned(), object: object.to_owned() };
    open.into_iter().map(|(found, _)| entry(found)).collect()
}

/// Whether the ledger was begun in this boot of the machine: pids and start times begin anew with the next.
#[must_use]
pub fn is_of_this_boot(text: &str) -> bool {
    let head = text.lines().next().filter(|line| line.starts_with(HEAD));
    head.and_then(|line| line.rsplit_once(' ')).is_none_or(|(_, of)| of == boot())
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Never through a link that somebody laid, and without waiting for who might be behind a pipe.
const OWN: i32 = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;

/// Open to append.
fn grow(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).read(true).append(true).custom_flags(OWN).open(path)?;
    // A pipe that is opened for both takes what is written and keeps nothing.
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Appends in one write. A line that was cut short stays alone: what follows is no part of it.
fn append(file: &mut File, text: &str) -> io::Result<()> {
    let mut last = [b'\n'];
    if let Some(at) = file.metadata()?.len().checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    let apart = if last == *b"\n" { [""; 2] } else { [CUT, "\n"] };
    file.write_all([apart.concat().as_str(), text].concat().as_bytes())
}

fn failed(dir: &Path, e: io::Error) -> Error {
    Error::os(format!("write the ledger in {}", dir.display()), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, object: &str) -> Entry {
        Entry { kind: kind.into(), object: object.into() }
    }

    #[test]
    fn what_is_open_is_what_was_noted_and_not_struck_off() {
        let table: [(&str, &[(&str, &str)]); 6] = [
            ("", &[]),
            ("+ cgroup /a\n+ mount /b c\n- cgroup /a\n", &[("mount", "/b c")]),
            ("+ cgroup /a\n+ cgroup /a\n- cgroup /a\n", &[]),
            ("- cgroup /a\n+ cgroup /a\n", &[("cgroup", "/a")]),
            ("+ cgroup /a\n+ cgroup /tor", &[("cgroup", "/a")]),
            ("isomark.ledger/1 1-2-0 boot x\n\n+\n+ x\nnonsense\né\n+ queue /q\n", &[("queue", "/q")]),
        ];
        for (text, wanted) in table {
            let wanted = wanted.iter().map(|(kind, object)| entry(kind, object)).collect::<Vec<_>>();
            assert_eq!(open_entries(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_was_cut_short_does_not_take_the_next_one_along() {
        let site = tempfile::tempdir().unwrap();
        drop(begin(site.path(), "1-2-0").unwrap());
        for torn in ["+ cgroup /to", "\0\0\0", "+ cgroup /\u{fffd}"] {
            grow(&site.path().join(FILE)).unwrap().write_all(torn.as_bytes()).unwrap();
            note(site.path(), "mount", torn.trim_matches('\0')).unwrap();
            let open = open_entries(&read(site.path()));
            assert_eq!(open.last(), Some(&entry("mount", torn.trim_matches('\0'))), "{open:?}");
            assert!(open.iter().all(|entry| entry.kind == "mount"), "{open:?}");
            assert!(is_of_this_boot(&read(site.path())));
        }
    }

    #[test]
    fn a_ledger_of_many_runs_is_read_to_its_end() {
        let site = tempfile::tempdir().unwrap();
        let mut text = (0..300_000).map(|n| format!("+ mount /{n}\n")).collect::<String>();
        (1..300_000).for_each(|n| text.push_str(&format!("- mount /{n}\n")));
        text.push_str(&"+ queue /q\n- queue /q\n".repeat(1_000_000));
        text.push_str("+ cgroup /last\n");
        assert!(text.len() > 16 << 20);
        fs::write(site.path().join(FILE), text).unwrap();
        assert_eq!(open_entries(&read(site.path())), [entry("mount", "/0"), entry("cgroup", "/last")]);
    }

    #[test]
    fn the_run_folder_has_the_same_lines_from_the_first_to_the_last() {
        let (site, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(begin(site.path(), "1-2-0").unwrap());
        note(site.path(), "cgroup", "/early").unwrap();
        fs::write(run.path().join(FILE), "+ cgroup /torn by an earlier comm").unwrap();
        follow(site.path(), run.path()).unwrap();
        note(site.path(), "mount", "/late").unwrap();
        strike(site.path(), "cgroup", "/early").unwrap();
        assert_eq!(open_entries(&read(site.path())), [entry("mount", "/late")]);
        let text = read(run.path());
        let (_, ours) = text.split_once('\n').unwrap();
        assert_eq!(ours, read(site.path()));
        assert!(is_of_this_boot(ours) && !is_of_this_boot("isomark.ledger/1 1-2-0 boot another\n"));
        assert!(note(site.path(), "mount", "/a\n+ cgroup /x").is_err());
    }

    #[test]
    fn a_link_in_the_place_of_a_ledger_is_not_followed() {
        let (site, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = run.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, run.path().join(FILE)).unwrap();
        assert!(follow(site.path(), run.path()).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(read(run.path()), "");
    }
}
