//! Kills runs at random moments, lets the next command clean up, and lists what is left.
//!
//! Every decision comes from the seed; only the moment at which a signal meets a process is the machine's. A kill counts
//! when it met a living command. A tenth more are asked to end politely and must leave nothing without a next command.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isomark_core::ledger;
use isomark_core::payload::data::SplitMix;
use isomark_core::store::Folder;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Failure;
use crate::ground::Ground;
use crate::traces::{Traces, descendants, is_ours};

/// Longer than any kill waits for, over everything that makes something on the host.
const PLAN: &str = "name = 'chaos'
blocks = 60
warmup = 1
[[ask]]
scenario = 'startup'
[[ask]]
scenario = 'memory'
params = { instances = 3 }
[[ask]]
scenario = 'disk'
params = { provision = 'each' }
[[ask]]
scenario = 'throughput'
params = { kernel = 'pipe', millis = 20 }
[[ask]]
scenario = 'isolation'
every = 3
";
/// Bound on the end of what was told to end.
const END: Duration = Duration::from_secs(10);
/// How long what a killed command started may take to notice, and its guard to take it away.
const GRACE: Duration = Duration::from_secs(3);
/// The latest moment of a kill, in ms: the slowest engine has instances by then.
const LATEST: usize = 2500;

/// What was seen.
#[derive(Default)]
struct Tally {
    kills: u64,
    polite: u64,
    /// Kills before the run had a folder.
    early: u64,
    reported: u64,
    resumed: u64,
    samples: usize,
    /// Kills of a run over each runtime.
    runtimes: BTreeMap<String, u64>,
    left: BTreeSet<String>,
    lost: Vec<String>,
    /// Names of processes that were there after the kill and not after the next command.
    outlived: BTreeMap<String, u64>,
}

/// The verb.
pub(crate) fn chaos(seed: u64, count: u64, only: Option<&String>) -> Result<bool, Failure> {
    // Whoever a killed command leaves becomes our child, whatever it is called.
    nix::sys::prctl::set_child_subreaper(true)?;
    let ground = Ground::new()?;
    std::fs::write(ground.path("chaos.toml"), PLAN)?;
    let named = only.map(|names| names.split(',').map(str::to_owned).collect());
    let runtimes = named.map_or_else(|| ground.runtimes(), Ok)?;
    let before = Traces::look();
    println!("seed {seed}, runtimes {}; before: {}", runtimes.join(" "), before.counts());
    let marks = vec![ground.path("").display().to_string()];
    let mut trial = Trial {
        ground,
        rng: SplitMix::new(seed),
        runtimes,
        before,
        marks,
        tally: Tally::default(),
        last: None,
    };
    let mut turn = 0;
    while trial.tally.kills < count && turn < count * 3 + 20 {
        trial.turn(turn, Signal::SIGKILL)?;
        if turn % 10 == 9 {
            let signal = if turn % 20 == 9 { Signal::SIGTERM } else { Signal::SIGINT };
            trial.turn(turn, signal)?;
        }
        turn += 1;
        if turn % 25 == 0 {
            println!(
                "{} kills, left {}, lost {}",
                trial.tally.kills,
                trial.tally.left.len(),
                trial.tally.lost.len()
            );
        }
    }
    trial.end(seed, count)
}

struct Trial {
    ground: Ground,
    rng: SplitMix,
    runtimes: Vec<String>,
    before: Traces,
    marks: Vec<String>,
    tally: Tally,
    /// The run that was killed last, if it can be gone on with.
    last: Option<String>,
}

