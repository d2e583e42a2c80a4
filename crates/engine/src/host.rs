//! The host's fingerprint: everything about it that moves results, read before the first sample.
//!
//! A fact that cannot be read is left out, never guessed. What is unusual enough to doubt results comes with its
//! remedy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use isomark_core::account::meminfo;
use isomark_core::record::{Host, Warning};
use isomark_core::trial::DEFAULT_DEADLINE;
use isomark_core::{Bench, Image, Site};

/// What only the runtimes can find out.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// KVM class, a word.
    pub kvm_class: String,
    /// What it was concluded from.
    pub kvm_evidence: String,
    /// Ticks of the time-stamp counter per second.
    pub tsc_hz: u64,
}

/// Reads the fingerprint.
///
/// ```
/// use isomark_engine::host::{Probed, read};
///
/// let host = read(Probed::default());
/// println!("{} CPUs, kernel {}, cgroup {}", host.cpus, host.kernel, host.cgroup);
/// # assert!(host.cpus > 0 && !host.kernel.is_empty());
/// ```
#[must_use]
pub fn read(probed: Probed) -> Host {
    let uname = nix::sys::utsname::uname().ok();
    let kernel = uname.as_ref().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let name = uname.as_ref().map(|u| u.nodename().to_string_lossy().into_owned()).unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let facts = facts();
    Host {
        name,
        kernel,
        cpu: cpu_field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".into()),
        cpus: cpus(),
        memory: meminfo("MemTotal:").unwrap_or(0),
        llc: llc(),
        kvm_class: probed.kvm_class,
        kvm_evidence: probed.kvm_evidence,
        cgroup: cgroup_layout(&fs::read_to_string("/proc/self/mounts").unwrap_or_default()).into(),
        hypervisor: hypervisor(&cpuinfo),
        tsc_hz: probed.tsc_hz,
        isa: isomark_core::features::best_path().word().into(),
        user: if nix::unistd::geteuid().is_root() { "root".into() } else { "user".into() },
        warnings: warnings(&facts, &cpuinfo),
        facts,
    }
}

/// What trials on this host share, with the usual deadline; instances are provisioned where `site` lies.
#[must_use]
pub fn bench(payload: Image, site: &Site, tsc_hz: u64) -> Bench {
    let (deadline, scratch) = (DEFAULT_DEADLINE, site.dir().to_owned());
    Bench { payload, program: None, tsc_hz, cpus: cpus(), llc: llc(), deadline, scratch }
}

/// CPUs this process may use.
#[must_use]
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Last-level cache that is assumed where the host does not tell its size (with a warning), in bytes.
const ASSUMED_LLC: u64 = 32 << 20;

/// Size of the last-level cache in bytes; an assumed one where the host does not say.
#[must_use]
pub fn llc() -> u64 {
    told_llc().unwrap_or(ASSUMED_LLC)
}

fn told_llc() -> Option<u64> {
    let sizes = (0..8).filter_map(|i| {
        let dir = format!("/sys/devices/system/cpu/cpu0/cache/index{i}");
        let level: u32 = line(&format!("{dir}/level"))?.parse().ok()?;
        Some((level, size(&line(&format!("{dir}/size"))?)?))
    });
    sizes.max_by_key(|(level, _)| *level).map(|(_, bytes)| bytes)
}

/// "32768K" in bytes.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => 1,
    };
    digits.parse::<u64>().ok().map(|n| n * unit)
}

/// How cgroups are laid out, from the table of mounts.
fn cgroup_layout(mounts: &str) -> &'static str {
    let kinds = mounts.lines().filter_map(|line| line.split(' ').nth(2));
    let (mut v1, mut v2) = (false, false);
    for kind in kinds {
        v1 |= kind == "cgroup";
        v2 |= kind == "cgroup2";
    }
    match (v1, v2) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

fn hypervisor(cpuinfo: &str) -> String {
    let inside = cpu_field(cpuinfo, "flags").is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor"));
    if !inside {
        return "none".into();
    }
    let vendor = line("/sys/hypervisor/type").or_else(|| line("/sys/class/dmi/id/sys_vendor"));
    vendor.filter(|v| !v.is_empty()).unwrap_or_else(|| "unnamed".into())
}

fn cpu_field(cpuinfo: &str, name: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line of a file.
fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next().unwrap_or_default().trim().to_owned())
}

