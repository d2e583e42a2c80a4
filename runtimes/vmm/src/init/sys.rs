//! The system calls of process 1, one per function.

#![expect(unsafe_code, reason = "process 1 has nothing but the C library between itself and the kernel")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use crate::spec::Spec;

/// Called once by the C library.
// SAFETY: `main` is the one symbol that the C library calls by this name and with these types.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    crate::run();
    0
}

/// Where the machine is told lines of text.
pub(crate) enum Port {
    /// An I/O port.
    Granted,
    /// A third serial line: User-Mode Linux has no ports.
    Line(c_int),
    /// Nowhere.
    None,
}

const CONTROL: u16 = 0x402;

impl Port {
    /// Asks for the port, else for the line.
    pub(crate) fn open() -> Self {
        // SAFETY: grants this process access to a port that belongs to the machine's harness.
        if unsafe { libc::ioperm(CONTROL.into(), 1, 1) } == 0 {
            return Self::Granted;
        }
        let line = open(c"/dev/ttyS2");
        line.iter().for_each(|fd| raw(*fd));
        line.map_or(Self::None, Self::Line)
    }

    /// Tells the machine.
    pub(crate) fn tell(&self, text: &[u8]) {
        match self {
            Self::Granted => text.iter().for_each(|byte| out(CONTROL, *byte)),
            Self::Line(fd) => write_all(*fd, text),
            Self::None => {}
        }
    }
}

fn out(port: u16, byte: u8) {
    // SAFETY: the port was granted by ioperm; writing it changes no memory.
    unsafe { std::arch::asm!("out dx, al", in("dx") port, in("al") byte, options(nomem, nostack)) };
}

/// All of a small file.
pub(crate) fn read_all(path: &CStr) -> Option<Vec<u8>> {
    let fd = open(path)?;
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Some(count) = read(fd, &mut piece) {
        all.extend_from_slice(&piece[..count]);
    }
    close(fd);
    Some(all)
}

/// Opens for reading and, where that is allowed, writing; never as a controlling terminal.
pub(crate) fn open(path: &CStr) -> Option<c_int> {
    // SAFETY: a C string that outlives the call.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_NOCTTY) };
    (fd >= 0).then_some(fd)
}

/// Makes sure that no descriptor opened from here on is 0, 1 or 2, which the kernel left closed if it has no console.
pub(crate) fn hold_standard_streams() {
    while let Some(fd) = open(c"/dev/null") {
        if fd > 2 {
            return close(fd);
        }
    }
}

/// Whether this is process 1.
pub(crate) fn is_first() -> bool {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getpid() == 1 }
}

/// A write to a pipe that nobody reads fails instead of ending this process.
pub(crate) fn ignore_closed_pipes() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Closes.
pub(crate) fn close(fd: c_int) {
    // SAFETY: the callers do not use the descriptor again.
    unsafe { libc::close(fd) };
}

/// Reads once; `None` at the end or if that fails.
pub(crate) fn read(fd: c_int, into: &mut [u8]) -> Option<usize> {
    // SAFETY: the pointer and length describe one live, writable slice.
    let got = unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) };
    usize::try_from(got).ok().filter(|count| *count > 0)
}

/// Writes everything, or as much as is taken.
pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length describe one live slice.
        let put = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(put) {
            Ok(count) if count > 0 => bytes = &bytes[count..],
            _ => return,
        }
    }
}

/// Makes a terminal carry bytes as they are (`cfmakeraw(3)`), at the fastest rate that every UART knows.
pub(crate) fn raw(fd: c_int) {
    // SAFETY: all-zero bytes are a valid termios.
    let mut term: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: `term` is valid for writes.
    unsafe { libc::tcgetattr(fd, &raw mut term) };
    // SAFETY: `term` is valid for writes.
    unsafe { libc::cfmakeraw(&raw mut term) };
    term.c_cflag |= libc::CLOCAL | libc::CREAD;
    // SAFETY: `term` is valid for writes.
    unsafe { libc::cfsetspeed(&raw mut term, libc::B115200) };
    // SAFETY: `term` is valid for reads.
    unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw const term) };
}

/// Waits until everything written has left.
pub(crate) fn drain(fd: c_int) {
    // SAFETY: takes no pointers.
    unsafe { libc::tcdrain(fd) };
}

/// A pipe: reading and writing end.
pub(crate) fn pipe() -> Option<[c_int; 2]> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    (made == 0).then_some(ends)
}

/// Forks; 0 in the child.
pub(crate) fn fork() -> Option<c_int> {
    // SAFETY: this process has one thread, so the child inherits no lock that somebody else held.
    let child = unsafe { libc::fork() };
    (child >= 0).then_some(child)
}

/// Waits for one child and gives its raw status; reaps whoever else is left to process 1.
pub(crate) fn wait(child: c_int) -> c_int {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for writes.
        let ended = unsafe { libc::wait(&raw mut status) };
        if ended == child || ended < 0 {
            return status;
        }
    }
}

/// Ends this process.
pub(crate) fn leave() -> ! {
    // SAFETY: leaves for good.
    unsafe { libc::_exit(0) }
}

/// Mounts a file system of the kernel's own; a program that needs it will say so itself.
pub(crate) fn mount(kind: &CStr, at: &CStr) {
    // SAFETY: C strings that outlive the call.
    unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, ptr::null()) };
}

/// Restarts the machine, which ends it; the console carries the program's errors, so the kernel says nothing there.
pub(crate) fn restart(port: &Port) {
    if let Some(fd) = open(c"/proc/sys/kernel/printk") {
        write_all(fd, b"0");
    }
    // User-Mode Linux would begin anew for ever.
    let how = if let Port::Line(fd) = port {
        drain(*fd);
        libc::RB_POWER_OFF
    } else {
        libc::RB_AUTOBOOT
    };
    // SAFETY: the command takes no pointer.
    unsafe { libc::reboot(how) };
}

/// Becomes the program, with these descriptors as 0, 1 and 2.
pub(crate) fn become_program(spec: &Spec, streams: [c_int; 3]) -> ! {
    for (to, fd) in (0..).zip(streams) {
        // SAFETY: takes no pointers. Whatever 0 to 2 were before is the kernel's console or nothing.
        unsafe { libc::dup2(fd, to) };
    }
    for fd in streams.into_iter().filter(|fd| *fd > 2) {
        close(fd);
    }
    // SAFETY: takes no pointers.
    unsafe { libc::setsid() };
    // SAFETY: the vectors end with null and point at strings that end with zero.
    unsafe { libc::execve(c"/program".as_ptr(), spec.argv.as_ptr().cast(), spec.envp.as_ptr().cast()) };
    // As a shell says it: found, but not executable.
    // SAFETY: leaves for good.
    unsafe { libc::_exit(126) }
}
