//! cgroups of an instance, through v1, hybrid and v2 files alike.
//!
//! All instances of a command live below one group named after it, noted in the ledger before it is made, so that a
//! later command can settle what a dead one left. Joining never takes the kernel's global lock: the child itself
//! writes to v1's `tasks` (a thread that moves itself alone is exempt, kernel/cgroup/cgroup.c) or is born inside (v2).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use isomark_core::{Error, Site};

use crate::launch::{Step, c};

/// Period over which CPU time is shared out, in µs.
const PERIOD: u64 = 100_000;

/// Where the groups of this command's instances go, one place per hierarchy.
#[derive(Debug)]
pub(crate) struct Groups {
    layout: Layout,
    /// Group of the command in each hierarchy that holds at least one controller we limit.
    places: Vec<Place>,
}

/// A hierarchy.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    controllers: Vec<Controller>,
    /// The directory, opened once it is made: children are named relative to it.
    open: Option<File>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

/// How the host's cgroups are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Controllers in v1 hierarchies only, or in v1 beside a v2 without them.
    V1,
    /// One v2 hierarchy.
    V2,
}

/// What could be limited on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    layout: Layout,
    limited: Vec<&'static str>,
    /// Controllers that the host does not have, or has elsewhere.
    unlimited: Vec<&'static str>,
}

impl Offer {
    fn of(layout: Layout, places: &[Place]) -> Self {
        let has = |c: &Controller| places.iter().any(|place| place.controllers.contains(c));
        let (limited, unlimited) = Controller::ALL.into_iter().partition::<Vec<_>, _>(has);
        let words = |all: Vec<Controller>| all.into_iter().map(Controller::word).collect();
        Self { layout, limited: words(limited), unlimited: words(unlimited) }
    }

    /// Whether memory, CPU and tasks are all limited: only then limits are promised.
    pub(crate) fn is_whole(&self) -> bool {
        self.unlimited.is_empty()
    }

    /// As an identity tells it.
    pub(crate) fn words(&self) -> String {
        let layout = format!("{:?}", self.layout).to_lowercase();
        let limited = match self.limited.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => self.limited.join(", "),
        };
        let but =
            if self.is_whole() { String::new() } else { format!("; not {}", self.unlimited.join(", ")) };
        format!("{limited} through cgroup {layout}{but}")
    }
}

/// What an instance is limited to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes.
    pub(crate) memory: u64,
    /// Tasks.
    pub(crate) pids: u64,
    /// CPUs' worth of time.
    pub(crate) cpus: u32,
}

/// Where hierarchies are mounted: `(mount point, v1 controllers or empty for v2)`.
pub(crate) fn hierarchies() -> Vec<(PathBuf, Vec<String>)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let (_, at, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        match kind {
            "cgroup" => Some((PathBuf::from(at), options.split(',').map(str::to_owned).collect())),
            "cgroup2" => Some((PathBuf::from(at), Vec::new())),
            _ => None,
        }
    };
    mounts.lines().filter_map(parse).collect()
}

/// The path of this process within the hierarchy that has `controller` (v1) or within v2 (empty name).
pub(crate) fn own_path(controller: &str) -> Option<String> {
    path_of("self", controller)
}

/// The group of another process in the memory controller, if it is one of isomark's making or below such a one.
pub(crate) fn memory_group(pid: i32) -> Option<PathBuf> {
    let pid = pid.to_string();
    let (mount, path) = match hierarchies().into_iter().find(|(_, names)| names.iter().any(|n| n == "memory"))
    {
        Some((mount, _)) => (mount, path_of(&pid, "memory")?),
        None => (hierarchies().into_iter().find(|(_, names)| names.is_empty())?.0, path_of(&pid, "")?),
    };
    path.contains("/isomark-").then(|| mount.join(path.trim_start_matches('/')))
}

fn path_of(pid: &str, controller: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mut lines = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        Some((names.to_owned(), path.to_owned()))
    });
    lines.find(|(names, _)| names.split(',').any(|n| n == controller)).map(|(_, path)| path)
}

