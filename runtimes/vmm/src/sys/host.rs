//! System calls of the VMM itself: clocks, descriptors 0 to 2, signals, the way out.
//!
//! One call per function; each works under the VMM's own seccomp filter unless it says that it comes before it.

use std::ffi::{CStr, c_char, c_int};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use vm_memory::VolatileSlice;

use crate::error::Error;

/// Nanoseconds of a clock, as seconds and nanoseconds.
#[must_use]
pub fn clock(id: libc::clockid_t) -> Option<(i64, i64)> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to.
    let got = unsafe { libc::clock_gettime(id, &raw mut now) };
    (got == 0).then_some((now.tv_sec, now.tv_nsec))
}

/// CLOCK_MONOTONIC in nanoseconds: the one clock that the harness uses too.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let (seconds, nanos) = clock(libc::CLOCK_MONOTONIC).unwrap_or_default();
    seconds as u64 * 1_000_000_000 + nanos as u64
}

/// The arguments of the process as the C library hands them to `main`.
///
/// # Safety
/// `argv` must point at `argc` pointers to NUL-terminated strings that live as long as the process.
#[must_use]
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<&'static [u8]> {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the caller promises `argc` pointers at `argv`.
    let pointers = unsafe { std::slice::from_raw_parts(argv, count) };
    pointers.iter().map(|&p| string(p)).collect()
}

fn string(pointer: *const c_char) -> &'static [u8] {
    // SAFETY: only called by `arguments`, whose caller promises NUL-terminated strings.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}

/// A descriptor number of the command line as something that can be used.
#[must_use]
pub fn descriptor(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: F_GETFD only asks whether the number is open.
    let open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
    // SAFETY: it is open, it was handed to us for the life of the process, and nothing here closes it.
    open.then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Reads the beginning of a file.
///
/// # Errors
/// If the kernel refuses.
pub fn pread(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> Result<usize, Error> {
    use std::os::fd::AsRawFd;
    let at = i64::try_from(offset).unwrap_or(i64::MAX);
    // SAFETY: `bytes` is valid for writes of its length.
    let got = unsafe { libc::pread(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), at) };
    usize::try_from(got).map_err(|_| Error::os("read the program or the snapshot"))
}

/// Reads part of a file straight into guest memory.
///
/// # Errors
/// If the kernel refuses.
pub fn read_at(file: BorrowedFd<'_>, into: &VolatileSlice<'_, ()>, offset: u64) -> Result<u64, Error> {
    use std::os::fd::AsRawFd;
    let at = i64::try_from(offset).unwrap_or(i64::MAX);
    let bytes = into.ptr_guard_mut();
    // SAFETY: the slice is valid for writes of its length, and only volatile accesses look at it.
    let got = unsafe { libc::pread(file.as_raw_fd(), bytes.as_ptr().cast(), into.len(), at) };
    u64::try_from(got).map_err(|_| Error::os("read the program or the snapshot"))
}

/// Length of a file in bytes.
///
/// # Errors
/// If the kernel refuses.
pub fn file_len(file: BorrowedFd<'_>) -> Result<u64, Error> {
    use std::os::fd::AsRawFd;
    // SAFETY: lseek on a descriptor that we were given changes only its offset, which we never use.
    let end = unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_END) };
    u64::try_from(end).map_err(|_| Error::os("find the length of the program or the snapshot"))
}

/// Reads from one of the program's descriptors straight into guest memory; an error number if that fails.
///
/// # Errors
/// The error number.
pub fn read(fd: RawFd, into: &VolatileSlice<'_, ()>) -> Result<u64, i32> {
    // SAFETY: the slice is valid for writes of its length, and only volatile accesses look at it.
    let got = unsafe { libc::read(fd, into.ptr_guard_mut().as_ptr().cast(), into.len()) };
    u64::try_from(got).map_err(|_| errno())
}

/// Reads bytes of the harness's into memory of the VMM's own.
///
/// # Errors
/// What the kernel said.
pub fn read_bytes(fd: RawFd, into: &mut [u8]) -> std::io::Result<usize> {
    // SAFETY: the pointer and length describe one live, writable slice.
    let got = unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) };
    usize::try_from(got).map_err(|_| std::io::Error::last_os_error())
}

