//! One measuring run at a time on a machine: two would measure each other.
//!
//! A lock that the kernel lets go with its holder's death, on a file at a place all users share. What stands in that file
//! was written by whoever could: it is shown without control characters, and nothing rests on it. A file that is not a
//! plain one, or that has a second name, is not written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::date;

/// Its file's name.
const NAME: &str = "isomark.lock";
/// Directories that every user can write to and where nobody can rename another's files, the first that is there.
const PLACES: [&str; 2] = ["/run/lock", "/tmp"];
/// As much of the holder's words as is read.
const MAX: u64 = 4096;

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    since: String,
}

/// Why there is none.
#[derive(Debug)]
pub enum Denied {
    /// Another run holds it: who, since when and for which folder, in its own words.
    Held(String),
    /// This host has no place for it.
    Unusable(String),
}

/// Where the lock is: `ISOMARK_LOCK`, or a place that all users of this machine share.
#[must_use]
pub fn path() -> PathBuf {
    let shared = |dir: &&str| {
        std::fs::metadata(dir).is_ok_and(|meta| meta.is_dir() && meta.permissions().mode() & 0o1002 == 0o1002)
    };
    let default = || Path::new(PLACES.into_iter().find(shared).unwrap_or("/tmp")).join(NAME);
    std::env::var_os("ISOMARK_LOCK").filter(|v| !v.is_empty()).map_or_else(default, PathBuf::from)
}

impl Lock {
    /// Takes the lock at once or not at all.
    ///
    /// # Errors
    /// Who has it, or why it cannot be had here.
    pub fn take(path: &Path) -> Result<Self, Denied> {
        let unusable = |why: String| Denied::Unusable(format!("{}: {why}", path.display()));
        let file = open(path).map_err(|e| unusable(e.to_string()))?;
        let meta = file.metadata().map_err(|e| unusable(e.to_string()))?;
        if !meta.is_file() || meta.nlink() != 1 {
            return Err(unusable("not a plain file with one name".into()));
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => {
                let mut lock = Self { file, since: date::rfc3339(date::now()) };
                lock.tell(None);
                Ok(lock)
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(Denied::Held(words(file))),
            Err((_, e)) => Err(unusable(e.desc().to_owned())),
        }
    }

    /// Says which folder the run writes to, for whoever is refused meanwhile.
    pub fn tell(&mut self, folder: Option<&Path>) {
        let folder = folder.map_or_else(|| "not made yet".into(), |path| path.display().to_string());
        let words = format!("pid {}, since {}, run folder {folder}\n", std::process::id(), self.since);
        // Another user's file may be closed to us: the lock holds all the same, and only these words are missing.
        let _ = self.file.set_len(0);
        let _ = self.file.rewind();
        let _ = self.file.write_all(words.as_bytes());
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: whoever removed it could remove one that another has just locked.
        let _ = self.file.set_len(0);
    }
}

/// An existing file first: in a directory that all can write to, the kernel may refuse to create over another's
/// (`fs.protected_regular`, proc(5)). Links are never followed.
fn open(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..3 {
        let tries = [
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(path),
            // Reading is enough to lock.
            OpenOptions::new().read(true).custom_flags(flags).open(path),
            create(path, flags),
        ];
        for tried in tries {
            match tried {
                Ok(file) => return Ok(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => last = e,
            }
        }
    }
    Err(last)
}

fn create(path: &Path, flags: i32) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).custom_flags(flags).open(path)?;
    // For all users, whatever our umask says.
    file.set_permissions(std::fs::Permissions::from_mode(0o666))?;
    Ok(file)
}

fn words(file: File) -> String {
    let stopped = holder(&file).filter(|pid| is_stopped(*pid));
    let stopped =
        stopped.map_or_else(String::new, |pid| format!("; it is stopped: kill -CONT {pid} lets it go on"));
    let mut bytes = Vec::new();
    let _ = file.take(MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let plain = text.trim().chars().filter(|c| !c.is_control()).take(1000).collect::<String>();
    let plain = if plain.is_empty() { "it has not said who it is" } else { plain.as_str() };
    format!("{plain}{stopped}")
}

/// The process that holds a lock, by the kernel's own word (proc_locks(5)): in the file anybody could have written another.
fn holder(file: &File) -> Option<i32> {
    let meta = file.metadata().ok()?;
    let (major, minor) = (nix::sys::stat::major(meta.dev()), nix::sys::stat::minor(meta.dev()));
    let of = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let all = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut held = all.filter(|words| words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&of.as_str()));
    held.find_map(|words| words.get(4)?.parse().ok())
}

/// Whether a process was stopped by a signal: field 3 of `/proc/PID/stat` (proc_pid_stat(5)).
fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut first = Lock::take(&path).unwrap();
        first.tell(Some(Path::new("/results/one")));
        let Err(Denied::Held(who)) = Lock::take(&path) else { panic!("it was free") };
        assert!(
            who.contains(&format!("pid {}", std::process::id())) && who.contains("/results/one"),
            "{who}"
        );
        drop(first);
        drop(Lock::take(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_holder_that_is_stopped_is_told_with_what_wakes_it() {
        use nix::sys::signal::{Signal, kill};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let _held = Lock::take(&path).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(holder(&File::open(&path).unwrap()), Some(own));
        assert_eq!(holder(&File::open("/proc/self/exe").unwrap()), None);
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let before = is_stopped(pid);
        kill(nix::unistd::Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        while !is_stopped(pid) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!before && !is_stopped(pid) && !is_stopped(own));
    }

    #[test]
    fn only_a_plain_file_with_one_name_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let (soft, hard, pipe) = (dir.path().join("soft"), dir.path().join("hard"), dir.path().join("pipe"));
        std::os::unix::fs::symlink(&victim, &soft).unwrap();
        std::fs::hard_link(&victim, &hard).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&soft, &hard, &pipe, &dir.path().to_owned(), &dir.path().join("no/such")] {
            assert!(matches!(Lock::take(path), Err(Denied::Unusable(_))), "{}", path.display());
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn what_stands_in_the_file_cannot_speak_to_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let held = Lock::take(&path).unwrap();
        std::fs::write(&path, b"\x1b[2Jpid 1\x07\xff".repeat(10_000)).unwrap();
        let Err(Denied::Held(who)) = Lock::take(&path) else { panic!("it was free") };
        assert!(who.chars().count() <= 1000 && !who.chars().any(char::is_control), "{who:?}");
        drop(held);
    }
}