impl Groups {
    /// Finds where groups can be made and makes the command's own in each hierarchy.
    ///
    /// # Errors
    /// Why no limits can be set here, in words.
    pub(crate) fn open(site: &Site) -> Result<Self, String> {
        let found = hierarchies();
        let mut groups = match v1_places(&found, site) {
            Some(places) => Self { layout: Layout::V1, places },
            None => Self { layout: Layout::V2, places: vec![v2_place(&found, site)?] },
        };
        for place in &mut groups.places {
            site.note("cgroup", &place.dir).map_err(|e| e.chain())?;
            fs::create_dir_all(&place.dir)
                .map_err(|e| format!("cannot make {}: {e}", place.dir.display()))?;
            if groups.layout == Layout::V2 {
                enable(&place.dir, &place.controllers)?;
                keep_from_huge_pages(&place.dir)?;
            }
            if place.controllers.contains(&Controller::Memory) {
                keep_from_swap(&place.dir, groups.layout)?;
            }
            if place.controllers.contains(&Controller::Cpu) {
                hold_bandwidth(&place.dir, groups.layout)?;
            }
            place.open = File::open(&place.dir).ok();
        }
        Ok(groups)
    }

    /// Whether groups could be made, without making any.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn probe(site: &Site) -> Result<Offer, String> {
        let found = hierarchies();
        let (layout, places) = match v1_places(&found, site) {
            Some(places) => (Layout::V1, places),
            None => (Layout::V2, vec![v2_place(&found, site)?]),
        };
        for place in &places {
            let parent = place.dir.parent().unwrap_or(&place.dir);
            nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK)
                .map_err(|e| format!("cannot make groups in {}: {}", parent.display(), e.desc()))?;
        }
        Ok(Offer::of(layout, &places))
    }

    /// Makes the group of one instance, limited.
    ///
    /// # Errors
    /// What the kernel refused; nothing is left behind then.
    pub(crate) fn instance(self: &Arc<Self>, name: &str, limits: Limits) -> Result<Group, Error> {
        let memory = self.places.iter().position(|place| place.controllers.contains(&Controller::Memory));
        let group = Group { groups: Arc::clone(self), name: name.to_owned(), memory };
        (0..self.places.len()).try_for_each(|at| self.make(at, name, limits))?;
        Ok(group)
    }

    fn make(&self, at: usize, name: &str, limits: Limits) -> Result<(), Error> {
        let place = &self.places[at];
        let dir = place.dir.join(name);
        fs::create_dir(&dir).map_err(|e| Error::os(format!("make cgroup {}", dir.display()), e))?;
        place.controllers.iter().try_for_each(|controller| limit(&dir, self.layout, *controller, limits))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for place in &self.places {
            // Not empty only if an instance could not be removed, which has been reported by then.
            let _ = fs::remove_dir(&place.dir);
        }
    }
}

/// v1 hierarchies with the controllers we limit, if there is at least the memory controller.
fn v1_places(found: &[(PathBuf, Vec<String>)], site: &Site) -> Option<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for (controller, word) in Controller::ALL.map(|c| (c, c.word())) {
        let Some((mount, _)) = found.iter().find(|(_, names)| names.iter().any(|n| n == word)) else {
            continue;
        };
        let own = own_path(word).unwrap_or_default();
        let dir = group_dir(mount, &own, site);
        match places.iter_mut().find(|place| place.dir == dir) {
            Some(place) => place.controllers.push(controller),
            None => places.push(Place { dir, controllers: vec![controller], open: None }),
        }
    }
    places.iter().any(|place| place.controllers.contains(&Controller::Memory)).then_some(places)
}

fn v2_place(found: &[(PathBuf, Vec<String>)], site: &Site) -> Result<Place, String> {
    let (mount, _) =
        found.iter().find(|(_, names)| names.is_empty()).ok_or("no cgroup hierarchy is mounted")?;
    // A group with processes in it cannot hand controllers down (cgroups(7), "no internal processes"), and our own
    // group has at least us in it. The root group is exempt, so root makes its groups there; a user needs a
    // delegated parent.
    let own = own_path("").unwrap_or_default();
    let parent = if nix::unistd::geteuid().is_root() { String::new() } else { parent_of(&own) };
    let dir = group_dir(mount, &parent, site);
    let base = dir.parent().unwrap_or(mount);
    let have = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    let controllers = Controller::ALL.into_iter().filter(|c| have.split_whitespace().any(|h| h == c.word()));
    let controllers = controllers.collect::<Vec<_>>();
    if !controllers.contains(&Controller::Memory) {
        return Err(format!("{} hands down no memory controller", base.display()));
    }
    // cgroup.type exists everywhere but in the true root: a container that sees its own group as the root does not have
    // the root's exemption.
    let given = fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default();
    let lacks = controllers.iter().any(|c| !given.split_whitespace().any(|g| g == c.word()));
    let members = fs::read_to_string(base.join("cgroup.procs")).unwrap_or_default();
    if lacks && base.join("cgroup.type").exists() && !members.trim().is_empty() {
        return Err(format!("{} holds processes and so cannot hand controllers down", base.display()));
    }
    Ok(Place { dir, controllers, open: None })
}

