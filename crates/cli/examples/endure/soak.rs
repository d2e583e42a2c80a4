//! Launches each runtime many thousand times in one run, and looks from outside whether the harness grows.
//!
//! Descriptors, threads and memory of the harness differ while an instance is under way, so the least of many looks in a
//! stretch of the run is taken: what a stretch never gets below is what the harness holds on to.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::asked::pause;
use crate::ground::Ground;
use crate::traces::{Traces, is_ours};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Stretches of a run; the first is for warming up and is not compared.
const STRETCHES: usize = 6;
/// What the harness may hold more at the end than at the start, in KiB: allocators round up.
const SLACK_KIB: u64 = 1024;
/// And for each trial: the run's order and its stored samples' keys are kept in memory.
const BYTES_A_TRIAL: u64 = 64;

/// Least of what was seen in a stretch.
#[derive(Clone, Copy, Debug)]
struct Held {
    trials: usize,
    descriptors: usize,
    threads: usize,
    children: usize,
    rss_kib: u64,
    entries: usize,
    groups: usize,
    looks: usize,
}

impl Held {
    const MOST: Self = Self {
        trials: 0,
        descriptors: usize::MAX,
        threads: usize::MAX,
        children: usize::MAX,
        rss_kib: u64::MAX,
        entries: usize::MAX,
        groups: usize::MAX,
        looks: 0,
    };

    fn least(self, other: Self) -> Self {
        Self {
            trials: other.trials,
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
            children: self.children.min(other.children),
            rss_kib: self.rss_kib.min(other.rss_kib),
            entries: self.entries.min(other.entries),
            groups: self.groups.min(other.groups),
            looks: self.looks + 1,
        }
    }
}

/// The verb.
pub(crate) fn soak(count: u64, only: Option<&String>) -> Result<bool, Failure> {
    let ground = Ground::new()?;
    let runtimes = only.map_or("process,namespace,microvm", String::as_str);
    let plan = format!(
        "name = 'soak'\nblocks = {count}\n[[ask]]\nscenario = 'startup'\ncontrols = 'off'\nparams = {{ cache = 'warm' }}\n"
    );
    fs::write(ground.path("soak.toml"), plan)?;
    let before = Traces::look();
    let run = ["run", "--quiet", "--plan", "soak.toml", "--runtime", runtimes, "--out", "r"];
    let mut child = ground.isomark(&run).stdout(Stdio::null()).spawn()?;
    let tag = format!("isomark-{}-", child.id());
    let began = Instant::now();
    let stretches = watch(&ground, &mut child, &tag)?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("the run ended with {status}").into());
    }
    let (trials, failed) = launches(&ground)?;
    println!("{trials} launches in {:.0} s, {failed} failed", began.elapsed().as_secs_f64());
    println!(
        "| trials | descriptors | threads | children | RSS, KiB | entries in the site | groups | looks |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for held in &stretches {
        let Held { trials, descriptors, threads, children, rss_kib, entries, groups, looks } = held;
        println!(
            "| {trials} | {descriptors} | {threads} | {children} | {rss_kib} | {entries} | {groups} | {looks} |"
        );
    }
    let marks = [ground.path("state").display().to_string(), tag];
    let new =
        Traces::look().new_since(&before).into_iter().filter(|(kind, object)| is_ours(kind, object, &marks));
    let left = new.map(|(kind, object)| format!("{kind} {object}")).collect::<Vec<_>>();
    left.iter().for_each(|what| println!("LEFT {what}"));
    let grown = grown(&stretches);
    grown.iter().for_each(|what| println!("GROWN {what}"));
    println!(
        "soak: {count} blocks of {runtimes}, {trials} launches; {failed} failed, {} left behind, {} grown",
        left.len(),
        grown.len()
    );
    Ok(left.is_empty() && grown.is_empty() && failed == 0)
}

/// Looks until the run ends: one entry a stretch.
fn watch(ground: &Ground, child: &mut Child, tag: &str) -> Result<Vec<Held>, Failure> {
    let mut lines = Lines::default();
    let (mut seen, total) = (Vec::<Held>::new(), planned(ground, child)?);
    while child.try_wait()?.is_none() {
        let trials = lines.count(&ground.path("r/samples.jsonl"));
        let stretch = (trials * STRETCHES / total.max(1)).min(STRETCHES - 1);
        seen.resize(seen.len().max(stretch + 1), Held::MOST);
        if trials < total
            && let Some(held) = look(ground, child.id(), tag, trials)
        {
            seen[stretch] = seen[stretch].least(held);
        }
        pause(PAUSE)?;
    }
    seen.retain(|held| held.looks > 0);
    Ok(seen)
}

