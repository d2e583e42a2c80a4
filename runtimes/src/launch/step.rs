//! The steps between `clone3` and `execve`, as data.
//!
//! A step holds everything it needs in the form the kernel takes it, so that walking it is one system call.

use std::ffi::{CStr, CString};
use std::fmt;
use std::fs::File;
use std::os::fd::RawFd;
use std::sync::Arc;

use isomark_core::Error;

use crate::namespace::Network;

/// One system call of the child.
#[derive(Debug)]
pub(crate) enum Step {
    /// Die with this signal when the parent's thread dies (`prctl(2)`, `PR_SET_PDEATHSIG`).
    DieWithParent(i32),
    /// Leave the harness's process group for one of its own: what a program sends to "its group" stays with it.
    OwnGroup,
    /// Leave the session as well, and with it the user's terminal, which then takes no typed input from inside
    /// (`TIOCSTI`).
    OwnSession,
    /// Make `fd` the descriptor `to`; clears close-on-exec there.
    Descriptor { fd: RawFd, to: RawFd },
    /// Join a v1 cgroup through its `tasks` file, named relative to an open directory.
    JoinGroup { dir: RawFd, tasks: CString, controllers: String },
    /// Write bytes to a file named by path: identity maps.
    WriteFile { path: CString, bytes: Vec<u8> },
    /// Leave these namespaces.
    Unshare { flags: i32, what: &'static str },
    /// `mount(2)`.
    Mount { source: CString, target: CString, kind: CString, flags: u64, data: CString },
    /// `mkdir(2)`, where an existing directory is fine.
    Directory { path: CString, mode: u32 },
    /// Enter a namespace that stands open (`setns(2)`).
    Enter { fd: RawFd, what: &'static str },
    /// Detach a mount (`umount2(2)`).
    Unmount { path: CString },
    /// `chdir(2)`.
    WorkIn { path: CString },
    /// `pivot_root(".", ".")`, then detach the old root, which lies on top of the new one (pivot_root(2), notes).
    Pivot,
    /// `sethostname(2)`.
    Hostname(CString),
    /// Bring the loopback interface up.
    LoopbackUp,
    /// Wait for what is made beside the launch, and enter the network namespace among it.
    EnterNetwork { network: Arc<Network>, descriptors: RawFd },
    /// `setrlimit(2)`: soft and hard limit alike.
    Limit { resource: u32, value: u64 },
    /// Empty the bounding set.
    DropBounding,
    /// Execute as root without gaining capabilities by that (`SECBIT_NOROOT` and its kin, locked; capabilities(7)).
    NoRootPrivileges,
    /// Empty the effective, permitted and inheritable sets (and with them the ambient set).
    DropCapabilities,
    /// Small pages only, for the program and what it starts (`PR_SET_THP_DISABLE`, kept over execve).
    SmallPages,
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivileges,
    /// Install a seccomp filter; must be the last step, for it governs `execve` as well.
    Seccomp(Vec<libc::sock_filter>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DieWithParent(_) => f.write_str("set the parent-death signal"),
            Self::OwnGroup => f.write_str("make a process group"),
            Self::OwnSession => f.write_str("make a session"),
            Self::Descriptor { to, .. } => write!(f, "place descriptor {to}"),
            Self::JoinGroup { tasks, controllers, .. } => {
                write!(f, "join the {controllers} cgroup {}", tasks.to_string_lossy())
            }
            Self::WriteFile { path, .. } => write!(f, "write {}", path.to_string_lossy()),
            Self::Unshare { what, .. } => write!(f, "unshare the {what} namespace"),
            Self::Mount { source, target, kind, .. } => {
                let what = if kind.is_empty() { source } else { kind };
                write!(f, "mount {} on {}", what.to_string_lossy(), target.to_string_lossy())
            }
            Self::Directory { path, .. } => write!(f, "make directory {}", path.to_string_lossy()),
            Self::Enter { what, .. } => write!(f, "enter the shared {what} namespace"),
            Self::Unmount { path } => write!(f, "unmount {}", path.to_string_lossy()),
            Self::WorkIn { path } => write!(f, "change directory to {}", path.to_string_lossy()),
            Self::Pivot => f.write_str("pivot_root into the new root"),
            Self::Hostname(_) => f.write_str("set the host name"),
            Self::LoopbackUp => f.write_str("bring the loopback interface up"),
            Self::EnterNetwork { .. } => f.write_str("enter the network namespace"),
            Self::Limit { resource, value } => write!(f, "set resource limit {resource} to {value}"),
            Self::DropBounding => f.write_str("empty the capability bounding set"),
            Self::NoRootPrivileges => f.write_str("give up root's privileges at execve"),
            Self::DropCapabilities => f.write_str("drop all capabilities"),
            Self::SmallPages => f.write_str("give up huge pages"),
            Self::NoNewPrivileges => f.write_str("set no_new_privs"),
            Self::Seccomp(_) => f.write_str("install the seccomp filter"),
        }
    }
}

/// A program start, complete.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    /// `CLONE_NEW*` flags.
    pub(crate) namespaces: u64,
    /// cgroup (v2) to be born in, as an open directory.
    pub(crate) into_cgroup: Option<File>,
    /// What the child does before it becomes the program.
    pub(crate) steps: Vec<Step>,
    /// The program's file, as the child sees it after its steps.
    pub(crate) program: CString,
    /// Arguments, the program's own name first.
    pub(crate) args: Vec<CString>,
    /// Environment.
    pub(crate) env: Vec<CString>,
}

