//! Network namespaces, made beside the launch by a thread of their own.
//!
//! Making a network namespace takes the kernel as long as all other namespaces and mounts together, and nothing before
//! the last steps of a launch needs it. So a thread makes it and brings its loopback up while the launching thread
//! makes the cgroup and clones; the child waits for it on a futex and enters it. Nothing is made ahead of the instance that asks.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use isomark_core::Error;
use nix::sched::{CloneFlags, unshare};

use crate::launch::{Step, loopback_up, wake};

/// The thread that makes network namespaces.
#[derive(Debug)]
pub(crate) struct Networks {
    orders: Sender<Arc<Network>>,
    /// `/proc/PID/fd` of the harness: the way by which a child that was cloned before the namespace was there finds it.
    descriptors: File,
}

/// A network namespace, made or being made.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// What failed, if something did.
    why: OnceLock<(String, i32)>,
    /// 0 while being made; then [`MADE`] or [`FAILED`]. The child waits on it.
    state: AtomicU32,
    /// Descriptor of the namespace in the harness, or the errno.
    value: AtomicI32,
}

pub(crate) const MADE: u32 = 1;
const FAILED: u32 = 2;

impl Networks {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the host gives no thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let (orders, inbox) = channel();
        std::thread::Builder::new()
            .name("network".into())
            .spawn(move || make_all(&inbox))
            .map_err(|e| Error::os("start a thread", e))?;
        let path = format!("/proc/{}/fd", std::process::id());
        let descriptors = File::open(&path).map_err(|e| Error::os(format!("open {path}"), e))?;
        Ok(Self { orders, descriptors })
    }

    /// Orders a namespace; returns at once.
    pub(crate) fn order(&self) -> Arc<Network> {
        let network = Arc::new(Network::default());
        if self.orders.send(Arc::clone(&network)).is_err() {
            network.finish(FAILED, libc::EIO);
        }
        network
    }

    /// The step by which a child enters the namespace.
    pub(crate) fn enter(&self, network: &Arc<Network>) -> Step {
        Step::EnterNetwork { network: Arc::clone(network), descriptors: self.descriptors.as_raw_fd() }
    }
}

fn make_all(inbox: &Receiver<Arc<Network>>) {
    while let Ok(network) = inbox.recv() {
        match make() {
            Ok(file) => network.finish(MADE, std::os::fd::IntoRawFd::into_raw_fd(file)),
            Err(e) => {
                let errno = match &e {
                    Error::Os { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
                    _ => libc::EIO,
                };
                let op = if let Error::Os { op, .. } = e { op } else { e.to_string() };
                let _ = network.why.set((op, errno));
                network.finish(FAILED, errno);
            }
        }
    }
}

fn make() -> Result<File, Error> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Error::os("unshare the network namespace", e))?;
    loopback_up().map_err(|e| Error::os("bring the loopback interface up", e))?;
    File::open("/proc/thread-self/ns/net").map_err(|e| Error::os("open the network namespace", e))
}

impl Network {
    fn finish(&self, state: u32, value: i32) {
        self.value.store(value, Ordering::Release);
        self.state.store(state, Ordering::Release);
        wake(&self.state);
    }

    /// What failed, if something did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.why.get().map(|(op, errno)| Error::os(op.clone(), std::io::Error::from_raw_os_error(*errno)))
    }

    /// The word that a child waits on.
    pub(crate) const fn word(&self) -> &AtomicU32 {
        &self.state
    }

    /// Descriptor of the namespace in the harness; the errno if it could not be made; `None` while it is being made.
    pub(crate) fn made(&self) -> Option<Result<i32, i32>> {
        let value = self.value.load(Ordering::Acquire);
        match self.state.load(Ordering::Acquire) {
            0 => None,
            MADE => Some(Ok(value)),
            _ => Some(Err(value)),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(Ok(fd)) = self.made() {
            let _ = nix::unistd::close(fd);
        }
    }
}