fn planned(ground: &Ground, child: &mut Child) -> Result<usize, Failure> {
    let until = Instant::now() + Duration::from_secs(60);
    while !ground.path("r/run.json").exists() {
        if child.try_wait()?.is_some() || Instant::now() > until {
            return Err("the run did not begin".into());
        }
        pause(PAUSE)?;
    }
    let run: serde_json::Value = serde_json::from_slice(&fs::read(ground.path("r/run.json"))?)?;
    let cells = run["cells"].as_array().map_or(0, Vec::len);
    Ok(cells * usize::try_from(run["blocks"].as_u64().unwrap_or(0))?)
}

/// The lines of a file that grows.
#[derive(Default)]
struct Lines {
    read: u64,
    lines: usize,
}

impl Lines {
    fn count(&mut self, path: &Path) -> usize {
        let mut bytes = Vec::new();
        let more = fs::File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut bytes)
        });
        self.read += more.unwrap_or(0) as u64;
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        self.lines
    }
}

fn look(ground: &Ground, pid: u32, tag: &str, trials: usize) -> Option<Held> {
    let count = |dir: String| fs::read_dir(dir).ok().map(Iterator::count);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let children = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let children = children.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    Some(Held {
        trials,
        descriptors: count(format!("/proc/{pid}/fd"))?,
        threads: count(format!("/proc/{pid}/task"))?,
        children: children.map(|list| list.split_whitespace().count()).sum(),
        rss_kib: rss.split_whitespace().next()?.parse().ok()?,
        entries: below(&ground.path("state")),
        groups: groups(tag),
        looks: 1,
    })
}

/// Directory entries below a directory.
fn below(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            1 + if entry.file_type().is_ok_and(|kind| kind.is_dir()) { below(&entry.path()) } else { 0 }
        })
        .sum()
}

/// Groups below the command's own, in the hierarchies that its first process is in.
fn groups(tag: &str) -> usize {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let roots = mounts.lines().filter_map(|line| line.split(' ').nth(1).filter(|_| line.contains(" cgroup")));
    let own = |controllers: &str| {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let line = text.lines().find(|line| line.split(':').nth(1) == Some(controllers)).map(str::to_owned);
        line.and_then(|line| line.splitn(3, ':').nth(2).map(str::to_owned)).unwrap_or_default()
    };
    let dirs = roots.map(|root| {
        let name = Path::new(root).file_name().and_then(|name| name.to_str()).unwrap_or("");
        Path::new(root).join(own(name).trim_start_matches('/'))
    });
    let named = dirs.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    let ours = named.filter(|entry| entry.file_name().to_string_lossy().starts_with(tag));
    ours.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .count()
}

fn launches(ground: &Ground) -> Result<(usize, usize), Failure> {
    let text = fs::read_to_string(ground.path("r/samples.jsonl"))?;
    Ok((text.lines().count(), text.lines().filter(|line| line.contains("\"failed\":{")).count()))
}

/// What is more in the last stretch than in the first after the warm-up.
fn grown(stretches: &[Held]) -> Vec<String> {
    let (Some(first), Some(last)) =
        (stretches.get(1.min(stretches.len().saturating_sub(1))), stretches.last())
    else {
        return vec!["nothing was seen".into()];
    };
    let more = |what: &str, from: usize, to: usize| (to > from).then(|| format!("{what}: {from} to {to}"));
    let trials = last.trials.saturating_sub(first.trials) as u64;
    let allowed = first.rss_kib + SLACK_KIB + trials * BYTES_A_TRIAL / 1024;
    let rss = (last.rss_kib > allowed).then(|| format!("RSS: {} to {} KiB", first.rss_kib, last.rss_kib));
    let counted = [
        more("descriptors", first.descriptors, last.descriptors),
        more("threads", first.threads, last.threads),
        more("children", first.children, last.children),
        more("entries in the site", first.entries, last.entries),
        more("groups", first.groups, last.groups),
    ];
    counted.into_iter().flatten().chain(rss).collect()
}
