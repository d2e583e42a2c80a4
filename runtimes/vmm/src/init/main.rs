//! `/init` of the guests that bring a kernel of their own: starts one program, carries its input, tells its end.
//!
//! The program lies beside it as `/program`, byte for byte as the harness has it; `/spec` says how to start it. The
//! machine is told what happens through one I/O port (see [`sys::Port`]), so that nothing of it mixes with the
//! program's own words on the wire.

#![no_main]

mod line;
mod spec;
mod sys;

use std::ffi::CStr;

use spec::{Spec, Stdio};

/// The console, which carries the program's error output as well.
const CONSOLE: &CStr = c"/dev/ttyS0";
/// The wire: standard input and output.
const WIRE: &CStr = c"/dev/ttyS1";
const NULL: &CStr = c"/dev/null";

/// The whole life of process 1.
fn run() {
    sys::hold_standard_streams();
    let port = sys::Port::open();
    port.tell(b"init\n");
    if let Err(why) = live(&port) {
        port.tell(b"fail ");
        port.tell(why.as_bytes());
        port.tell(b"\n");
    }
    // As a service of a distribution it leaves ending the machine to that.
    if sys::is_first() {
        sys::restart(&port);
    }
}

fn live(port: &sys::Port) -> Result<(), &'static str> {
    let text = sys::read_all(c"/spec").ok_or("the initramfs has no /spec")?;
    let spec = Spec::parse(&text).ok_or("/spec is damaged")?;
    if sys::is_first() {
        sys::mount(c"proc", c"/proc");
    }
    let errors = sys::open(CONSOLE).ok_or("/dev/ttyS0 cannot be opened")?;
    sys::raw(errors);
    let (input, output) = match spec.stdio {
        Stdio::Null => (sys::open(NULL).ok_or("/dev/null cannot be opened")?, None),
        Stdio::Line => {
            let wire = sys::open(WIRE).ok_or("/dev/ttyS1 cannot be opened")?;
            sys::raw(wire);
            (carry(port, wire)?, Some(wire))
        }
    };
    port.tell(b"program\n");
    let child = sys::fork().ok_or("fork failed")?;
    if child == 0 {
        sys::become_program(&spec, [input, output.unwrap_or(input), errors]);
    }
    sys::close(input);
    let end = sys::wait(child);
    for fd in output.iter().chain([&errors]) {
        sys::drain(*fd);
    }
    // Bits 0 to 6 are the signal, 8 to 15 the status (wait(2)).
    match end & 0x7f {
        0 => said(port, b"exit ", (end >> 8 & 0xff) as usize),
        signal => said(port, b"signal ", signal as usize),
    }
    Ok(())
}

/// Starts the process that carries the line's bytes into a pipe, and gives the pipe's reading end. A serial line has no
/// end of file; the pipe closes where the line says so.
fn carry(port: &sys::Port, wire: i32) -> Result<i32, &'static str> {
    let [input, filled] = sys::pipe().ok_or("pipe failed")?;
    let carrier = sys::fork().ok_or("fork failed")?;
    if carrier != 0 {
        sys::close(filled);
        return Ok(input);
    }
    sys::close(input);
    sys::ignore_closed_pipes();
    let mut decoder = line::Decoder::default();
    let mut bytes = [0; 1024];
    while let Some(count) = sys::read(wire, &mut bytes) {
        let mut clear = [0; 1024];
        let (len, ended) = decoder.decode(&bytes[..count], &mut clear);
        // A program that no longer reads must not stop the line: what it does not take is dropped.
        sys::write_all(filled, &clear[..len]);
        said(port, b"took ", count);
        if ended {
            break;
        }
    }
    sys::leave()
}

/// Tells the machine a word and a number below ten thousand.
fn said(port: &sys::Port, word: &[u8], number: usize) {
    let digit = |by: usize| b'0' + (number / by % 10) as u8;
    port.tell(word);
    port.tell(&[digit(1000), digit(100), digit(10), digit(1), b'\n']);
}
