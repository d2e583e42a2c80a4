//! Answers that tell what happened, where nobody can know beforehand what must come out: their form and their
//! consistency are checked, so that nonsense never becomes a number.

use super::{Wrong, exactly, wrong};
use crate::job::{Break, Class, Job, Probe, Storm, unhex};
use crate::wire::Reply;

/// A field that is 0 or 1.
fn flag(reply: &Reply, name: &'static str) -> Result<bool, Wrong> {
    match reply.u64(name)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(wrong(name, other, "0 or 1")),
    }
}

fn word(reply: &Reply, name: &'static str, must: &str) -> Result<(), Wrong> {
    let told = reply.str(name)?;
    if told == must { Ok(()) } else { Err(wrong(name, told, must)) }
}

/// A number that is at least 1.
fn some(reply: &Reply, name: &'static str) -> Result<u64, Wrong> {
    match reply.u64(name)? {
        0 => Err(wrong(name, 0, "1 or more")),
        number => Ok(number),
    }
}

/// Checks the reply to one of the jobs that tell.
pub(super) fn check(job: &Job, reply: &Reply) -> Result<(), Wrong> {
    match job {
        Job::Free => reply.u64("bytes").map(drop).map_err(Wrong::from),
        Job::Storm { kind, .. } => {
            reply.u64("setup_ticks")?;
            word(reply, "kind", kind.word())
        }
        Job::Calm => calm(reply),
        Job::Break { how, most, .. } => broken(reply, *how, *most),
        Job::Probe(probe) => probed(reply, probe),
        Job::Plant { token } => planted(reply, *token),
        Job::Sweep { first, last } => swept(reply, *first, *last),
        _ => Err(Wrong::Job(format!("{job} is checked elsewhere"))),
    }
}

fn calm(reply: &Reply) -> Result<(), Wrong> {
    reply.str("kind")?.parse::<Storm>()?;
    flag(reply, "over")?;
    some(reply, "ticks")?;
    let rounds = some(reply, "rounds")?;
    match reply.u64("refused")? {
        refused if refused <= rounds => Ok(()),
        refused => Err(wrong("refused", refused, format_args!("at most {rounds}"))),
    }
}

fn broken(reply: &Reply, how: Break, most: u64) -> Result<(), Wrong> {
    word(reply, "how", how.word())?;
    let (taken, refused) = (reply.u64("taken")?, flag(reply, "refused")?);
    match how {
        Break::Memory | Break::Fork if taken > most => {
            Err(wrong("taken", taken, format_args!("at most {most}")))
        }
        Break::Fork | Break::Fill if !refused && taken < most => {
            Err(wrong("taken", taken, format_args!("{most}, unless refused")))
        }
        Break::Memory | Break::Fork | Break::Fill | Break::Spin => Ok(()),
        Break::Crash | Break::Privileged | Break::Leave => {
            Err(Wrong::Job(format!("{} leaves nobody to answer", how.word())))
        }
    }
}

fn probed(reply: &Reply, probe: &Probe) -> Result<(), Wrong> {
    let (seen, errno) = (flag(reply, "seen")?, reply.u64("errno")?);
    if seen != (errno == 0) {
        return Err(wrong("errno", errno, "0 for what was seen, and only for that"));
    }
    let most = match probe {
        Probe::Peek { bytes, .. } => *bytes,
        Probe::Host => 64,
        Probe::Process { .. } => return reply.u64("count").map(drop).map_err(Wrong::from),
        Probe::Unix { .. } | Probe::Tcp { .. } | Probe::Segment { .. } | Probe::Queue { .. } => return Ok(()),
    };
    let text = unhex(reply.str("text")?)?;
    if text.len() as u64 <= most && (seen || text.is_empty()) {
        Ok(())
    } else {
        Err(wrong("text", text.len(), format_args!("at most {most} bytes of something seen")))
    }
}

fn planted(reply: &Reply, token: u64) -> Result<(), Wrong> {
    exactly(reply, "token", token)?;
    for name in ["process", "unix", "tcp", "segment", "queue"] {
        let told = reply.str(name)?;
        if told.strip_prefix('e').unwrap_or(told).parse::<u64>().is_err() {
            return Err(wrong(name, told, "a number, or e and an error number"));
        }
    }
    Ok(())
}

