//! The index: what is worth knowing of ten thousand runs without opening them.
//!
//! An SQLite file beside the run folders, which can be taken away at any time. Its layout has a version; another version
//! or a file that is no database is replaced, never an error. Where the folder cannot be written, the index lives in
//! memory for one command.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isomark_core::{Better, Error, Params};
use rusqlite::{Connection, Transaction, params};

use super::scan::{Line, Seen};
use super::{Filter, Point, RATIO, Series};
use crate::stats::verdict::Quantity;

/// Name of the file beside the run folders.
pub const FILE: &str = "history.sqlite";
/// Layout of the tables.
const VERSION: i64 = 1;

const LAYOUT: &str = "
    CREATE TABLE folder (name TEXT PRIMARY KEY, mtime INTEGER NOT NULL, size INTEGER NOT NULL, trouble TEXT)
        STRICT, WITHOUT ROWID;
    CREATE TABLE run (id INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, started TEXT NOT NULL, host TEXT NOT NULL)
        STRICT;
    CREATE INDEX run_order ON run (host, started, folder);
    CREATE TABLE series (id INTEGER PRIMARY KEY, host TEXT NOT NULL, runtime TEXT NOT NULL, scenario TEXT NOT NULL,
        params TEXT NOT NULL, metric TEXT NOT NULL, unit TEXT NOT NULL, higher INTEGER NOT NULL, place INTEGER NOT NULL,
        UNIQUE (host, runtime, scenario, params, metric)) STRICT;
    CREATE TABLE point (run INTEGER NOT NULL, series INTEGER NOT NULL, median REAL NOT NULL, low REAL, high REAL,
        ratio REAL, ratio_low REAL, ratio_high REAL, PRIMARY KEY (run, series)) STRICT, WITHOUT ROWID;
";

/// The index of a folder.
#[derive(Debug)]
pub struct Index {
    db: Connection,
    known: BTreeMap<(String, Line), i64>,
}

impl Index {
    /// Opens the index of a folder, or begins one; with what a user should know of it.
    ///
    /// # Errors
    /// What the host refused.
    pub fn open(dir: &Path) -> Result<(Self, Vec<String>), Error> {
        let path = dir.join(FILE);
        match at(&path) {
            Ok(Some(index)) => Ok((index, Vec::new())),
            Ok(None) => Ok((Self::anew(dir)?, Vec::new())),
            Err(e) => {
                let note = format!("{} could not be used ({e}) and was built anew", path.display());
                Ok((Self::anew(dir)?, vec![note]))
            }
        }
    }

    /// Begins an empty index in place of what is there; in memory where the folder cannot be written.
    ///
    /// # Errors
    /// What the host refused.
    pub fn anew(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let journal = PathBuf::from(format!("{}-journal", path.display()));
        let _ = (fs::remove_file(&path), fs::remove_file(journal));
        let begun = Connection::open(&path).and_then(fresh);
        let begun = begun.or_else(|_| Connection::open_in_memory().and_then(fresh));
        begun.map_err(|e| Error::os(format!("make {}", path.display()), std::io::Error::other(e)))
    }

    /// Folders as they were when they were read.
    pub(super) fn folders(&self) -> rusqlite::Result<BTreeMap<String, Seen>> {
        let mut query = self.db.prepare("SELECT name, mtime, size, trouble FROM folder")?;
        let rows = query.query_map([], |row| {
            Ok((row.get(0)?, Seen { mtime: row.get(1)?, size: row.get(2)?, trouble: row.get(3)? }))
        })?;
        rows.collect()
    }