/// Keeps signals away from this thread: they are for the one that runs the CPU.
pub fn block_signals() {
    // SAFETY: all-zero bytes are a valid sigset_t on Linux.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid set to change.
    unsafe { libc::sigfillset(&raw mut set) };
    // SAFETY: `set` is a valid set to read.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

/// Writes guest memory straight to one of the program's descriptors.
///
/// # Errors
/// The error number.
pub fn write(fd: RawFd, from: &VolatileSlice<'_, ()>) -> Result<u64, i32> {
    // SAFETY: the slice is valid for reads of its length; the kernel copes with bytes that change meanwhile.
    let got = unsafe { libc::write(fd, from.ptr_guard().as_ptr().cast(), from.len()) };
    u64::try_from(got).map_err(|_| errno())
}

/// Writes text of the VMM's own; what cannot be written is lost, because nobody is left to tell. Past the deadline a reader
/// that does not read is not waited for.
pub fn tell(fd: RawFd, mut text: &[u8]) {
    while !text.is_empty() {
        // SAFETY: `text` is valid for reads of its length.
        let got = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
        match usize::try_from(got) {
            Ok(0) => return,
            Ok(n) => text = &text[n..],
            Err(_) if errno() == libc::EINTR && !expired() => {}
            Err(_) => return,
        }
    }
}

/// Writes all of `bytes`.
///
/// # Errors
/// If the kernel refuses.
pub fn put(fd: RawFd, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        // SAFETY: `bytes` is valid for reads of its length.
        let got = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(got) {
            Ok(0) => return Err(Error::Internal("write the snapshot: nothing was written".into())),
            Ok(n) => bytes = &bytes[n..],
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return Err(Error::os("write the snapshot")),
        }
    }
    Ok(())
}

/// Why the last call failed.
#[must_use]
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Waits for events on the program's own descriptors 0 to 2. `timeout` is in milliseconds, negative for ever.
///
/// # Errors
/// The error number.
pub fn poll(fds: &mut [libc::pollfd], timeout: i32) -> Result<u64, i32> {
    // SAFETY: `fds` is valid for writes of its length.
    let got = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
    u64::try_from(got).map_err(|_| errno())
}

/// Waits until a descriptor is readable or its other end is closed.
pub fn wait_for(fd: RawFd) {
    let mut fds = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
    while poll(&mut fds, -1) == Err(libc::EINTR) && !expired() {}
}

/// Sleeps for a while or until a signal comes; gives what is left in nanoseconds then.
///
/// # Errors
/// What was left to sleep, in nanoseconds.
pub fn sleep(nanos: u64) -> Result<(), u64> {
    let part =
        |n: u64| libc::timespec { tv_sec: (n / 1_000_000_000) as i64, tv_nsec: (n % 1_000_000_000) as i64 };
    let (wanted, mut left) = (part(nanos), part(0));
    // SAFETY: both are valid timespecs.
    let got = unsafe { libc::nanosleep(&raw const wanted, &raw mut left) };
    if got == 0 { Ok(()) } else { Err(left.tv_sec as u64 * 1_000_000_000 + left.tv_nsec as u64) }
}

/// Fills with random bytes.
pub fn random(bytes: &mut [u8]) {
    // SAFETY: `bytes` is valid for writes of its length. Up to 256 bytes always come whole (getrandom(2)).
    bytes.chunks_mut(256).for_each(|part| unsafe {
        libc::getrandom(part.as_mut_ptr().cast(), part.len(), 0);
    });
}

/// CPU time of this process, which is the guest's: user and system, as (seconds, microseconds).
#[must_use]
pub fn cpu_time() -> [(i64, i64); 2] {
    // SAFETY: all-zero bytes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writes.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    [(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec), (usage.ru_stime.tv_sec, usage.ru_stime.tv_usec)]
}

/// Bits of the auxiliary vector entry AT_HWCAP or AT_HWCAP2 of this process.
#[must_use]
pub fn hwcap(kind: u64) -> u64 {
    // SAFETY: getauxval reads a table that the kernel made.
    unsafe { libc::getauxval(kind) }
}

/// Set by the deadline's signal handler.
static EXPIRED: AtomicBool = AtomicBool::new(false);
/// The byte that makes the next or current KVM_RUN return at once.
static IMMEDIATE_EXIT: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn on_alarm(_signal: c_int) {
    EXPIRED.store(true, Ordering::Relaxed);
    let flag = IMMEDIATE_EXIT.load(Ordering::Relaxed);
    if !flag.is_null() {
        // SAFETY: the pointer is the flag in the vCPU's shared page, which lives as long as the process.
        unsafe { flag.write_volatile(1) };
    }
}

/// Whether the deadline has passed.
#[must_use]
pub fn expired() -> bool {
    EXPIRED.load(Ordering::Relaxed)
}