fn swept(reply: &Reply, first: u64, last: u64) -> Result<(), Wrong> {
    flag(reply, "children")?;
    let classes = reply.str("classes")?;
    if classes.len() as u64 != last - first + 1 {
        return Err(wrong("classes", classes.len(), last - first + 1));
    }
    classes.chars().try_for_each(|letter| letter.to_string().parse::<Class>().map(drop).map_err(Wrong::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply from its text.
    fn reply(text: &str) -> Reply {
        Reply::parse(&format!("done {text}")).unwrap()
    }

    #[track_caller]
    fn passes(job: &Job, text: &str) {
        assert_eq!(super::super::check(job, &reply(text)), Ok(()), "{text}");
    }

    #[track_caller]
    fn fails(job: &Job, texts: &[&str]) {
        for text in texts {
            assert!(super::super::check(job, &reply(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn storms_and_calms() {
        let storm = Job::Storm { kind: Storm::Fork, most: 4, millis: 9, tsc_hz: 1_000_000 };
        passes(&storm, "kind=fork setup_ticks=4");
        fails(&storm, &["kind=spin setup_ticks=4", "kind=fork", "setup_ticks=1"]);
        passes(&Job::Calm, "kind=fork over=0 ticks=5 rounds=2 refused=1");
        fails(
            &Job::Calm,
            &[
                "kind=rain over=0 ticks=5 rounds=2 refused=1",
                "kind=fork over=2 ticks=5 rounds=2 refused=1",
                "kind=fork over=0 ticks=0 rounds=2 refused=1",
                "kind=fork over=0 ticks=5 rounds=0 refused=0",
                "kind=fork over=0 ticks=5 rounds=2 refused=3",
            ],
        );
        passes(&Job::Free, "bytes=0");
        fails(&Job::Free, &["bytes=all", ""]);
    }

    #[test]
    fn ways_of_going_wrong() {
        let job = |how| Job::Break { how, most: 10, millis: 1, tsc_hz: 1_000_000 };
        passes(&job(Break::Fork), "how=fork taken=10 refused=0");
        passes(&job(Break::Fork), "how=fork taken=3 refused=1");
        fails(
            &job(Break::Fork),
            &["how=fork taken=3 refused=0", "how=fork taken=11 refused=0", "how=fill taken=10 refused=0"],
        );
        passes(&job(Break::Fill), "how=fill taken=16 refused=0");
        passes(&job(Break::Memory), "how=memory taken=0 refused=0");
        fails(&job(Break::Memory), &["how=memory taken=11 refused=1", "how=memory refused=1"]);
        fails(&job(Break::Crash), &["how=crash taken=0 refused=0"]);
    }

    #[test]
    fn looks_around() {
        let peek = Job::Probe(Probe::Peek { path: "/x".into(), bytes: 2 });
        passes(&peek, "seen=1 errno=0 text=6162");
        passes(&peek, "seen=0 errno=2 text=");
        fails(
            &peek,
            &[
                "seen=1 errno=2 text=61",
                "seen=0 errno=0 text=",
                "seen=1 errno=0 text=616263",
                "seen=0 errno=2 text=61",
            ],
        );
        let process = Job::Probe(Probe::Process { name: "x".into() });
        passes(&process, "seen=0 errno=2 count=1");
        fails(&process, &["seen=0 errno=2"]);
        let plant = Job::Plant { token: 5 };
        passes(&plant, "token=5 process=0 unix=0 tcp=4000 segment=3 queue=e38");
        fails(
            &plant,
            &[
                "token=6 process=0 unix=0 tcp=4000 segment=3 queue=0",
                "token=5 process=0 unix=0 tcp=x segment=3 queue=0",
            ],
        );
        let sweep = Job::Sweep { first: 3, last: 6 };
        passes(&sweep, "children=1 classes=rnpk");
        fails(&sweep, &["children=1 classes=rnp", "children=1 classes=rnpx", "classes=rnp-"]);
    }
}