    /// All changes or none.
    pub(super) fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let (db, known) = (&mut self.db, &mut self.known);
        let mut change = Change { transaction: db.transaction()?, known };
        let done = work(&mut change)?;
        change.transaction.commit()?;
        Ok(done)
    }

    /// Number of runs that can be read.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn runs(&self) -> rusqlite::Result<usize> {
        self.db.query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).map(|n| n as usize)
    }

    /// The series that a filter selects, with their points.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn series(&self, filter: &Filter) -> rusqlite::Result<Vec<Series>> {
        let mut selected = self.selected(filter)?;
        let mut runs = self.db.prepare(
            "SELECT id, folder, started FROM (SELECT id, folder, started, host, row_number() OVER
                (PARTITION BY host ORDER BY started DESC, folder DESC) AS place FROM run)
             WHERE place <= ?1 ORDER BY started, folder",
        )?;
        let runs: Vec<(i64, String, String)> = runs
            .query_map([filter.last as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut points = self.db.prepare(
            "SELECT series, median, low, high, ratio, ratio_low, ratio_high FROM point WHERE run = ?1",
        )?;
        for (run, folder, started) in runs {
            let mut rows = points.query([run])?;
            while let Some(row) = rows.next()? {
                let Some((series, relative)) = selected.get_mut(&row.get(0)?) else { continue };
                let from = if *relative { 4 } else { 1 };
                // A run without a plain process has no ratio: its value cannot stand among ratios.
                let Some(value) = row.get::<_, Option<f64>>(from)? else { continue };
                let bounds: (Option<f64>, Option<f64>) = (row.get(from + 1)?, row.get(from + 2)?);
                let ci95 = bounds.0.zip(bounds.1).map(|(low, high)| [low, high]);
                let (folder, started) = (folder.clone(), started.clone());
                series.points.push(Point { folder, started, value, ci95 });
            }
        }
        Ok(selected.into_values().map(|(series, _)| series).filter(|s| !s.points.is_empty()).collect())
    }

    /// Series by number, and whether they are followed as ratios.
    fn selected(&self, filter: &Filter) -> rusqlite::Result<BTreeMap<i64, (Series, bool)>> {
        let mut query = self
            .db
            .prepare("SELECT id, host, runtime, scenario, params, metric, unit, higher, place FROM series")?;
        let mut rows = query.query([])?;
        let mut all = BTreeMap::new();
        let wanted = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
        while let Some(row) = rows.next()? {
            let (runtime, scenario, metric): (String, String, String) =
                (row.get(2)?, row.get(3)?, row.get(5)?);
            let headline = row.get::<_, i64>(8)? == 0;
            let named = if filter.metrics.is_empty() { headline } else { wanted(&filter.metrics, &metric) };
            if !named || !wanted(&filter.runtimes, &runtime) || !wanted(&filter.scenarios, &scenario) {
                continue;
            }
            let unit: String = row.get(6)?;
            let better = if row.get::<_, i64>(7)? == 1 { Better::Higher } else { Better::Lower };
            let probe = isomark_core::Metric {
                name: metric.clone().into(),
                unit: unit.clone().into(),
                better,
                optional: false,
            };
            let relative = !filter.absolute
                && runtime != crate::reference::REFERENCE
                && crate::region::quantity(&probe) != Quantity::Size;
            let params: Params = serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default();
            let unit = if relative { RATIO.to_owned() } else { unit };
            let (points, changes) = (Vec::new(), Vec::new());
            let host = row.get(1)?;
            let series = Series { host, runtime, scenario, params, metric, unit, better, points, changes };
            all.insert(row.get(0)?, (series, relative));
        }
        Ok(all)
    }

    /// All names of a kind, for messages about one that is unknown.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn names(&self, column: Column) -> rusqlite::Result<Vec<String>> {
        let query = match column {
            Column::Runtime => "SELECT DISTINCT runtime FROM series",
            Column::Scenario => "SELECT DISTINCT scenario FROM series",
            Column::Metric => "SELECT DISTINCT metric FROM series",
        };
        self.db.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    }
}

/// What a filter may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Runtimes.
    Runtime,
    /// Scenarios.
    Scenario,
    /// Metrics.
    Metric,
}

/// Changes to an index that are made together.
pub(super) struct Change<'i> {
    transaction: Transaction<'i>,
    known: &'i mut BTreeMap<(String, Line), i64>,
}

