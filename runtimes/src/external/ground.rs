//! Namespaces that all commands of a tool share and that go with isomark's own command.
//!
//! What a tool mounts, and which bridges and filter rules it makes, lies in namespaces that nothing refers to but open
//! descriptors and the tool's processes: when they are gone, the kernel takes all of it away. Made once, outside of what
//! is timed.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use isomark_core::runtime::Stdio;
use isomark_core::{Error, Site};
use libc::{MS_NODEV, MS_NOSUID, MS_REC, MS_SLAVE};

use crate::catalogue::stanza::Hook;
use crate::embedded;
use crate::launch::{Ends, Launch, Running, Step, c};
use crate::namespace::hierarchies;

/// Bound on making them.
const DEADLINE: Duration = Duration::from_secs(10);

/// The namespaces.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    open: Vec<(File, &'static str)>,
}

impl Ground {
    /// Makes what the hooks ask for: a payload that waits for jobs holds the namespaces until they stand open here.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) fn open(site: &Site, hooks: &[Hook]) -> Result<Self, Error> {
        let (mounts, network) = (hooks.contains(&Hook::PrivateMounts), hooks.contains(&Hook::PrivateNetwork));
        if !mounts && !network {
            return Ok(Self::default());
        }
        let payload = embedded::unpack(site, "payload", embedded::PAYLOAD)?;
        let plan = |ends: &Ends| launch(&payload, ends, hooks);
        let mut keeper = Running::spawn(Stdio::Wire, DEADLINE, plan)?;
        keeper.ready()?;
        let open = |kind: &'static str| {
            let path = format!("/proc/{}/ns/{kind}", keeper.pid());
            File::open(&path).map(|file| (file, kind)).map_err(|e| Error::os(format!("open {path}"), e))
        };
        let wanted = [(network, "net"), (mounts, "mnt")];
        let open = wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| open(kind));
        let open = open.collect::<Result<Vec<_>, _>>()?;
        keeper.stop()?;
        Ok(Self { open })
    }

    /// The steps by which a command enters.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.open.iter().map(|(file, what)| Step::Enter { fd: file.as_raw_fd(), what })
    }
}

fn launch(payload: &Path, ends: &Ends, hooks: &[Hook]) -> Result<Launch, Error> {
    let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
    steps.extend(ends.steps());
    if hooks.contains(&Hook::PrivateNetwork) {
        steps.extend([Step::Unshare { flags: libc::CLONE_NEWNET, what: "net" }, Step::LoopbackUp]);
    }
    if hooks.contains(&Hook::PrivateMounts) {
        steps.push(Step::Unshare { flags: libc::CLONE_NEWNS, what: "mount" });
        // What the host mounts later arrives here; nothing of here arrives there (mount_namespaces(7)).
        steps.push(Step::mount("none", "/", "", MS_REC | MS_SLAVE, "")?);
    }
    if hooks.contains(&Hook::WithoutEmptyCgroup2) {
        for path in empty_cgroup2() {
            steps.push(Step::Unmount { path: c(path.as_os_str().as_encoded_bytes())? });
        }
    }
    if hooks.contains(&Hook::OwnRun) {
        steps.push(Step::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")?);
        steps.push(Step::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")?);
    }
    let program = c(payload.as_os_str().as_encoded_bytes())?;
    let args = vec![c("payload")?];
    Ok(Launch { steps, program, args, ..Launch::default() })
}

/// Where a cgroup2 is mounted beside controllers in v1.
fn empty_cgroup2() -> Vec<std::path::PathBuf> {
    let all = hierarchies();
    let v1 = all.iter().any(|(_, controllers)| controllers.iter().any(|name| name == "memory"));
    let v2 = all.into_iter().filter(|(_, controllers)| controllers.is_empty()).map(|(path, _)| path);
    if v1 { v2.collect() } else { Vec::new() }
}
