//! Kills runs at random moments, lets the next command clean up, and lists what is left.
//!
//! Every decision comes from the seed; only the moment at which a signal meets a process is the machine's. A kill counts
//! when it met a living command. A tenth more are asked to end politely and must leave nothing without a next command, and of
//! a tenth more a single process is killed, whatever it is: those runs must come to their end. What else goes wrong is luck.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use isomark_core::ledger;
use isomark_core::payload::data::SplitMix;
use isomark_core::record::Outcome;
use isomark_core::store::Folder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure;
use crate::asked::{go_on, pause};
use crate::ground::Ground;
use crate::kin::{self, wait_for_nobody};
use crate::luck::{Guard, Luck, Torn};
use crate::tally::Tally;
use crate::traces::{Traces, is_ours};

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
/// Bound on the end of a command, whatever was done to it.
const HANG: Duration = Duration::from_secs(60);
/// How long what a killed command started may take to notice, and its guard to take it away.
const GRACE: Duration = Duration::from_secs(5);
/// The latest moment of a kill, in ms: the slowest engine has instances by then.
const LATEST: usize = 2000;
/// What a run that is to come to its end has for it.
const BUDGET: [&str; 2] = ["--time-budget", "3s"];

/// The verb.
pub(crate) fn chaos(seed: u64, count: u64, only: Option<&String>) -> Result<bool, Failure> {
    let ground = Ground::new()?;
    std::fs::write(ground.path("chaos.toml"), PLAN)?;
    let named = only.map(|names| names.split(',').map(str::to_owned).collect());
    let runtimes = named.map_or_else(|| ground.runtimes(), Ok)?;
    let before = Traces::look();
    println!("seed {seed}, runtimes {}; before: {}", runtimes.join(" "), before.counts());
    let marks = vec![ground.path("").display().to_string()];
    let (rng, tally) = (SplitMix::new(seed), Tally::default());
    let mut trial = Trial { ground, rng, runtimes, before, marks, tally, last: None };
    let mut turn = 0;
    while trial.tally.kills < count && turn < count * 3 + 20 {
        trial.killed(turn)?;
        match turn % 10 {
            4 => trial.maimed(turn)?,
            9 => trial.politely(turn, if turn % 20 == 9 { Signal::SIGTERM } else { Signal::SIGINT })?,
            _ => {}
        }
        turn += 1;
        if turn % 25 == 0 {
            let Tally { kills, left, lost, .. } = &trial.tally;
            println!("{kills} kills, left {}, lost {}", left.len(), lost.len());
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

/// A run under way.
struct Run {
    child: Child,
    pid: i32,
    folder: String,
    chosen: String,
}

impl Trial {
    /// A run that is killed.
    fn killed(&mut self, turn: u64) -> Result<(), Failure> {
        let luck = Luck::draw(&mut self.rng);
        let mut run = self.start(turn, "k", &[])?;
        let moment = self.moment(&mut run, false)?;
        let (folder, what) =
            (run.folder.clone(), format!("SIGKILL to {} over {}, {moment}", run.folder, run.chosen));
        let what = format!("{what}, {luck:?}");
        self.stop(&run, &luck)?;
        let guard = kin::guard_of(run.pid);
        if matches!(luck.guard, Guard::Before) {
            self.end_guard(guard);
        }
        let _ = kill(Pid::from_raw(run.pid), Signal::SIGKILL);
        if let Guard::After(time) = luck.guard {
            pause(time)?;
            self.end_guard(guard);
        }
        let chosen = std::mem::take(&mut run.chosen);
        if ended(run.child)?.signal() != Some(9) {
            // It had ended by itself.
            return self.settled(&what, &["clean"]);
        }
        self.tally.kills += 1;
        chosen.split(',').for_each(|name| *self.tally.runtimes.entry(name.to_owned()).or_default() += 1);
        if matches!(luck.guard, Guard::Lives) {
            self.outlived()?;
        }
        for time in &luck.settlers {
            self.end_settler(*time)?;
        }
        self.settled(&what, if turn.is_multiple_of(4) { &["list"] } else { &["clean"] })?;
        self.readable(&what, &folder, luck.torn)
    }

    /// Stopped and perhaps continued, as by a terminal.
    fn stop(&mut self, run: &Run, luck: &Luck) -> Result<(), Failure> {
        let Some((time, goes_on)) = luck.stopped else { return Ok(()) };
        let pid = Pid::from_raw(run.pid);
        let _ = kill(pid, Signal::SIGSTOP);
        pause(time)?;
        if goes_on {
            let _ = kill(pid, Signal::SIGCONT);
            pause(time)?;
        }
        self.tally.stopped += 1;
        Ok(())
    }

    fn end_guard(&mut self, guard: Option<i32>) {
        let met = guard.is_some_and(|pid| kin::is_guard(pid) && kin::end(pid));
        self.tally.guards += u64::from(met);
    }

    /// The next command has no better luck.
    fn end_settler(&mut self, time: Duration) -> Result<(), Failure> {
        let mut command = self.ground.isomark(&["clean"]);
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        pause(time)?;
        child.kill()?;
        self.tally.settlers += u64::from(child.wait()?.signal() == Some(9));
        Ok(())
    }

    /// A run of which one process is killed, a daemon, a shim, a machine or a program: it must come to its end by itself.
    fn maimed(&mut self, turn: u64) -> Result<(), Failure> {
        let mut run = self.start(turn, "m", &BUDGET)?;
        let moment = self.moment(&mut run, true)?;
        let victim = self.part_of(run.pid)?;
        let name = victim.as_ref().map_or_else(|| "nobody".to_owned(), |(name, _)| name.clone());
        let what = format!("the end of {name} in {} over {}, {moment}", run.folder, run.chosen);
        if victim.is_some_and(|(_, pid)| kin::end(pid)) {
            *self.tally.parts.entry(name).or_default() += 1;
        }
        let folder = run.folder.clone();
        let status = ended(run.child)?;
        if status.code() != Some(0) {
            let words = std::fs::read_to_string(self.ground.path("words")).unwrap_or_default();
            self.tally.lose(format!("{what}: ended with {status}: {}", words.trim()));
        }
        self.look(&what)?;
        let all = stored(&self.ground.path(&folder))?;
        if all.is_empty() {
            self.tally.lose(format!("{what}: no row tells of it"));
        }
        self.tally.failed += all.iter().filter(|failed| **failed).count();
        self.readable(&what, &folder, None)
    }

    /// A process of a run under way that is neither the harness nor its guard. Names are drawn and not processes: of daemons
    /// there are few, and of programs many.
    fn part_of(&mut self, run: i32) -> Result<Option<(String, i32)>, Failure> {
        let (drawn, until) = (self.rng.below(1 << 20), Instant::now() + END);
        loop {
            let others =
                kin::descendants().into_iter().filter(|(pid, _)| *pid != run && !kin::is_guard(*pid));
            let parts = others.map(|(pid, name)| (name, pid)).collect::<BTreeMap<_, _>>();
            if let Some(at) = drawn.checked_rem(parts.len()) {
                return Ok(parts.into_iter().nth(at));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            pause(Duration::from_millis(1))?;
        }
    }

    /// A run that is asked to end.
    fn politely(&mut self, turn: u64, signal: Signal) -> Result<(), Failure> {
        let mut run = self.start(turn, "p", &[])?;
        let moment = self.moment(&mut run, false)?;
        let (folder, what) =
            (run.folder.clone(), format!("{signal} to {} over {}, {moment}", run.folder, run.chosen));
        let _ = kill(Pid::from_raw(run.pid), signal);
        let status = ended(run.child)?;
        self.tally.polite += 1;
        let wanted = 128 + signal as i32;
        // Before its handlers stand it ends as any program does; and it may have ended by itself.
        let before_handlers = status.signal() == Some(signal as i32);
        if !before_handlers && !matches!(status.code(), Some(code) if code == wanted || code == 0) {
            self.tally.lose(format!("{what}: ended with {status}"));
        }
        if before_handlers {
            self.settled(&what, &["clean"])?;
        } else {
            self.look(&what)?;
        }
        self.readable(&what, &folder, None)
    }

    /// A new run, or the last one that was killed.
    fn start(&mut self, turn: u64, how: &str, more: &[&str]) -> Result<Run, Failure> {
        go_on()?;
        let again = self.last.take().filter(|_| self.rng.below(3) == 0);
        let chosen = self.choose(turn);
        let folder = again.clone().unwrap_or_else(|| format!("r{turn}{how}"));
        let new = [
            "run",
            "-q",
            "--deadline",
            "30s",
            "--plan",
            "chaos.toml",
            "--runtime",
            &chosen,
            "--out",
            &folder,
        ];
        let old = ["run", "-q", "--deadline", "30s", "--resume", &folder];
        let words: &[&str] = if again.is_some() { &old } else { &new };
        let mut command = self.ground.isomark(&[words, more].concat());
        let told = File::create(self.ground.path("words"))?;
        let child = command.process_group(0).stdout(Stdio::null()).stderr(told).spawn()?;
        let pid = i32::try_from(child.id())?;
        self.marks.push(format!("isomark-{pid}-"));
        Ok(Run { child, pid, folder, chosen })
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
    fn moment(&mut self, run: &mut Run, within: bool) -> Result<String, Failure> {
        if self.rng.below(3) == 0 && !within {
            let exponent = self.rng.below(1000) as f64 / 1000.0;
            let after = (LATEST as f64).powf(exponent) as u64;
            pause(Duration::from_millis(after))?;
            return Ok(format!("{after} ms after its start"));
        }
        let after = self.rng.below(LATEST) as u64;
        let until = Instant::now() + 3 * END;
        while !self.ground.path(&run.folder).join("run.json").exists() && Instant::now() < until {
            if run.child.try_wait()?.is_some() {
                break;
            }
            pause(Duration::from_millis(1))?;
        }
        pause(Duration::from_millis(after))?;
        Ok(format!("{after} ms into it"))
    }

    /// Who of the killed command's is still there before any other command.
    fn outlived(&mut self) -> Result<(), Failure> {
        for name in wait_for_nobody(GRACE).into_values() {
            *self.tally.outlived.entry(name).or_default() += 1;
        }
        go_on()
    }

    /// After the next command nothing is left.
    fn settled(&mut self, what: &str, next: &[&str]) -> Result<(), Failure> {
        self.say_if_not(what, next)?;
        self.look(what)
    }

    fn look(&mut self, what: &str) -> Result<(), Failure> {
        let left = wait_for_nobody(END).into_iter();
        let mut left = left.map(|(pid, name)| format!("process {pid} {name}")).collect::<Vec<_>>();
        let ours = |(kind, object): &(&str, String)| is_ours(kind, object, &self.marks);
        let new = Traces::look().new_since(&self.before).into_iter().filter(ours);
        left.extend(new.map(|(kind, object)| format!("{kind} {object}")));
        for place in ["state", "tmp"] {
            let entries = std::fs::read_dir(self.ground.path(place)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        left.into_iter().for_each(|object| self.tally.leave(object, what));
        go_on()
    }

    /// The run's folder is a shorter run, its ledger is closed, and now and then it is gone on with.
    fn readable(&mut self, what: &str, folder: &str, torn: Option<Torn>) -> Result<(), Failure> {
        let dir = self.ground.path(folder);
        if !dir.join("run.json").exists() {
            self.tally.early += 1;
            return Ok(());
        }
        let whole = torn.map(|torn| self.tear(torn, &dir)).transpose()?;
        self.say_if_not(what, &["report", folder])?;
        self.tally.reported += 1;
        let kept = stored(&dir)?.len();
        if whole.is_some_and(|whole| whole != kept) {
            self.tally.lose(format!("{what}: of {whole:?} whole lines {kept} are read"));
        }
        if self.rng.below(3) == 0 {
            let again = ["run", "-q", "--deadline", "30s", "--time-budget", "500ms", "--resume", folder];
            self.say_if_not(what, &again)?;
            self.tally.resumed += 1;
            if stored(&dir)?.len() < kept {
                self.tally.lose(format!("{what}: going on lost samples"));
            }
            self.look(what)?;
        }
        let open = ledger::open_entries(&ledger::read(&dir));
        if !open.is_empty() {
            self.tally.lose(format!("{what}: its ledger has open: {open:?}"));
        }
        self.tally.samples += stored(&dir)?.len();
        self.last = Some(folder.to_owned());
        Ok(())
    }

    /// The power goes: how many whole lines of samples are left.
    fn tear(&mut self, torn: Torn, dir: &Path) -> Result<usize, Failure> {
        self.tally.torn += 1;
        torn.tear(&dir.join("blocks.jsonl"))?;
        // What a cut takes from the ledger's end is that something is gone.
        if !matches!(torn, Torn::Cut(_)) {
            torn.tear(&dir.join(ledger::FILE))?;
        }
        torn.tear(&dir.join("samples.jsonl"))
    }

    fn say_if_not(&mut self, what: &str, args: &[&str]) -> Result<(), Failure> {
        let done = self.ground.output(args)?;
        // Told to end, we have passed it on.
        go_on()?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            self.tally.lose(format!(
                "{what}: isomark {} ended with {}: {words}",
                args.join(" "),
                done.status
            ));
        }
        Ok(())
    }

    fn end(mut self, seed: u64, count: u64) -> Result<bool, Failure> {
        // What others make for a moment goes by itself; what stays is looked at.
        let until = Instant::now() + END;
        let mut new = Traces::look().new_since(&self.before);
        while !new.is_empty() && Instant::now() < until {
            pause(Duration::from_millis(500))?;
            new = Traces::look().new_since(&self.before);
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|(kind, object)| is_ours(kind, object, &self.marks[1..]));
        let others = others.iter().filter(|(_, object)| !object.contains(&self.marks[0]));
        others.for_each(|(kind, object)| println!("new on the host without a mark of ours: {kind} {object}"));
        ours.into_iter()
            .for_each(|(kind, object)| self.tally.leave(format!("{kind} {object}"), "everything"));
        self.tally.tell(seed);
        let Tally { left, lost, kills, .. } = &self.tally;
        Ok(left.is_empty() && lost.is_empty() && *kills >= count)
    }
}

/// The samples of a folder: which of them failed.
fn stored(dir: &Path) -> Result<Vec<bool>, Failure> {
    let (folder, _) = Folder::open(dir).map_err(|e| e.chain())?;
    let samples = folder.samples().map_err(|e| e.chain())?;
    Ok(samples.iter().map(|sample| matches!(sample.outcome, Outcome::Failed(_))).collect())
}

/// The end of a command; killed if it does not come.
fn ended(mut child: Child) -> Result<ExitStatus, Failure> {
    let until = Instant::now() + HANG;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
        }
        pause(Duration::from_millis(1))?;
    }
}
