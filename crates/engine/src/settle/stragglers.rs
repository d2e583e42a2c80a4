//! Processes that a command has left running.
//!
//! They are told by marks that only our own making puts there: a program file in the site, a home directory below it, or
//! the command's name in a word of their own. Never by the name of a program, and nobody we descend from.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use isomark_core::site::start_time;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Bound on the end of a process that was killed.
const END: Duration = Duration::from_secs(5);

/// A process, named so that another one with its pid is not mistaken for it.
#[derive(Debug)]
pub(super) struct Straggler {
    pid: i32,
    start: u64,
    name: String,
}

/// Those of the command with this site and tag, each as soon as it is seen: who only passes a life on to the next would be
/// gone at the end of the look.
pub(super) fn of(site: &Path, tag: &str) -> impl Iterator<Item = Straggler> {
    let marks = Marks::of(site, tag);
    let (us, ours) = (std::process::id().to_string(), ancestors());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(move |pid| pid.bytes().all(|b| b.is_ascii_digit()) && *pid != us && !ours.contains(pid))
        .filter(move |pid| !is_zombie(pid) && marks.on(pid))
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned();
            Some(Straggler { start: start_time(&pid).ok()?, pid: pid.parse().ok()?, name })
        })
}

/// By what our processes are told.
struct Marks {
    /// The site with a slash behind it.
    below: Vec<u8>,
    home: Vec<u8>,
    name: Vec<u8>,
    /// Device and inode of the programs that were unpacked there: inside a box their path is another one.
    programs: BTreeSet<(u64, u64)>,
}

impl Marks {
    fn of(site: &Path, tag: &str) -> Self {
        let below = [site.as_os_str().as_bytes(), b"/"].concat();
        let entries = fs::read_dir(site).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
        let programs = files.filter(|file| file.mode() & 0o111 != 0).map(|file| (file.dev(), file.ino()));
        let home = [b"HOME=", below.as_slice()].concat();
        Self { home, name: format!("isomark-{tag}-").into_bytes(), programs: programs.collect(), below }
    }

    fn on(&self, pid: &str) -> bool {
        let exe = format!("/proc/{pid}/exe");
        let file = fs::metadata(&exe).map(|file| (file.dev(), file.ino()));
        let path = fs::read_link(&exe).unwrap_or_default();
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        file.is_ok_and(|file| self.programs.contains(&file))
            || path.as_os_str().as_bytes().starts_with(&self.below)
            || read("environ").split(|b| *b == 0).any(|variable| variable.starts_with(&self.home))
            || read("cmdline").windows(self.name.len()).any(|part| part == self.name)
    }
}

/// Who started us, up to the first process.
fn ancestors() -> BTreeSet<String> {
    let parent = |pid: &String| stat(pid).and_then(|(_, parent)| (parent != "0").then_some(parent));
    std::iter::successors(parent(&"self".to_owned()), parent).take(256).collect()
}

/// State and parent: fields 3 and 4 of `/proc/PID/stat` (proc(5)).
fn stat(pid: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned);
    fields.next().zip(fields.next())
}

fn is_zombie(pid: &str) -> bool {
    stat(pid).is_none_or(|(state, _)| matches!(state.as_str(), "Z" | "X"))
}

impl Straggler {
    /// Pid and name.
    pub(super) fn words(&self) -> String {
        format!("{} ({})", self.pid, self.name)
    }

    fn is_there(&self) -> bool {
        let pid = self.pid.to_string();
        start_time(&pid).is_ok_and(|start| start == self.start) && !is_zombie(&pid)
    }

    /// Ends it; whether it is gone.
    pub(super) fn end(&self) -> bool {
        let until = Instant::now() + END;
        while self.is_there() {
            if Instant::now() > until {
                return false;
            }
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}
