//! Many hosts: what a fleet is to measure, what an engine is given for it, and what came back.
//!
//! isomark schedules nothing and stores nothing but folders. [`description`] says what is wanted, [`render()`] writes what a
//! user submits with the engine's own client, [`collect()`] judges the folders that came back and believes no exit code,
//! and [`report()`] keeps comparisons within a host and takes hosts as the replicas.
//!
//! ```
//! use isomark_report::fleet::{Engine, Fleet, render, render::Plan};
//!
//! # let hash = "5".repeat(64);
//! let text = format!("
//!     name = 'nodes'
//!     plan = 'quick'
//!     seed = 7
//!     time-limit = '30m'
//!     results = '/shared/nodes'
//!     isomark = {{ path = '/opt/isomark', sha256 = '{hash}' }}
//!     [[class]]
//!     label = 'metal'
//!     replicas = 10
//!     selector.slurm = {{ partition = 'bench' }}
//! ");
//! let fleet = Fleet::parse("fleet.toml", &text)?;
//! let plan = Plan { name: "quick".into(), text: None };
//! let files = render("fleet.toml", &fleet, &plan, Engine::Slurm)?;
//! assert_eq!(files[0].name, "metal.sbatch");
//! # Ok::<(), isomark_core::Error>(())
//! ```
//!
//! And when the folders have come back:
//!
//! ```no_run
//! use isomark_report::Options;
//! use isomark_report::fleet::{collect, report, told};
//!
//! let found = collect("/shared/nodes".as_ref(), None)?;
//! print!("{}", told(&found));
//! found.write("/shared/nodes".as_ref(), "collected".as_ref())?;
//! report("collected".as_ref(), &Options::default())?;
//! # Ok::<(), isomark_core::Error>(())
//! ```

mod attempt;
mod chart;
mod check;
pub mod cluster;
mod collect;
pub mod collected;
pub mod description;
mod hosts;
mod markdown;
mod page;
pub mod render;
mod report;
pub mod summary;
pub mod units;
mod words;

pub use collect::collect;
pub use collected::Collected;
pub use description::Fleet;
pub use markdown::{text, told};
pub use render::{Engine, render};
pub use report::{report, summarise};
pub use summary::FleetSummary;