fn parent_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned()
}

fn group_dir(mount: &Path, within: &str, site: &Site) -> PathBuf {
    mount.join(within.trim_start_matches('/')).join(format!("isomark-{}", site.tag()))
}

/// Hands the controllers down to the children of `dir`, in its parent first.
fn enable(dir: &Path, controllers: &[Controller]) -> Result<(), String> {
    for at in [dir.parent(), Some(dir)].into_iter().flatten() {
        let file = at.join("cgroup.subtree_control");
        for controller in controllers.iter().map(|c| format!("+{}", c.word())) {
            write(&file, &controller)
                .map_err(|e| format!("cannot enable {controller} in {}: {e}", file.display()))?;
        }
    }
    Ok(())
}

fn write(file: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    // One write, no truncation: these are not regular files.
    io::Write::write_all(&mut OpenOptions::new().write(true).open(file)?, text.as_ref())
}

fn limit(dir: &Path, layout: Layout, controller: Controller, limits: Limits) -> Result<(), Error> {
    let (name, text) = match (controller, layout) {
        (Controller::Memory, Layout::V1) => ("memory.limit_in_bytes", limits.memory.to_string()),
        (Controller::Memory, Layout::V2) => ("memory.max", limits.memory.to_string()),
        (Controller::Pids, _) => ("pids.max", limits.pids.to_string()),
        (Controller::Cpu, Layout::V1) => ("cpu.cfs_quota_us", (u64::from(limits.cpus) * PERIOD).to_string()),
        (Controller::Cpu, Layout::V2) => ("cpu.max", format!("{} {PERIOD}", u64::from(limits.cpus) * PERIOD)),
    };
    let file = dir.join(name);
    write(&file, &text).map_err(|e| Error::os(format!("write {text} to {}", file.display()), e))
}

/// Keeps what lies below from growing into the host's swap, which the limit on memory does not count. Once for the whole
/// command: v2's bound holds for everything below, v1's swappiness passes to groups that are made below.
fn keep_from_swap(dir: &Path, layout: Layout) -> Result<(), String> {
    let file = dir.join(match layout {
        Layout::V1 => "memory.swappiness",
        Layout::V2 => "memory.swap.max",
    });
    match write(&file, "0") {
        // A kernel without swap has no such file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| format!("write 0 to {}: {e}", file.display())),
    }
}

/// Keeps what lies below from the huge pages that the host has set aside for others, which the limit on memory does not
/// count (v2 only: v1 has a hierarchy of its own for them, which each instance would have to join).
fn keep_from_huge_pages(dir: &Path) -> Result<(), String> {
    let parent = dir.parent().unwrap_or(dir).join("cgroup.subtree_control");
    // A host without the controller has no such pages, or nobody to count them.
    let _ = write(&parent, "+hugetlb");
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("hugetlb.") && name.ends_with(".max") {
            let file = entry.path();
            write(&file, "0").map_err(|e| format!("write 0 to {}: {e}", file.display()))?;
        }
    }
    Ok(())
}

/// Sets a quota on the command's own group as well. The first quota on a host patches kernel code (a static key), the
/// last one's removal patches it back: without this, every instance of an otherwise idle host would pay for both.
fn hold_bandwidth(dir: &Path, layout: Layout) -> Result<(), String> {
    let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
    limit(dir, layout, Controller::Cpu, Limits { memory: 0, pids: 0, cpus }).map_err(|e| e.chain())
}

/// The group of one instance; dropping it kills what is left in it and takes it away.
#[derive(Debug)]
pub(crate) struct Group {
    groups: Arc<Groups>,
    name: String,
    /// Which place has the memory controller.
    memory: Option<usize>,
}

impl Group {
    /// The steps by which a child joins (v1).
    ///
    /// # Errors
    /// [`Error::Input`] if a name holds a zero byte.
    pub(crate) fn steps(&self) -> Result<Vec<Step>, Error> {
        if self.groups.layout == Layout::V2 {
            return Ok(Vec::new());
        }
        let join = |place: &Place| {
            let dir = place.open.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
            let controllers = place.controllers.iter().map(|c| c.word()).collect::<Vec<_>>().join(" and ");
            Ok(Step::JoinGroup { dir, tasks: c(format!("{}/tasks", self.name))?, controllers })
        };
        self.groups.places.iter().map(join).collect()
    }

