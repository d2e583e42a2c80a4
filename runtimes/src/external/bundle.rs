//! The `config.json` of an OCI bundle: the same box for every OCI runtime.
//!
//! Namespaces, limits, capabilities and refused system calls are those of isomark's own container, so that like is
//! compared with like; parameters change one of them at a time. Form: OCI runtime specification 1.0.2, config.md.

use std::collections::BTreeMap;

use isomark_core::Spec;
use serde_json::{Value, json};

use super::root::inside;
use crate::namespace::{FILES, refused};

/// A choice that every stanza with a bundle has.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The first is the default. Each with the fact that a report tells.
    pub(crate) words: &'static [(&'static str, &'static str)],
}

/// What a user may choose of a bundle.
pub(crate) const CHOICES: [Choice; 5] = [
    Choice {
        name: "network",
        about: "a network namespace of its own, or the host's",
        words: &[("own", "own namespace, loopback only"), ("host", "the host's")],
    },
    Choice {
        name: "seccomp",
        about: "refuse the system calls that isomark's own container refuses",
        words: &[("on", "on: isomark's list"), ("off", "off")],
    },
    Choice {
        name: "userns",
        about: "a user namespace (root mapped to root)",
        words: &[("off", "none: host uid 0"), ("on", "own, uid 0 mapped to uid 0")],
    },
    Choice {
        name: "limits",
        about: "memory, cpu and pids through cgroups",
        words: &[("on", "memory, cpu and pids"), ("off", "none")],
    },
    Choice {
        name: "capabilities",
        about: "none, or those that engines give by default",
        words: &[("none", "none"), ("default", "those that engines give by default")],
    },
];

/// Capabilities that container engines give by default.
const DEFAULT: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Period over which CPU time is shared out, in µs.
const PERIOD: u64 = 100_000;

/// The file's text. `group` is where the instance's cgroup goes.
pub(crate) fn config(
    spec: &Spec,
    choices: &BTreeMap<String, String>,
    group: Option<&str>,
    host_name: &str,
    root: &str,
) -> String {
    let is = |name: &str, word: &str| choices.get(name).is_some_and(|chosen| chosen == word);
    let program = &spec.program;
    let args = std::iter::once(inside(program)).chain(program.args.iter().cloned()).collect::<Vec<_>>();
    let mut env = program.env.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    if !program.env.iter().any(|(key, _)| key == "PATH") {
        // Some runtimes look every program up along PATH, and refuse to start one without.
        env.push("PATH=/".into());
    }
    let capabilities = if is("capabilities", "default") { DEFAULT.to_vec() } else { Vec::new() };
    let mut linux = json!({
        "namespaces": namespaces(is("network", "host"), is("userns", "on")),
        "rootfsPropagation": "private",
        "resources": resources(spec, is("limits", "off")),
    });
    if let Some(group) = group {
        linux["cgroupsPath"] = json!(group);
    }
    if is("userns", "on") {
        let map = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    if !is("seccomp", "off") {
        linux["seccomp"] = seccomp();
    }
    let limit = |kind: &str, value: u64| json!({ "type": kind, "soft": value, "hard": value });
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": env,
            "cwd": "/",
            "noNewPrivileges": true,
            "rlimits": [limit("RLIMIT_NOFILE", FILES), limit("RLIMIT_CORE", 0)],
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                "inheritable": [], "ambient": [],
            },
        },
        "root": { "path": root, "readonly": false },
        "hostname": host_name,
        "mounts": mounts(),
        "linux": linux,
    });
    config.to_string()
}

fn namespaces(host_network: bool, user: bool) -> Value {
    let mut kinds = vec!["pid", "mount", "uts", "ipc", "cgroup"];
    if !host_network {
        kinds.push("network");
    }
    if user {
        kinds.push("user");
    }
    kinds.into_iter().map(|kind| json!({ "type": kind })).collect()
}

fn resources(spec: &Spec, unlimited: bool) -> Value {
    // Without device rules a runtime puts its own default in their place, which costs the same for everybody.
    let devices = json!([{ "allow": false, "access": "rwm" }]);
    if unlimited {
        return json!({ "devices": devices });
    }
    json!({
        "devices": devices,
        "memory": { "limit": spec.memory },
        "cpu": { "quota": u64::from(spec.cpus) * PERIOD, "period": PERIOD },
        "pids": { "limit": spec.tasks },
    })
}

fn mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev", "ro"] },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=64k"] },
    ])
}

fn seccomp() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            { "names": refused().collect::<Vec<_>>(), "action": "SCMP_ACT_ERRNO", "errnoRet": libc::EPERM },
            { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS },
        ],
    })
}
