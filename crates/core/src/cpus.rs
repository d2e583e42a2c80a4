//! On which CPUs an instance runs: what the harness may use, which of them are cores of their own, and pinning.
//!
//! Pinning is by `sched_setaffinity(2)` on every task of an instance; what those tasks start later inherits it. A
//! runtime's own limits are not touched, so the same placement means the same for every runtime.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::Error;
use crate::runtime::{Anatomy, Role};

/// CPUs that this process may use, in ascending order.
///
/// # Errors
/// If the kernel does not tell.
pub fn allowed() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(|e| Error::os("read the CPU affinity", e))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// One allowed CPU of each core: two hardware threads of one core are no two cores.
///
/// # Errors
/// If the kernel does not tell.
pub fn cores() -> Result<Vec<usize>, Error> {
    let mut seen = Vec::new();
    let own = |cpu: &usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        // Without the file every CPU counts as a core.
        let siblings = fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string());
        let new = !seen.contains(&siblings);
        seen.push(siblings);
        new
    };
    let mut cpus = allowed()?;
    cpus.retain(own);
    Ok(cpus)
}

/// Keeps every task of the instance's own processes on these CPUs.
///
/// # Errors
/// If a CPU does not exist or the kernel refuses.
pub fn pin(anatomy: &Anatomy, cpus: &[usize]) -> Result<(), Error> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).map_err(|e| Error::os(format!("name CPU {cpu}"), e))?;
    }
    let own = anatomy.processes.iter().filter(|(_, role)| *role != Role::Daemon);
    own.into_iter().try_for_each(|(pid, _)| pin_process(*pid, &set))
}

fn pin_process(pid: i32, set: &CpuSet) -> Result<(), Error> {
    let fail = |e: std::io::Error| Error::os(format!("pin the tasks of process {pid}"), e);
    for entry in fs::read_dir(format!("/proc/{pid}/task")).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let Some(task) = name.to_str().and_then(|text| text.parse().ok()) else { continue };
        match sched_setaffinity(Pid::from_raw(task), set) {
            // A task that has ended since it was listed needs no place.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => return Err(fail(e.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_kept_on_one_cpu() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let anatomy = Anatomy { processes: vec![(pid, Role::Program)], ..Anatomy::default() };
        let last = *cores().unwrap().last().unwrap();
        let pinned = pin(&anatomy, &[last]);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        pinned.unwrap();
        assert!(status.contains(&format!("Cpus_allowed_list:\t{last}\n")), "{status}");
        assert!(cores().unwrap().len() <= allowed().unwrap().len());
        let gone = Anatomy { processes: vec![(i32::MAX, Role::Program)], ..Anatomy::default() };
        assert!(pin(&gone, &[last]).is_err());
        assert!(pin(&anatomy, &[usize::MAX]).is_err());
    }
}