    /// The directory that a child is born into (v2), opened.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn birthplace(&self) -> Result<Option<File>, Error> {
        match (self.groups.layout, self.memory()) {
            (Layout::V2, Some(dir)) => {
                File::open(&dir).map(Some).map_err(|e| Error::os(format!("open cgroup {}", dir.display()), e))
            }
            _ => Ok(None),
        }
    }

    /// The group in the memory controller.
    pub(crate) fn memory(&self) -> Option<PathBuf> {
        self.memory.map(|at| self.groups.places[at].dir.join(&self.name))
    }

    /// Kills what is left in the group and takes it away.
    ///
    /// # Errors
    /// If it is still busy after a second.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.groups.places.iter().try_for_each(|place| remove(&place.dir.join(&self.name)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Removes one group; a task that has just ended may hold it for a moment longer.
pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    for attempt in 0..200 {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) && attempt < 199 => {
                kill_all(dir);
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => return Err(Error::os(format!("remove cgroup {}", dir.display()), e)),
        }
    }
    Ok(())
}

fn kill_all(dir: &Path) {
    if write(&dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.parse::<i32>().ok()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_does_not_limit_is_told_and_not_promised() {
        let parent = tempfile::tempdir().unwrap();
        let site = Site::open(parent.path()).unwrap();
        let v1 = |controllers: &[&str]| {
            let at = |c: &&str| (parent.path().join(c), vec!["rw".to_owned(), (*c).to_owned()]);
            let found = controllers.iter().map(at).collect::<Vec<_>>();
            v1_places(&found, &site).map(|places| Offer::of(Layout::V1, &places))
        };
        let whole = v1(&["cpu", "memory", "pids"]).unwrap();
        assert!(whole.is_whole());
        assert_eq!(whole.words(), "memory, cpu and pids through cgroup v1");
        let part = v1(&["memory", "cpu"]).unwrap();
        assert!(!part.is_whole());
        assert_eq!(part.words(), "memory and cpu through cgroup v1; not pids");
        assert_eq!(v1(&["memory"]).unwrap().words(), "memory through cgroup v1; not cpu, pids");
        assert_eq!(v1(&["cpu", "pids"]), None);
    }

    #[test]
    fn what_the_limit_on_memory_does_not_count_is_not_to_be_had() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("group");
        fs::create_dir(&dir).unwrap();
        let files = [
            "hugetlb.2MB.max",
            "hugetlb.2MB.rsvd.max",
            "hugetlb.1GB.max",
            "hugetlb.2MB.events",
            "memory.swap.max",
        ];
        for file in files {
            fs::write(dir.join(file), "-").unwrap();
        }
        fs::write(parent.path().join("cgroup.subtree_control"), "").unwrap();
        keep_from_huge_pages(&dir).unwrap();
        keep_from_swap(&dir, Layout::V2).unwrap();
        let texts = files.map(|file| fs::read_to_string(dir.join(file)).unwrap());
        assert_eq!(texts, ["0", "0", "0", "-", "0"]);
        let given = fs::read_to_string(parent.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(given, "+hugetlb");
        // Nothing of the kind is there to be kept from.
        keep_from_huge_pages(&parent.path().join("none")).unwrap();
        keep_from_swap(&parent.path().join("none"), Layout::V1).unwrap();
    }

    #[test]
    fn a_hierarchy_that_hands_down_less_is_used_for_what_there_is() {
        let parent = tempfile::tempdir().unwrap();
        let site = Site::open(parent.path()).unwrap();
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("SKIPPED: only root makes its groups at the top");
        }
        let found = [(parent.path().to_owned(), Vec::new())];
        let offer = |controllers: &str| {
            fs::write(parent.path().join("cgroup.controllers"), controllers).unwrap();
            v2_place(&found, &site).map(|place| Offer::of(Layout::V2, &[place]).words())
        };
        assert_eq!(offer("cpu io memory pids\n").unwrap(), "memory, cpu and pids through cgroup v2");
        assert_eq!(offer("memory pids\n").unwrap(), "memory and pids through cgroup v2; not cpu");
        assert!(offer("cpu pids\n").unwrap_err().contains("no memory controller"));
    }
}
