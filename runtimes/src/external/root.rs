//! Root directories and archives, made from the program's own bytes.
//!
//! The program in a root is another name of the harness's own file where the file system allows it: one set of cached
//! pages for every runtime.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use isomark_core::{Error, Program};

use crate::catalogue::stanza::RootFiles;

/// The program's path inside. Tools give a program its path as its name, and some programs go by that.
pub(crate) fn inside(program: &Program) -> String {
    let name = program.name.rsplit('/').next().unwrap_or_default();
    let safe = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    let usable = safe && !name.is_empty() && !name.starts_with('.') && !DIRECTORIES.contains(&name);
    format!("/{}", if usable { name } else { "program" })
}

/// Directories of every root: where tools mount.
const DIRECTORIES: [&str; 5] = ["proc", "dev", "sys", "tmp", "etc"];

/// Makes a root directory.
///
/// # Errors
/// What the host refused.
pub(crate) fn make(dir: &Path, of: &Program, more: &RootFiles) -> Result<(), Error> {
    let fail = |path: &Path, e: std::io::Error| Error::os(format!("make {}", path.display()), e);
    for name in DIRECTORIES.into_iter().chain(more.directories.iter().map(String::as_str)) {
        let path = dir.join(name.trim_start_matches('/'));
        fs::create_dir_all(&path).map_err(|e| fail(&path, e))?;
    }
    for (name, content) in &more.files {
        let path = dir.join(name.trim_start_matches('/'));
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|e| fail(&path, e))?;
        fs::write(&path, content).map_err(|e| fail(&path, e))?;
    }
    let (image, program) = (of.image.path(), dir.join(inside(of).trim_start_matches('/')));
    let linked = fs::hard_link(image, &program).or_else(|_| fs::copy(image, &program).map(drop));
    linked.map_err(|e| fail(&program, e))
}

/// What an instance alone has in its root: everything but the program, whose bytes are the harness's.
pub(crate) fn private(root: &Path, of: &Program) -> Vec<PathBuf> {
    let program = root.join(inside(of).trim_start_matches('/'));
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| *path != program).collect()
}

/// Writes an archive of a root with the program in it.
///
/// # Errors
/// What the host refused.
pub(crate) fn archive(path: &Path, of: &Program, more: &RootFiles) -> Result<(), Error> {
    let write = || {
        let mut tar = tar::Builder::new(File::create(path)?);
        // Without an entry of its own the root gets a mode of the engine's choice, which may forbid writing.
        entry(&mut tar, "./", 0o755, None)?;
        for name in DIRECTORIES.into_iter().chain(more.directories.iter().map(String::as_str)) {
            entry(&mut tar, name.trim_start_matches('/'), 0o755, None)?;
        }
        for (name, content) in &more.files {
            entry(&mut tar, name.trim_start_matches('/'), 0o644, Some(content.as_bytes()))?;
        }
        let program = fs::read(of.image.path())?;
        entry(&mut tar, inside(of).trim_start_matches('/'), 0o755, Some(&program))?;
        tar.into_inner()?.sync_all()
    };
    write().map_err(|e| Error::os(format!("write {}", path.display()), e))
}

fn entry(tar: &mut tar::Builder<File>, name: &str, mode: u32, content: Option<&[u8]>) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_entry_type(if content.is_some() {
        tar::EntryType::Regular
    } else {
        tar::EntryType::Directory
    });
    let content = content.unwrap_or_default();
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content)
}
