//! What does a shell in front of a program cost? A runtime of one's own beside `process`, in a plan of one's own.
//!
//! `cargo run --release --example own-runtime` prints the ratio with its interval. With `-- DIR` the run is kept there,
//! for `isomark report DIR` and for `--example enough -- DIR`.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use isomark_core::payload::{Job, READY, Reply};
use isomark_core::record::{PayloadRecord, Run, Sample};
use isomark_core::runtime::Role;
use isomark_core::store::Folder;
use isomark_core::{
    Ability, Anatomy, Error, Exit, Identity, Instance, Kind, Phase, Runtime, Spec, Unavailable, Usage,
    account,
};
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::{Found, expand, select};
use isomark_engine::run::Setup;
use isomark_engine::{Place, Plan, Selection, date, host};
use isomark_report::summarise::summarise;
use isomark_report::{Dataset, Summary, fmt};
use isomark_runtimes::process::Process;
use isomark_runtimes::{embedded, kvm, tsc};
use isomark_scenarios::SHELF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Data, as in a file: fewer than 20 blocks give no verdict.
const PLAN: &str = "
name = 'shell'
warmup = 2
blocks = 24
[[ask]]
scenario = 'startup'
";

const SHELL: &str = "/bin/sh";

fn main() -> Result<(), Error> {
    let place = Place::take()?;
    let payload = embedded::payload(place.site())?;
    let stored = PayloadRecord::of(&payload, embedded::TARGET);
    let bench = host::bench(payload, place.site(), tsc::calibrate());
    let kvm = kvm::classify();

    let (plan, all) = (Plan::parse("shell", PLAN)?, Selection::default());
    let process = Process::new(place.site());
    let found = select(&[&process, &Shell], &all)?;
    let cells = expand(&plan, &found, SHELF, &all, &bench)?;
    let interrupt = Interrupt::install().map_err(|e| Error::os("install signal handlers", e))?;
    let mut samples: Vec<Sample> = Vec::new();
    isomark_engine::run(&Setup::new(&plan, &cells, &found, SHELF, &bench), &interrupt, &mut samples)?;

    let run = Run {
        started: date::rfc3339(date::now()),
        warmup: plan.warmup,
        blocks: plan.blocks,
        runtimes: found.iter().map(Found::record).collect(),
        host: host::read(host::Probed {
            kvm_class: kvm.class.word().into(),
            kvm_evidence: kvm.evidence,
            tsc_hz: bench.tsc_hz,
        }),
        payload: stored,
        ..Run::new(&plan.name, cells)
    };
    tell(&summarise(&Dataset::new(&run, &samples, Vec::new())?));
    match std::env::args().nth(1) {
        Some(dir) => keep(Path::new(&dir), &run, &samples),
        None => Ok(()),
    }
}

fn tell(summary: &Summary) {
    for cell in summary.scenario("startup") {
        let Some((metric, median)) = cell.headline().and_then(|m| Some((m, m.median?))) else {
            println!("{:<8} {}", cell.runtime, cell.reason.as_deref().unwrap_or("nothing was measured"));
            continue;
        };
        print!("{:<8} {}", cell.runtime, fmt::quantity("ns", median.0, None));
        if let Some((versus, ratio)) = metric.versus.as_ref().and_then(|v| Some((v, v.ratio?))) {
            let range = versus.ci95.map_or_else(|| "~".into(), |ci| fmt::ratio_interval(ratio, ci));
            let (ratio, verdict) = (fmt::ratio(ratio, versus.ci95), versus.verdict.word());
            print!(", {ratio} [{range}] of {}: {verdict}, {} pairs", versus.runtime, versus.n);
        }
        println!();
    }
}

/// A folder as `isomark run` leaves it.
fn keep(dir: &Path, run: &Run, samples: &[Sample]) -> Result<(), Error> {
    let mut writer = Folder::create(dir, run)?.append()?;
    samples.iter().try_for_each(|sample| writer.sample(sample))
}

/// The runtime: the payload behind a shell, which then becomes the payload.
struct Shell;