/// Files whose one line is a fact.
const FACTS: &[(&str, &str)] = &[
    ("clock source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    ("transparent huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("KSM", "/sys/kernel/mm/ksm/run"),
    ("governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    ("SMT", "/sys/devices/system/cpu/smt/active"),
    ("ASLR", "/proc/sys/kernel/randomize_va_space"),
    ("load", "/proc/loadavg"),
    ("kernel command line", "/proc/cmdline"),
    ("unprivileged user namespaces", "/proc/sys/user/max_user_namespaces"),
];

fn facts() -> BTreeMap<String, String> {
    let mut facts = FACTS
        .iter()
        .filter_map(|(name, path)| Some(((*name).to_owned(), line(path)?)))
        .collect::<BTreeMap<_, _>>();
    if let Some(mitigations) = mitigations() {
        facts.insert("mitigations".into(), mitigations);
    }
    if let Ok(swap) = meminfo("SwapTotal:") {
        facts.insert("swap".into(), format!("{} MiB", swap >> 20));
    }
    if let Ok(uname) = nix::sys::utsname::uname() {
        facts.insert("kernel build".into(), uname.version().to_string_lossy().into_owned());
    }
    facts
}

/// What the kernel does against the CPU's vulnerabilities, "Not affected" left out.
fn mitigations() -> Option<String> {
    let mut all = fs::read_dir("/sys/devices/system/cpu/vulnerabilities")
        .ok()?
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, line(entry.path().to_str()?)?)))
        .filter(|(_, state)| state != "Not affected")
        .map(|(name, state)| format!("{name}: {state}"))
        .collect::<Vec<_>>();
    all.sort();
    Some(all.join("; "))
}

fn warnings(facts: &BTreeMap<String, String>, cpuinfo: &str) -> Vec<Warning> {
    let fact = |name: &str| facts.get(name).map_or("", String::as_str);
    let invariant = cpu_field(cpuinfo, "flags").is_some_and(|f| f.split(' ').any(|f| f == "constant_tsc"));
    let checks = [
        (
            told_llc().is_none(),
            format!(
                "the host does not tell its last-level cache; {} MiB are assumed for array sizes",
                ASSUMED_LLC >> 20
            ),
            "give n instead of llc in the plan's memory kernels",
        ),
        (
            matches!(fact("governor"), "powersave" | "ondemand" | "schedutil" | "conservative"),
            format!("the CPU frequency governor is {}", fact("governor")),
            "cpupower frequency-set -g performance, for the time of the run",
        ),
        (
            fact("KSM") == "1",
            "kernel same-page merging runs and moves memory figures".into(),
            "echo 0 > /sys/kernel/mm/ksm/run, for the time of the run",
        ),
        (
            !matches!(fact("clock source"), "tsc" | "kvm-clock" | ""),
            format!("the clock source is {}, which is slow to read", fact("clock source")),
            "see why the kernel gave up tsc: dmesg | grep -i tsc",
        ),
        (
            !invariant,
            "the time-stamp counter of this CPU is not constant: rates may be off".into(),
            "pin the CPU frequency, or measure on a newer CPU",
        ),
        (
            fact("load")
                .split(' ')
                .next()
                .and_then(|l| l.parse::<f64>().ok())
                .is_some_and(|l| l > f64::from(cpus())),
            format!(
                "the host was busy before the run: load {}",
                fact("load").split(' ').next().unwrap_or("")
            ),
            "run again when it is quiet",
        ),
    ];
    let warning = |(cause, remedy): (String, &str)| Warning { cause, remedy: remedy.into() };
    checks.into_iter().filter(|c| c.0).map(|(_, cause, remedy)| warning((cause, remedy))).collect()
}

/// Whether a directory lies on a file system in memory; for messages about cold starts.
#[must_use]
pub fn in_memory(path: &Path) -> bool {
    isomark_core::account::in_memory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_follows_the_mounts() {
        assert_eq!(cgroup_layout("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0"), "v2");
        assert_eq!(cgroup_layout("c /a cgroup rw,cpu 0 0\nc /b cgroup2 rw 0 0"), "hybrid");
        assert_eq!(cgroup_layout("c /a cgroup rw,cpu 0 0"), "v1");
        assert_eq!(cgroup_layout("proc /proc proc rw 0 0"), "none");
    }

    #[test]
    fn cache_sizes_have_units() {
        assert_eq!(
            (size("32768K"), size("1M"), size("512"), size("x")),
            (Some(32 << 20), Some(1 << 20), Some(512), None)
        );
    }

    #[test]
    fn this_host_has_a_name_a_kernel_and_memory() {
        let host = read(Probed::default());
        assert!(!host.kernel.is_empty() && host.memory > 0 && host.cpus > 0 && host.llc > 0, "{host:?}");
    }
}
