//! From the command line to the end of the process.
//!
//! The order is fixed: everything is opened and checked, then the VMM confines itself, then the program's first
//! instruction runs. The status is written in every case, once.

use std::os::fd::BorrowedFd;

use kvm_bindings::kvm_regs;
use kvm_ioctls::Kvm;

use crate::args::Args;
use crate::error::{End, Error};
use crate::files::Files;
use crate::guest::Guest;
use crate::layout::{PAGE, PML4, RFLAGS, TABLES};
use crate::load;
use crate::machine::{Cpu, Vm};
use crate::memory::Memory;
use crate::signals::Signals;
use crate::snapshot::{self, Loaded};
use crate::status::Status;
use crate::sys::ram::Ram;
use crate::sys::{host, kvm};
use crate::{boot, confine, run};

const STOPPED: i32 = 123;
const NO_PROGRAM: i32 = 124;
const FAILED: i32 = 125;

/// The whole life of the process, from the words of its command line.
pub fn main(words: &[&'static [u8]]) -> ! {
    let mut status = Status::new();
    status.step("main");
    if words.get(1) == Some(&b"linux".as_slice()) {
        crate::linux::main(&words[2..], status);
    }
    match Args::parse(words.get(1..).unwrap_or_default()) {
        Ok(args) => {
            let status_fd = args.status_fd;
            match set_up(&args, status) {
                Ok((mut guest, mut vm)) => {
                    guest.status.step("run");
                    let end = run::to_end(&mut guest, &mut vm);
                    finish(&mut guest.status, status_fd, &end)
                }
                Err(error) => fail(status_fd, &error),
            }
        }
        Err(error) => fail(None, &error),
    }
}

fn set_up(args: &Args<'_>, mut status: Status) -> Result<(Guest, Vm), Error> {
    host::ignore_sigpipe();
    let program = descriptor("--program-fd", args.program_fd)?;
    let kvm = open_kvm(args.kvm_fd)?;
    status.step("open");
    let cpu = Cpu::of_host().without(&args.mask);
    let loaded = match args.restore {
        None => fresh(args, program, &cpu)?,
        Some(checked) => snapshot::restore(program, checked, &cpu)?,
    };
    let ram = &loaded.memory.ram;
    status.ram(ram.host_address(), ram.len());
    status.step("load");
    let words = || args.argv.iter().chain(&args.env).copied();
    let saving =
        args.save_fd.map(|fd| snapshot::identity(program, words()).map(|sum| (sum, fd))).transpose()?;
    let mut vm = Vm::new(&kvm, ram, &cpu, |name| status.step(name))?;
    vm.prepare(&kvm, (&cpu, &args.mask), &loaded.regs, loaded.bases)?;
    if let Some(vectors) = &loaded.vectors {
        let none = |e: Error| Error::Program(format!("the snapshot's vector state is none: {e}"));
        vm.set_vectors(vectors).map_err(none)?;
    }
    status.step("state");
    if let Some(millis) = args.deadline {
        host::arm(millis, vm.immediate_exit())?;
    }
    confine::bound(loaded.memory.ram.len(), saving.is_some());
    confine::enter(args.status_fd, args.save_fd.or(args.wait_fd))?;
    status.step("confine");
    // Closing /dev/kvm now would cost a system call for nothing.
    std::mem::forget(kvm);
    if let Some(fd) = args.wait_fd {
        host::tell(fd, b".");
        host::wait_for(fd);
        status.step("go");
    }
    Ok((guest(loaded, status, cpu, saving), vm))
}

/// From the program's file. Never inlined: its buffers would be part of every stack above the run loop.
#[inline(never)]
fn fresh(args: &Args<'_>, program: BorrowedFd<'_>, cpu: &Cpu) -> Result<Loaded, Error> {
    let ram = Ram::new(args.memory)?;
    host::name_mapping(ram.host_address(), ram.len());
    ram.populate(PML4, TABLES + 2 * PAGE - PML4);
    boot::install(&ram)?;
    let mut memory = Memory::new(ram, args.policy)?;
    let start = load::load(&mut memory, program, &args.argv, &args.env, &cpu.auxiliary())?;
    let exe = args.argv.first().copied().unwrap_or_default();
    let exe = if exe.starts_with(b"/") { exe.to_vec() } else { [b"/", exe].concat() };
    let regs = kvm_regs { rip: start.rip, rsp: start.rsp, rflags: RFLAGS, ..kvm_regs::default() };
    Ok(Loaded {
        memory,
        signals: Signals::default(),
        regs,
        bases: [0; 2],
        vectors: None,
        name: thread_name(&exe),
        exe,
        umask: 0o022,
        random: start.random,
    })
}

fn guest(loaded: Loaded, status: Status, cpu: Cpu, saving: Option<(u64, i32)>) -> Guest {
    let mut files = Files::new(loaded.memory.ram.len(), &loaded.exe);
    files.umask = loaded.umask;
    Guest {
        files,
        memory: loaded.memory,
        signals: loaded.signals,
        status,
        bases: loaded.bases,
        new_base: None,
        name: loaded.name,
        started: host::monotonic_ns(),
        cpu,
        random: loaded.random,
        saving,
    }
}

pub(crate) fn descriptor(flag: &str, fd: i32) -> Result<BorrowedFd<'static>, Error> {
    host::descriptor(fd).ok_or_else(|| Error::Internal(format!("{flag} {fd} is not open")))
}

pub(crate) fn open_kvm(fd: Option<i32>) -> Result<Kvm, Error> {
    match fd {
        Some(fd) => descriptor("--kvm-fd", fd).map(|_| kvm::adopt(fd)),
        None => Kvm::new().map_err(Error::kvm("open /dev/kvm")),
    }
}

/// The last part of the path, at most fifteen bytes (PR_SET_NAME).
fn thread_name(exe: &[u8]) -> [u8; 16] {
    let last = exe.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let mut name = [0; 16];
    let len = last.len().min(15);
    name[..len].copy_from_slice(&last[..len]);
    name
}

fn complain(text: &str) {
    host::tell(2, format!("isomark-vmm: {text}\n").as_bytes());
}

pub(crate) fn fail(status_fd: Option<i32>, error: &Error) -> ! {
    let (word, code) = match error {
        Error::Program(_) => ("program", NO_PROGRAM),
        Error::Internal(_) => ("internal", FAILED),
    };
    if let Some(fd) = status_fd {
        host::tell(fd, format!("end {word} {error}\n").as_bytes());
    }
    complain(&error.to_string());
    host::exit(code)
}

pub(crate) fn finish(status: &mut Status, status_fd: Option<i32>, end: &End) -> ! {
    status.step("end");
    if let Some(fd) = status_fd {
        host::tell(fd, status.render(end).as_bytes());
    }
    let missing = status.missing();
    let after =
        if missing.is_empty() { String::new() } else { format!("; it had asked in vain for: {missing}") };
    match end {
        End::Exit(code) => host::exit((*code).into()),
        End::Saved => host::exit(0),
        End::Signal(signal) => host::die_by(*signal),
        End::Unserved(text) => complain(&format!("{text}{after}")),
        End::Fault(text) => complain(&format!("the program was stopped: {text}{after}")),
        End::Internal(text) => {
            complain(text);
            host::exit(FAILED)
        }
    }
    host::exit(STOPPED)
}
