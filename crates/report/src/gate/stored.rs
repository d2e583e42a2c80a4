//! A run as it lies on disk, read once.
//!
//! The gate works on raw samples, never on a summary: what was summarised cannot be paired any more.

use std::path::{Path, PathBuf};

use isomark_core::Error;
use isomark_core::record::{Block, Run, Sample};
use isomark_core::store::Folder;

use crate::Dataset;

/// A run with everything it measured.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it lies.
    pub dir: PathBuf,
    /// What was decided before the first sample.
    pub run: Run,
    /// What the trials recorded.
    pub samples: Vec<Sample>,
    /// How noisy the host was.
    pub blocks: Vec<Block>,
}

impl Stored {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// [`Error::Input`] naming file and line of what cannot be read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let (folder, run) = Folder::open(dir)?;
        let (samples, blocks) = (folder.samples()?, folder.blocks()?);
        let stored = Self { dir: dir.to_owned(), run, samples, blocks };
        stored.data().map_err(|e| crate::dataset::of(dir, e))?;
        Ok(stored)
    }

    /// The samples, grouped.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub fn data(&self) -> Result<Dataset<'_>, Error> {
        Dataset::new(&self.run, &self.samples, self.blocks.clone())
    }
}