impl Trial {
    /// One run, cut short.
    fn turn(&mut self, turn: u64, signal: Signal) -> Result<(), Failure> {
        let again = self.last.take().filter(|_| self.rng.below(3) == 0);
        let chosen = self.choose(turn);
        let folder = again.clone().unwrap_or_else(|| format!("r{turn}-{}", signal.as_str().to_lowercase()));
        let mut child = self.start(&folder, again.is_some(), &chosen)?;
        let pid = Pid::from_raw(child.id().try_into()?);
        self.marks.push(format!("isomark-{pid}-"));
        let moment = self.moment(&folder, &mut child)?;
        let _ = kill(pid, signal);
        let status = ended(child)?;
        let what = format!("{signal} to {folder} over {chosen}, {moment}");
        if signal == Signal::SIGKILL {
            if status.signal() != Some(9) {
                // It had ended by itself.
                return self.settled(&what, &["clean"]);
            }
            self.tally.kills += 1;
            chosen.split(',').for_each(|name| *self.tally.runtimes.entry(name.to_owned()).or_default() += 1);
            self.outlived();
            let next: &[&str] = if turn.is_multiple_of(2) { &["clean"] } else { &["list"] };
            self.settled(&what, next)?;
        } else {
            self.politely(&what, status, signal)?;
        }
        self.readable(&what, &folder)
    }

    fn choose(&mut self, turn: u64) -> String {
        let first = usize::try_from(turn).unwrap_or(0) % self.runtimes.len();
        let mut chosen = BTreeSet::from([self.runtimes[first].clone()]);
        for _ in 0..self.rng.below(3) {
            chosen.insert(self.runtimes[self.rng.below(self.runtimes.len())].clone());
        }
        chosen.into_iter().collect::<Vec<_>>().join(",")
    }

    /// Two of three moments are in a run, which has a folder by then; the others before, where things are being made.
    fn moment(&mut self, folder: &str, child: &mut Child) -> Result<String, Failure> {
        if self.rng.below(3) == 0 {
            let exponent = self.rng.below(1000) as f64 / 1000.0;
            let after = (LATEST as f64).powf(exponent) as u64;
            sleep(Duration::from_millis(after));
            return Ok(format!("{after} ms after its start"));
        }
        let after = self.rng.below(LATEST) as u64;
        let until = Instant::now() + 3 * END;
        while !self.ground.path(folder).join("run.json").exists() && Instant::now() < until {
            if child.try_wait()?.is_some() {
                break;
            }
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(after));
        Ok(format!("{after} ms into it"))
    }