/// Text as the kernel takes it.
///
/// # Errors
/// [`Error::Input`] if it holds a zero byte.
pub(crate) fn c(text: impl AsRef<[u8]>) -> Result<CString, Error> {
    CString::new(text.as_ref())
        .map_err(|_| Error::Input(format!("{:?} holds a zero byte", String::from_utf8_lossy(text.as_ref()))))
}

impl Step {
    /// Its name in results: the same in every launch, so without paths.
    pub(crate) fn told(&self) -> String {
        let last = |path: &CString| {
            let path = path.to_string_lossy().into_owned();
            let last = path.rsplit('/').next().unwrap_or_default();
            // What lies below the instance's own folder is named after its number, which no other launch has.
            let number = last.strip_prefix('i').is_some_and(|rest| rest.parse::<u64>().is_ok());
            if number { "of the instance".to_owned() } else { last.to_owned() }
        };
        match self {
            Self::JoinGroup { controllers, .. } => format!("join the {controllers} cgroup"),
            Self::WriteFile { path, .. } => format!("write {}", last(path)),
            Self::Mount { source, kind, .. } => {
                format!("mount {}", if kind.is_empty() { last(source) } else { last(kind) })
            }
            Self::Directory { path, .. } => format!("make directory {}", last(path)),
            Self::Unmount { path } => format!("unmount {}", last(path)),
            Self::WorkIn { .. } => "change directory".into(),
            Self::Limit { resource, .. } => format!("set resource limit {resource}"),
            Self::Descriptor { .. } => "place descriptors".into(),
            other => other.to_string(),
        }
    }

    /// What failed beside the launch, if that is why the step did.
    pub(crate) fn excuse(&self) -> Option<Error> {
        match self {
            Self::EnterNetwork { network, .. } => network.failure(),
            _ => None,
        }
    }

    /// A mount whose arguments are known to hold no zero byte.
    ///
    /// # Errors
    /// [`Error::Input`] if one of them does.
    pub(crate) fn mount(
        source: &str,
        target: &str,
        kind: &str,
        flags: u64,
        data: &str,
    ) -> Result<Self, Error> {
        Ok(Self::Mount { source: c(source)?, target: c(target)?, kind: c(kind)?, flags, data: c(data)? })
    }

    /// `mkdir(2)` of a path known to hold no zero byte.
    #[must_use]
    pub(crate) fn directory(path: &CStr) -> Self {
        Self::Directory { path: path.to_owned(), mode: 0o755 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_name_in_every_launch() {
        let told = |path: &str| {
            let directory = Step::directory(&c(path).expect("no zero byte"));
            let mount = Step::mount(path, "/mnt", "", 0, "").expect("no zero byte");
            [directory.told(), mount.told()]
        };
        assert_eq!(told("/site/i17"), told("/site/i4242"));
        assert_eq!(told("/site/i17"), ["make directory of the instance", "mount of the instance"]);
        assert_eq!(told("/site/i17/u"), ["make directory u", "mount u"]);
        assert_eq!(told("/site/init"), ["make directory init", "mount init"]);
    }
}
