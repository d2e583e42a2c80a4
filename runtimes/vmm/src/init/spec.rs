//! How to start the program: the file `/spec`, written by the harness.
//!
//! Fields end with a zero byte, which no argument and no variable can hold. The first letter of a field says what it is:
//! `l` or `n` once (the line or nothing at all), `a` for each argument, `e` for each variable.

/// Where input and output are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdio {
    /// On the serial line.
    Line,
    /// Nowhere.
    Null,
}

/// What `/spec` says.
pub(crate) struct Spec {
    pub(crate) stdio: Stdio,
    /// Pointers to arguments, then null; they live as long as the text.
    pub(crate) argv: Vec<*const u8>,
    pub(crate) envp: Vec<*const u8>,
}

impl Spec {
    /// Reads the fields; the pointers point into `text`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut spec = Self { stdio: Stdio::Null, argv: Vec::new(), envp: Vec::new() };
        let mut said = false;
        if text.last() != Some(&0) {
            return None;
        }
        for field in text.split_inclusive(|b| *b == 0) {
            let (kind, rest) = field.split_first()?;
            match (kind, rest) {
                (b'l', [0]) => (spec.stdio, said) = (Stdio::Line, true),
                (b'n', [0]) => (spec.stdio, said) = (Stdio::Null, true),
                (b'a', _) => spec.argv.push(rest.as_ptr()),
                (b'e', _) => spec.envp.push(rest.as_ptr()),
                _ => return None,
            }
        }
        let complete = said && !spec.argv.is_empty();
        spec.argv.push(std::ptr::null());
        spec.envp.push(std::ptr::null());
        complete.then_some(spec)
    }
}