    fn start(&self, folder: &str, again: bool, chosen: &str) -> Result<Child, Failure> {
        let new =
            ["run", "-q", "--deadline", "30s", "--plan", "chaos.toml", "--runtime", chosen, "--out", folder];
        let old = ["run", "-q", "--deadline", "30s", "--resume", folder];
        let mut command = self.ground.isomark(if again { &old } else { &new });
        Ok(command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Who of the killed command's is still there before any other command.
    fn outlived(&mut self) {
        let left = wait_for_nobody(GRACE);
        for name in left.values().filter_map(|words| words.split_once(' ')).map(|(_, name)| name.to_owned()) {
            *self.tally.outlived.entry(name).or_default() += 1;
        }
    }

    /// After the next command nothing is left.
    fn settled(&mut self, what: &str, next: &[&str]) -> Result<(), Failure> {
        let done = self.ground.output(next)?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            self.tally.lost.push(format!("{what}: isomark {} failed: {words}", next.join(" ")));
        }
        self.look(what);
        Ok(())
    }

    fn look(&mut self, what: &str) {
        let mut left =
            wait_for_nobody(END).into_values().map(|words| format!("process {words}")).collect::<Vec<_>>();
        let ours = |(kind, object): &(&str, String)| is_ours(kind, object, &self.marks);
        let new = Traces::look().new_since(&self.before).into_iter().filter(ours);
        left.extend(new.map(|(kind, object)| format!("{kind} {object}")));
        for place in ["state", "tmp"] {
            let entries = std::fs::read_dir(self.ground.path(place)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        for object in left {
            if self.tally.left.insert(object.clone()) {
                println!("LEFT {object} after {what}");
            }
        }
    }

    /// A polite end tells itself by its code, and needs no next command.
    fn politely(&mut self, what: &str, status: ExitStatus, signal: Signal) -> Result<(), Failure> {
        self.tally.polite += 1;
        let wanted = 128 + signal as i32;
        // Before its handlers stand it ends as any program does; and it may have ended by itself.
        let before_handlers = status.signal() == Some(signal as i32);
        if !before_handlers && !matches!(status.code(), Some(code) if code == wanted || code == 0) {
            self.tally.lost.push(format!("{what}: ended with {status}"));
        }
        if before_handlers {
            return self.settled(what, &["clean"]);
        }
        self.look(what);
        Ok(())
    }

    /// The run's folder is a shorter run, its ledger is closed, and now and then it is gone on with.
    fn readable(&mut self, what: &str, folder: &str) -> Result<(), Failure> {
        let dir = self.ground.path(folder);
        if !dir.join("run.json").exists() {
            self.tally.early += 1;
            return Ok(());
        }
        self.say_if_not(what, &["report", folder])?;
        self.tally.reported += 1;
        let open = ledger::open_entries(&ledger::read(&dir));
        if !open.is_empty() {
            self.tally.lost.push(format!("{what}: its ledger has open: {open:?}"));
        }
        let stored = samples(&dir)?;
        if self.rng.below(3) == 0 {
            self.say_if_not(
                what,
                &["run", "-q", "--deadline", "30s", "--time-budget", "500ms", "--resume", folder],
            )?;
            self.tally.resumed += 1;
            if samples(&dir)? < stored {
                self.tally.lost.push(format!("{what}: going on lost samples"));
            }
            self.look(what);
        }
        self.tally.samples += samples(&dir)?;
        self.last = Some(folder.to_owned());
        Ok(())
    }

    fn say_if_not(&mut self, what: &str, args: &[&str]) -> Result<(), Failure> {
        let done = self.ground.output(args)?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            let words = format!("{what}: isomark {} ended with {}: {words}", args.join(" "), done.status);
            println!("LOST {words}");
            self.tally.lost.push(words);
        }
        Ok(())
    }

    fn end(self, seed: u64, count: u64) -> Result<bool, Failure> {
        // What others make for a moment goes by itself; what stays is looked at.
        let until = Instant::now() + END;
        let mut new = Traces::look().new_since(&self.before);
        while !new.is_empty() && Instant::now() < until {
            sleep(Duration::from_millis(500));
            new = Traces::look().new_since(&self.before);
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|(kind, object)| is_ours(kind, object, &self.marks[1..]));
        let others = others.iter().filter(|(_, object)| !object.contains(&self.marks[0]));
        others.for_each(|(kind, object)| println!("new on the host without a mark of ours: {kind} {object}"));
        ours.iter().for_each(|(kind, object)| println!("LEFT {kind} {object}"));
        let tally = &self.tally;
        let list = |map: &BTreeMap<String, u64>| {
            map.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        println!("kills by runtime: {}", list(&tally.runtimes));
        println!("processes that lived until the next command: {}", list(&tally.outlived));
        tally.lost.iter().for_each(|why| println!("LOST {why}"));
        let left = tally.left.len() + ours.len();
        println!(
            "chaos: seed {seed}, {} SIGKILLs and {} polite ends, {} before there was a run folder; {} folders rendered and {} gone on with, {} samples kept; {left} left behind, {} lost",
            tally.kills,
            tally.polite,
            tally.early,
            tally.reported,
            tally.resumed,
            tally.samples,
            tally.lost.len(),
        );
        Ok(left == 0 && tally.lost.is_empty() && tally.kills >= count)
    }
}

fn samples(dir: &Path) -> Result<usize, Failure> {
    let (folder, _) = Folder::open(dir).map_err(|e| e.chain())?;
    Ok(folder.samples().map_err(|e| e.chain())?.len())
}

/// The end of a command that was told to end; killed if it does not.
fn ended(mut child: Child) -> Result<ExitStatus, Failure> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
        }
        sleep(Duration::from_millis(1));
    }
}

/// Waits until nobody descends from us, but not for ever: who is left.
fn wait_for_nobody(bound: Duration) -> BTreeMap<i32, String> {
    let until = Instant::now() + bound;
    loop {
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        let left = descendants();
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        sleep(Duration::from_millis(10));
    }
}