impl Runtime for Shell {
    fn name(&self) -> &str {
        "shell"
    }

    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        if !Path::new(SHELL).exists() {
            return Err(Unavailable::new(format!("there is no {SHELL}"), "install a shell"));
        }
        Ok(Identity {
            version: "1".into(),
            can: vec![Ability::Jobs],
            // Nothing is done before `start`: reports say so and show no microsecond for it.
            folded: vec![(Phase::Create, Phase::Start)],
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        Ok(Box::new(Behind { spec: spec.clone(), running: None }))
    }
}

/// One instance. Dropped at any point it leaves nothing; should its harness die, the payload sees the end of its input.
struct Behind {
    spec: Spec,
    running: Option<Running>,
}

impl Behind {
    fn running(&mut self) -> Result<&mut Running, Error> {
        self.running.as_mut().ok_or_else(|| Error::Unsupported("it is not running".into()))
    }
}

impl Instance for Behind {
    fn start(&mut self) -> Result<(), Error> {
        let program = &self.spec.program;
        let mut command = Command::new(SHELL);
        command.args(["-c", r#"exec "$0" "$@""#]).arg(program.image.path()).args(&program.args);
        command.env_clear().envs(program.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().map_err(|e| Error::os(format!("start {SHELL}"), e))?;
        let running = self.running.insert(Running::new(child, self.spec.deadline)?);
        match running.line()? {
            line if line == READY => Ok(()),
            line => Err(Error::WrongAnswer(format!("{line:?} is not {READY:?}"))),
        }
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        let running = self.running()?;
        running.say(&format!("{job}\n"))?;
        Reply::parse(running.line()?.trim_end()).map_err(|e| Error::WrongAnswer(e.to_string()))
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        self.running()?.stop()
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.running = None;
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        Anatomy {
            processes: self.running.iter().map(|running| (running.pid(), Role::Program)).collect(),
            shared: vec![self.spec.program.image.path().to_owned()],
            ..Anatomy::default()
        }
    }
}

/// A started payload and the wire to it; no wait is longer than the deadline.
struct Running {
    child: Child,
    jobs: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    deadline: Duration,
}

impl Running {
    fn new(mut child: Child, deadline: Duration) -> Result<Self, Error> {
        let (jobs, replies) = (child.stdin.take(), child.stdout.take());
        let replies = replies.ok_or_else(|| Error::Unsupported("the child has no pipe".into()))?;
        Ok(Self { child, jobs, replies: BufReader::new(replies), deadline })
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn say(&mut self, line: &str) -> Result<(), Error> {
        let jobs = self.jobs.as_mut().ok_or_else(|| Error::Unsupported("its input is closed".into()))?;
        jobs.write_all(line.as_bytes()).map_err(|e| Error::os("write a job", e))
    }

    /// The next line of the payload, which writes each in one piece.
    fn line(&mut self) -> Result<String, Error> {
        self.wait()?;
        let mut line = String::new();
        match self.replies.read_line(&mut line).map_err(|e| Error::os("read a reply", e))? {
            0 => Err(Error::Died { exit: exit(self.reap()?), stderr: String::new() }),
            _ => Ok(line),
        }
    }

    /// Waits until there is something to read, or nobody left who could write.
    fn wait(&self) -> Result<(), Error> {
        let mut streams = [PollFd::new(self.replies.get_ref().as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(self.deadline).unwrap_or(PollTimeout::MAX);
        match poll(&mut streams, timeout) {
            Ok(0) => Err(Error::Timeout { op: "wait for the payload".into(), after: self.deadline }),
            Ok(_) => Ok(()),
            Err(e) => Err(Error::os("poll", e)),
        }
    }

    fn reap(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().map_err(|e| Error::os("reap the payload", e))
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        let cpu = account::process_cpu_ns(self.pid());
        let cpu = cpu.ok_or_else(|| Error::Unsupported("the kernel tells no CPU time".into()))?;
        self.jobs = None;
        self.wait()?;
        Ok(Usage::new(exit(self.reap()?), cpu))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to one that was reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exit(status: ExitStatus) -> Exit {
    let signal = || Exit::Signal(status.signal().unwrap_or_default());
    status.code().map_or_else(signal, Exit::Code)
}
