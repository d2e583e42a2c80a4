//! The machine's devices: which port leads where.
//!
//! What the guest writes to the wire is handed on when it does anything else, or in pieces of `PIECE`: a serial line
//! leaves the machine for every byte, and the harness should not be woken for each.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kvm_ioctls::VmFd;
use vm_superio::serial::NoEvents;
use vm_superio::{I8042Device, Serial, Trigger};

use super::control::{Control, Said};
use crate::sys::host;

const CONSOLE: u16 = 0x3f8;
const WIRE: u16 = 0x2f8;
const UART_LEN: u16 = 8;
const KEYBOARD: u16 = 0x60;
const KEYBOARD_LEN: u16 = 5;
const CONTROL: u16 = 0x402;
const CONSOLE_IRQ: u32 = 4;
const WIRE_IRQ: u32 = 3;

/// Most bytes of output that wait.
const PIECE: usize = 512;

/// An interrupt line of the machine; edges, as on an ISA bus.
#[derive(Debug)]
pub struct Line<'v> {
    vm: &'v VmFd,
    irq: u32,
}

impl Trigger for Line<'_> {
    type E = kvm_ioctls::Error;

    fn trigger(&self) -> Result<(), Self::E> {
        self.vm.set_irq_line(self.irq, true)?;
        self.vm.set_irq_line(self.irq, false)
    }
}

/// A descriptor of the harness's, written in pieces.
#[derive(Debug)]
pub struct Out {
    fd: i32,
    held: Vec<u8>,
}

impl Out {
    const fn new(fd: i32) -> Self {
        Self { fd, held: Vec::new() }
    }

    fn hand_on(&mut self) {
        if !self.held.is_empty() {
            host::tell(self.fd, &self.held);
            self.held.clear();
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.hand_on();
        }
        Ok(bytes.len())
    }

    /// The UART flushes after every byte; see the module.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Uart<'v> = Serial<Line<'v>, NoEvents, Out>;

/// The wire's UART and what the guest has yet to take; shared with the thread that reads input.
#[derive(Debug)]
pub struct Wire<'v> {
    shared: Mutex<Incoming<'v>>,
    changed: Condvar,
}

/// The UART, and how many encoded bytes are under way.
#[derive(Debug)]
pub struct Incoming<'v> {
    /// The UART.
    pub uart: Uart<'v>,
    /// Bytes that went into it and that the guest's init has not yet told to have taken.
    pub under_way: usize,
    /// Whether the guest's init has the line open: a driver that opens a port empties it first.
    pub open: bool,
}

impl<'v> Wire<'v> {
    /// The wire of a machine.
    #[must_use]
    pub fn new(vm: &'v VmFd) -> Self {
        let uart = Serial::new(Line { vm, irq: WIRE_IRQ }, Out::new(1));
        Self { shared: Mutex::new(Incoming { uart, under_way: 0, open: false }), changed: Condvar::new() }
    }

    /// The UART. Nobody panics while holding it, so a poisoned lock means nothing.
    pub fn lock(&self) -> MutexGuard<'_, Incoming<'v>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the guest has taken something.
    pub fn wait<'g>(&self, held: MutexGuard<'g, Incoming<'v>>) -> MutexGuard<'g, Incoming<'v>> {
        self.changed.wait(held).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pulls nothing: what matters is that it was asked for.
#[derive(Debug)]
struct Noted(std::cell::Cell<bool>);

impl Trigger for &Noted {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// What a write to a port meant beyond its device.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant {
    /// Nothing.
    Nothing,
    /// The first byte on the wire.
    FirstWrite,
    /// Init has said something.
    Said(Said),
    /// The guest resets its CPU.
    Reset,
}

/// All devices.
#[derive(Debug)]
pub struct Board<'v> {
    console: Uart<'v>,
    wire: &'v Wire<'v>,
    control: Control,
    wrote: bool,
    busy: bool,
}

impl<'v> Board<'v> {
    /// The devices of a machine.
    #[must_use]
    pub fn new(vm: &'v VmFd, wire: &'v Wire<'v>) -> Self {
        let console = Serial::new(Line { vm, irq: CONSOLE_IRQ }, Out::new(2));
        Self { console, wire, control: Control::default(), wrote: false, busy: false }
    }

    /// The guest writes to a port.
    pub fn write(&mut self, port: u16, data: &[u8]) -> Meant {
        if port != WIRE {
            self.hand_on();
        }
        match (port, data) {
            (CONTROL, _) => return self.said(data),
            (_, [byte]) => return self.write_byte(port, *byte),
            _ => {}
        }
        Meant::Nothing
    }

    fn write_byte(&mut self, port: u16, byte: u8) -> Meant {
        // A device that cannot raise its interrupt would be KVM failing; the guest then waits, and the deadline speaks.
        if let Some(register) = within(port, WIRE, UART_LEN) {
            let mut wire = self.wire.lock();
            let _ = wire.uart.write(register, byte);
            self.busy = !wire.uart.writer().held.is_empty();
            if self.busy && !std::mem::replace(&mut self.wrote, true) {
                return Meant::FirstWrite;
            }
        } else if let Some(register) = within(port, CONSOLE, UART_LEN) {
            let _ = self.console.write(register, byte);
            if byte == b'\n' {
                self.console.writer_mut().hand_on();
            }
        } else if let Some(register) = within(port, KEYBOARD, KEYBOARD_LEN) {
            let noted = Noted(std::cell::Cell::new(false));
            let Ok(()) = I8042Device::new(&noted).write(register, byte);
            if noted.0.get() {
                return Meant::Reset;
            }
        }
        Meant::Nothing
    }

    /// The guest reads a port; where there is nothing, the bus floats.
    pub fn read(&mut self, port: u16, data: &mut [u8]) {
        self.hand_on();
        data.fill(0xff);
        if let [byte] = data {
            if let Some(register) = within(port, WIRE, UART_LEN) {
                let mut wire = self.wire.lock();
                *byte = wire.uart.read(register);
                if register == 0 {
                    self.wire.changed.notify_one();
                }
            } else if let Some(register) = within(port, CONSOLE, UART_LEN) {
                *byte = self.console.read(register);
            } else if within(port, KEYBOARD, KEYBOARD_LEN).is_some() {
                // The controller's status reads "input buffer empty", or a reset would wait for it.
                *byte = 0;
            }
        }
    }

    /// Hands on what was written to the wire.
    pub fn hand_on(&mut self) {
        if std::mem::take(&mut self.busy) {
            self.wire.lock().uart.writer_mut().hand_on();
        }
    }

    /// Hands on everything that was written anywhere.
    pub fn hand_on_all(&mut self) {
        self.hand_on();
        self.console.writer_mut().hand_on();
    }

    fn said(&mut self, bytes: &[u8]) -> Meant {
        match self.control.take(bytes) {
            None => Meant::Nothing,
            Some(Said::Took(count)) => {
                let mut wire = self.wire.lock();
                wire.under_way = wire.under_way.saturating_sub(count);
                self.wire.changed.notify_one();
                Meant::Nothing
            }
            Some(said) => {
                self.wire.lock().open |= said == Said::Program;
                self.wire.changed.notify_one();
                Meant::Said(said)
            }
        }
    }
}

/// The register of a device that a port is, if it is one.
fn within(port: u16, base: u16, len: u16) -> Option<u8> {
    let offset = port.checked_sub(base).filter(|offset| *offset < len)?;
    u8::try_from(offset).ok()
}
