//! Which functions of the host's kernel run on behalf of an instance: the function tracer, in a trace instance of our own.
//!
//! Linux's `Documentation/trace/ftrace.rst` describes every file used here. The instance of the tracer is a directory that
//! outlives its maker, so it stands in the ledger first. A traced run is never a timed one.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Unavailable};
use crate::planted;
use crate::runtime::{Anatomy, Role};

/// Where the file system of the tracer is mounted, as modern and as older hosts have it.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Buffer for each CPU in KiB: some hundred thousand calls.
const BUFFER: &str = "16384";

/// Where the tracer is, if it can be used. Changes nothing.
///
/// # Errors
/// Why not, with the remedy.
pub fn available() -> Result<PathBuf, Unavailable> {
    let has = |place: &&Path| {
        let known = fs::read_to_string(place.join("available_tracers")).unwrap_or_default();
        known.split_whitespace().any(|tracer| tracer == "function")
    };
    let place = PLACES.map(Path::new).into_iter().find(has).ok_or_else(|| {
        let remedy = "mount tracefs on /sys/kernel/tracing as root, on a kernel with CONFIG_FUNCTION_TRACER";
        Unavailable::new("this kernel shows no function tracer", remedy)
    })?;
    // Opening it to append changes nothing, and is what a locked-down kernel refuses.
    match OpenOptions::new().append(true).open(place.join("set_ftrace_pid")) {
        Ok(_) => Ok(place.to_owned()),
        Err(e) => Err(Unavailable::new(
            format!("the function tracer cannot be used: {e}"),
            "run as root on a kernel that is not locked down",
        )),
    }
}

/// A trace instance of our own; taken away when dropped.
#[derive(Debug)]
pub struct Tracer(PathBuf);

impl Tracer {
    /// Makes ready to trace the tasks of an instance and what they start. `site` has the ledger and gives the name.
    ///
    /// # Errors
    /// What the kernel refused; nothing is left behind then.
    pub fn open(site: &Path, anatomy: &Anatomy) -> Result<Self, Error> {
        let place = available().map_err(|why| Error::Unsupported(why.reason))?;
        let tag = site.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tracer = Self(place.join("instances").join(format!("isomark-{tag}")));
        planted::note(site, "tracing", &tracer.0.display().to_string())?;
        fs::create_dir(&tracer.0).map_err(|e| Error::os(format!("make {}", tracer.0.display()), e))?;
        tracer.set("tracing_on", "0")?;
        tracer.set("buffer_size_kb", BUFFER)?;
        // What is full stays: the beginning is as good as the end, and what is lost is counted.
        tracer.set("options/overwrite", "0")?;
        tracer.set("options/function-fork", "1")?;
        for (pid, _) in anatomy.processes.iter().filter(|(_, role)| *role != Role::Daemon) {
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                tracer.set("set_ftrace_pid", &task.file_name().to_string_lossy())?;
            }
        }
        tracer.set("current_tracer", "function")?;
        Ok(tracer)
    }

    fn set(&self, file: &str, value: &str) -> Result<(), Error> {
        let path = self.0.join(file);
        let written =
            OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(value.as_bytes()));
        written.map_err(|e| Error::os(format!("write {value} to {}", path.display()), e))
    }

    /// Traces while `work` is done: the functions that ran, and how many calls found no room.
    ///
    /// # Errors
    /// What the work or the tracer says.
    pub fn trace(&self, work: impl FnOnce() -> Result<(), Error>) -> Result<(BTreeSet<String>, u64), Error> {
        self.set("tracing_on", "1")?;
        let done = work();
        Error::join(done, self.set("tracing_on", "0"))?;
        let path = self.0.join("trace");
        let text = fs::read_to_string(&path).map_err(|e| Error::os(format!("read {}", path.display()), e))?;
        Ok((functions(&text), self.lost()))
    }

    fn lost(&self) -> u64 {
        let each = fs::read_dir(self.0.join("per_cpu")).into_iter().flatten().flatten();
        let stats = each.filter_map(|cpu| fs::read_to_string(cpu.path().join("stats")).ok());
        stats.map(|text| dropped(&text)).sum()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        take(&self.0);
    }
}

/// Takes a trace instance away; whether there was one.
pub fn take(instance: &Path) -> bool {
    let _ = fs::write(instance.join("current_tracer"), "nop");
    fs::remove_dir(instance).is_ok()
}

/// The functions of a trace: `task-pid [cpu] flags time: function <-caller`.
fn functions(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| line.split_once(" <-")?.0.rsplit(' ').next().map(str::to_owned);
    lines.filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// Calls that found no room, of the statistics of one CPU.
fn dropped(stats: &str) -> u64 {
    let value =
        |name: &str| stats.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    ["overrun:", "dropped events:"].iter().filter_map(|name| value(name)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_the_kernel_writes_it() {
        let text = "# tracer: function\n#\n\
                    \x20           bash-1977  [000] .... 17284.993652: sys_close <-system_call_fastpath\n\
                    \x20    kworker/0:1-17    [001] d..1. 17284.993653: __close_fd <-sys_close\n\
                    \x20           bash-1977  [000] .... 17284.993658: sys_close <-system_call_fastpath\n\
                    CPU:1 [LOST 12 EVENTS]\n";
        let names = functions(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names, ["__close_fd", "sys_close"]);
        assert_eq!(dropped("entries: 5\noverrun: 3\ncommit overrun: 9\ndropped events: 4\n"), 7);
    }

    #[test]
    fn this_process_can_be_traced_where_there_is_a_tracer() {
        match available() {
            Err(why) => eprintln!("SKIPPED the function tracer: {why}; remedy: {}", why.remedy),
            Ok(_) => {
                let site = tempfile::tempdir().unwrap();
                let pid = i32::try_from(std::process::id()).unwrap();
                let anatomy = Anatomy { processes: vec![(pid, Role::Program)], ..Anatomy::default() };
                let tracer = Tracer::open(site.path(), &anatomy).unwrap();
                let (functions, _) = tracer.trace(|| crate::account::meminfo("MemFree:").map(drop)).unwrap();
                assert!(functions.iter().any(|name| name.contains("meminfo")), "{functions:?}");
                let dir = tracer.0.clone();
                drop(tracer);
                assert!(!dir.exists());
            }
        }
    }
}
