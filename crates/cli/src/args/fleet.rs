//! The flags of `isomark fleet`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

/// `isomark fleet`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isomark fleet render slurm fleet.toml\n  isomark fleet render kubernetes --out manifests fleet.toml\n  isomark fleet collect /shared/results --fleet fleet.toml --out collected\n  isomark report collected\n\nisomark submits nothing: what it renders goes through the engine's own client.\nExit codes of collect: 0 every host is there and fit, 2 bad input, 4 no host can be used,\n6 a host is missing, failed, unfit or unlike its class (the others are collected all the same)"
)]
pub(crate) struct Fleet {
    /// What to do
    #[command(subcommand)]
    pub verb: FleetVerb,
}

/// What to do with a fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetVerb {
    /// Write what the user submits with an engine's own client
    Render {
        /// Engine
        #[arg(value_enum)]
        engine: Engine,
        /// Description of the fleet
        #[arg(value_name = "FLEET.TOML")]
        file: PathBuf,
        /// Folder for what is written (named after fleet and engine by default)
        #[arg(long, env = "ISOMARK_OUT", value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Judge the folders that came back, name hosts that are missing, and make one fleet of the others
    Collect {
        /// Folder with the results
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Description of the fleet: without it a class that left nothing is not known
        #[arg(long, env = "ISOMARK_FLEET", value_name = "FLEET.TOML")]
        fleet: Option<PathBuf>,
        /// New folder for the collected fleet, which `isomark report` renders (nothing is written without it)
        #[arg(long, env = "ISOMARK_OUT", value_name = "DIR")]
        out: Option<PathBuf>,
        /// How the result is printed: json is fleet.json
        #[arg(long, env = "ISOMARK_FORMAT", value_enum, default_value_t)]
        format: Format,
    },
}

/// Engines that fleets can be rendered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// A script for sbatch per class.
    Slurm,
    /// A Job per class.
    Kubernetes,
}
