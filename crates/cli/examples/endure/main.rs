//! What is left on the host after isomark was killed at random moments, or has launched ten thousand instances?
//!
//! `endure chaos SEED COUNT` and `endure soak COUNT`, which `scripts/chaos` and `scripts/soak` build and call. Both look at
//! the host before and after and end with one line of counts; exit code 1 if anything is left, lost or has grown. Told to end
//! by a signal, they end what they have started and leave nothing themselves.

mod asked;
mod chaos;
mod ground;
mod kin;
mod luck;
mod soak;
mod tally;
mod traces;

use std::process::ExitCode;

/// Any failure of the harness itself, in words.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let number = |at: usize| args.get(at).and_then(|word| word.parse::<u64>().ok());
    if let Err(why) = asked::listen() {
        eprintln!("endure: {why}");
        return ExitCode::from(2);
    }
    let done = match (args.first().map(String::as_str), number(1), number(2)) {
        (Some("chaos"), Some(seed), Some(count)) => chaos::chaos(seed, count, args.get(3)),
        (Some("soak"), Some(count), _) => soak::soak(count, args.get(2)),
        _ => {
            eprintln!("usage: endure chaos SEED COUNT [RUNTIME,...] | endure soak COUNT [RUNTIME,...]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("endure: {why}");
            ExitCode::from(asked::signal().and_then(|signal| u8::try_from(128 + signal).ok()).unwrap_or(2))
        }
    }
}
