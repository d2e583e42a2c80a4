//! From a path to a node.
//!
//! The walk is Linux' (path_resolution(7)): symbolic links are followed in the middle always and at the end on
//! request, at most forty of them, and nothing leads above the root.

use super::{Fs, Kind, NAME_MAX, NodeId, ROOT};
use crate::error::{Stop, refuse};

/// Most symbolic links in one walk.
const LINKS_MAX: usize = 40;

/// Where a path leads: a directory, a name in it, and the node if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The directory that holds the last name.
    pub dir: NodeId,
    /// The last name; empty for `/`, `.` and `..`.
    pub name: Vec<u8>,
    /// The node.
    pub node: Option<NodeId>,
    /// Whether the path ended in a slash, which only a directory satisfies.
    pub slash: bool,
}

impl Found {
    /// The node.
    ///
    /// # Errors
    /// ENOENT if there is none.
    pub fn existing(&self) -> Result<NodeId, Stop> {
        self.node.ok_or(Stop::Errno(libc::ENOENT))
    }
}

impl Fs {
    /// Walks `path` from `base`; follows a symbolic link at its end if `follow`.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG.
    pub fn walk(&self, base: NodeId, path: &[u8], follow: bool) -> Result<Found, Stop> {
        if path.is_empty() {
            return refuse(libc::ENOENT);
        }
        let slash = path.ends_with(b"/");
        let mut dir = if path.starts_with(b"/") { ROOT } else { base };
        let mut rest = names(path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name.len() > NAME_MAX {
                return refuse(libc::ENAMETOOLONG);
            }
            let next = self.step(dir, &name)?;
            let target = match next.map(|id| self.node(id)).transpose()? {
                Some(node) if !rest.is_empty() || follow || slash => match &node.kind {
                    Kind::Link(target) => Some(target),
                    _ => None,
                },
                _ => None,
            };
            if let Some(target) = target {
                links += 1;
                if links > LINKS_MAX {
                    return refuse(libc::ELOOP);
                }
                rest.extend(names(target));
                dir = if target.starts_with(b"/") { ROOT } else { dir };
            } else if rest.is_empty() {
                return self.ended(dir, name, next, slash);
            } else {
                dir = next.ok_or(Stop::Errno(libc::ENOENT))?;
            }
        }
        Ok(Found { dir, name: Vec::new(), node: Some(dir), slash })
    }

    fn ended(&self, dir: NodeId, name: Vec<u8>, node: Option<NodeId>, slash: bool) -> Result<Found, Stop> {
        if let (Some(id), true) = (node, slash) {
            self.entries(id)?;
        }
        let special = name == b"." || name == b"..";
        Ok(Found { dir, name: if special { Vec::new() } else { name }, node, slash })
    }

    fn step(&self, dir: NodeId, name: &[u8]) -> Result<Option<NodeId>, Stop> {
        let entries = self.entries(dir)?;
        match name {
            b"." => Ok(Some(dir)),
            b".." => self.parent(dir).map(Some),
            _ => Ok(entries.get(name).copied()),
        }
    }

    /// The absolute path of a directory.
    ///
    /// # Errors
    /// ENOENT if it was removed.
    pub fn path_of(&self, dir: NodeId) -> Result<Vec<u8>, Stop> {
        let mut names = Vec::new();
        let mut at = dir;
        while at != ROOT {
            let parent = self.parent(at)?;
            let name = self.entries(parent)?.iter().find(|&(_, &id)| id == at).map(|(name, _)| name);
            names.push(name.ok_or(Stop::Errno(libc::ENOENT))?.as_slice());
            at = parent;
        }
        names.push(b"");
        names.reverse();
        Ok(if names.len() == 1 { b"/".to_vec() } else { names.join(&b'/') })
    }
}

/// The names of a path, last first: a stack of what is still to walk.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).rev().collect()
}