impl Change<'_> {
    /// Forgets a folder.
    pub(super) fn forget(&mut self, folder: &str) -> rusqlite::Result<()> {
        let db = &self.transaction;
        db.execute("DELETE FROM point WHERE run = (SELECT id FROM run WHERE folder = ?1)", [folder])?;
        db.execute("DELETE FROM run WHERE folder = ?1", [folder])?;
        db.execute("DELETE FROM folder WHERE name = ?1", [folder])?;
        Ok(())
    }

    /// Keeps how a folder was when it was read.
    pub(super) fn saw(&mut self, folder: &str, seen: &Seen) -> rusqlite::Result<()> {
        let mut insert =
            self.transaction.prepare_cached("INSERT OR REPLACE INTO folder VALUES (?1, ?2, ?3, ?4)")?;
        insert.execute(params![folder, seen.mtime, seen.size, seen.trouble]).map(drop)
    }

    /// Adds a run; its values follow by [`Change::value`].
    pub(super) fn run(&mut self, folder: &str, started: &str, host: &str) -> rusqlite::Result<i64> {
        let mut insert =
            self.transaction.prepare_cached("INSERT INTO run (folder, started, host) VALUES (?1, ?2, ?3)")?;
        insert.insert(params![folder, started, host])
    }

    /// Adds a value of a run.
    pub(super) fn value(
        &mut self,
        run: i64,
        host: &str,
        line: &Line,
        values: [Option<f64>; 6],
    ) -> rusqlite::Result<()> {
        let key = (host.to_owned(), line.clone());
        let series = match self.known.get(&key) {
            Some(series) => *series,
            None => {
                let found = self.find(host, line)?;
                self.known.insert(key, found);
                found
            }
        };
        let [median, low, high, ratio, ratio_low, ratio_high] = values;
        let mut insert = self
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO point VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        insert.execute(params![run, series, median, low, high, ratio, ratio_low, ratio_high]).map(drop)
    }

    fn find(&self, host: &str, line: &Line) -> rusqlite::Result<i64> {
        let Line { runtime, scenario, params, metric, unit, higher, place } = line;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO series (host, runtime, scenario, params, metric, unit, higher, place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET unit = excluded.unit, place = excluded.place RETURNING id",
        )?;
        let values = params![host, runtime, scenario, params, metric, unit, higher, place];
        insert.query_row(values, |row| row.get(0))
    }
}

/// The index in a file; none if there is no file, or one of another version.
fn at(path: &Path) -> rusqlite::Result<Option<Index>> {
    if !fs::symlink_metadata(path).is_ok_and(|kind| kind.is_file()) {
        return Ok(None);
    }
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(10))?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // The file may have come with somebody else's results: a view or a trigger of theirs would be a program of theirs.
    if version != VERSION || layout(&db)? != layout(&fresh(Connection::open_in_memory()?)?.db)? {
        return Ok(None);
    }
    db.pragma_update(None, "synchronous", "OFF")?;
    Ok(Some(Index { db, known: BTreeMap::new() }))
}

/// Everything that a database is made of: kind, name, table and text of each.
fn layout(db: &Connection) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    let mut query = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = query.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    rows.collect()
}

fn fresh(db: Connection) -> rusqlite::Result<Index> {
    db.busy_timeout(Duration::from_secs(10))?;
    // Whatever a crash leaves of it is built anew: nothing needs to reach the disk in order.
    db.pragma_update(None, "synchronous", "OFF")?;
    db.execute_batch(&format!("BEGIN; {LAYOUT} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    Ok(Index { db, known: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_not_laid_out_as_ours_is_built_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut index = Index::anew(dir.path()).unwrap();
        index.change(|change| change.run("mine", "2026", "host").map(drop)).unwrap();
        drop(index);
        let runs = || Index::open(dir.path()).unwrap().0.runs().unwrap();
        assert_eq!(runs(), 1);
        // A view without an end, in place of a table that every question reads.
        let endless = "DROP TABLE series; CREATE VIEW series AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            SELECT i AS id, '' AS host, '' AS runtime, '' AS scenario, '' AS params, '' AS metric, '' AS unit, 0 AS higher,
            0 AS place FROM n;";
        let trigger = "CREATE TRIGGER theirs AFTER INSERT ON run BEGIN DELETE FROM run; END;";
        for theirs in [endless, trigger] {
            Connection::open(&path).unwrap().execute_batch(theirs).unwrap();
            let (mut index, _) = Index::open(dir.path()).unwrap();
            assert_eq!(index.series(&Filter { last: 1, ..Filter::default() }).unwrap(), []);
            index.change(|change| change.run("mine", "2026", "host").map(drop)).unwrap();
            assert_eq!(index.runs().unwrap(), 1);
        }
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert_eq!(runs(), 0);
        assert!(dir.path().join("elsewhere").is_file());
    }
}