/// Arms the deadline: after `millis` every blocking call and KVM_RUN returns, again and again, so that no race between
/// a check and a call can lose the signal. Comes before the seccomp filter.
///
/// # Errors
/// If the kernel refuses.
pub fn arm(millis: u64, immediate_exit: &mut u8) -> Result<(), Error> {
    IMMEDIATE_EXIT.store(std::ptr::from_mut(immediate_exit), Ordering::Relaxed);
    handle(libc::SIGALRM, on_alarm as *const () as usize);
    unblock(libc::SIGALRM);
    let part = |ms: u64| libc::timeval { tv_sec: (ms / 1000) as i64, tv_usec: (ms % 1000 * 1000) as i64 };
    let timer = libc::itimerval { it_interval: part(20), it_value: part(millis.max(1)) };
    // SAFETY: `timer` is a valid itimerval and the old value is not asked for.
    let got = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    if got == 0 { Ok(()) } else { Err(Error::os("arm the deadline")) }
}

/// A signal mask is inherited through exec: the deadline must not be lost to the mask of whoever started us.
fn unblock(signal: c_int) {
    // SAFETY: all-zero bytes are a valid, empty sigset_t on Linux.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid set to change.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    // SAFETY: `set` is a valid set to read.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Installs a handler (or SIG_IGN, SIG_DFL) without SA_RESTART.
fn handle(signal: c_int, handler: usize) {
    // SAFETY: all-zero bytes are a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `action` is valid; the handler only stores to two atomics and one byte.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

/// A write to a closed pipe becomes EPIPE: whether SIGPIPE kills the program is the program's business.
pub fn ignore_sigpipe() {
    handle(libc::SIGPIPE, libc::SIG_IGN);
}

/// Names the guest's memory for /proc/self/smaps; kernels without CONFIG_ANON_VMA_NAME just refuse.
pub fn name_mapping(address: u64, len: u64) {
    // SAFETY: naming changes nothing but the name; the text lives for ever.
    unsafe {
        libc::prctl(libc::PR_SET_VMA, libc::PR_SET_VMA_ANON_NAME, address, len, c"isomark-guest".as_ptr());
    };
}

/// What a VMM may have of something from here on, whoever speaks with its voice; a limit that is lower already stays.
pub fn bound(most: Most, bytes: u64) {
    let resource = match most {
        Most::AddressSpace => libc::RLIMIT_AS,
        Most::File => libc::RLIMIT_FSIZE,
    };
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    let mut old = limit;
    // SAFETY: two valid rlimits; lowering a limit of this process harms nobody.
    unsafe { libc::prlimit(0, resource, &raw const limit, &raw mut old) };
    if old.rlim_cur < bytes {
        old.rlim_max = old.rlim_max.min(bytes);
        // SAFETY: as above.
        unsafe { libc::setrlimit(resource, &raw const old) };
    }
}

/// What is bounded.
#[derive(Clone, Copy, Debug)]
pub enum Most {
    /// All mappings of this process together.
    AddressSpace,
    /// A file that it writes.
    File,
}

/// Whoever ends this process from here on, and however, no core of guest memory is written. One byte is less than any
/// core has, and the one number with which Linux does not start a handler either (`core_pattern` with a pipe).
fn leave_no_core() {
    let least = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: a valid rlimit; lowering a limit of this process harms nobody. Where it is lower already it stays.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const least) };
}

/// Ends this process the way the program ended: by the same signal.
pub fn die_by(signal: c_int) -> ! {
    handle(signal, libc::SIG_DFL);
    let own = std::process::id() as c_int;
    // SAFETY: sends this process a signal.
    unsafe { libc::kill(own, signal) };
    exit(128 + signal)
}

/// Ends this process now; no destructor and no atexit handler runs.
pub fn exit(code: c_int) -> ! {
    // SAFETY: leaves for good.
    unsafe { libc::_exit(code) }
}

/// The host's CPUID.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> std::arch::x86_64::CpuidResult {
    std::arch::x86_64::__cpuid_count(leaf, subleaf)
}

/// The host's XCR0; only where CPUID says OSXSAVE.
#[must_use]
pub fn xcr0() -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: register 0 always exists where XGETBV does.
        unsafe { std::arch::x86_64::_xgetbv(0) }
    }
    // SAFETY: the caller has seen OSXSAVE.
    unsafe { read() }
}

/// Gives up cores and what executing could gain, and installs a seccomp filter for this thread.
///
/// # Errors
/// If the kernel refuses.
pub fn confine(filter: &[libc::sock_filter]) -> Result<(), Error> {
    let refused = |what: &str| Error::Internal(format!("{what}: {}", std::io::Error::last_os_error()));
    leave_no_core();
    // SAFETY: plain numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(refused("PR_SET_NO_NEW_PRIVS"));
    }
    let len = u16::try_from(filter.len()).map_err(|_| Error::Internal("the filter is too long".into()))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: a filter program that outlives the call; the kernel copies and verifies it.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(refused("seccomp")),
    }
}
