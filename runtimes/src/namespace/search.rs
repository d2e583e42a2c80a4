//! How a filter becomes a program of classic BPF: a binary search over numbers, looks at arguments, and verdicts.
//!
//! Jumps go forward only and no further than 255 instructions; verdicts come last and are shared, since each instruction
//! takes a tenth of a microsecond to install.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EAFNOSUPPORT, ENOSYS, EPERM,
    EPROTONOSUPPORT, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, sock_filter,
};

use super::filter::{Fate, Look};

/// An instruction of a look; where it leads is settled when all have their places.
#[derive(Clone, Copy)]
pub(super) enum Op {
    Load(u32),
    /// Condition, value, where to if it holds and if not.
    If(u32, u32, To, To),
}

#[derive(Clone, Copy)]
pub(super) enum To {
    /// Past so many instructions of the same look.
    Skip(usize),
    Give(u32),
}

/// Whether what was loaded is one of these.
pub(super) fn any(values: &[i32], yes: To, no: To) -> Vec<Op> {
    let left = (0..values.len()).rev();
    let compare = |(value, left): (&i32, usize)| {
        let yes = match yes {
            To::Skip(more) => To::Skip(left + more),
            To::Give(_) => yes,
        };
        Op::If(BPF_JEQ, *value as u32, yes, if left == 0 { no } else { To::Skip(0) })
    };
    values.iter().zip(left).map(compare).collect()
}

/// All verdicts that a search or a look may lead to.
const VERDICTS: [u32; 5] = [
    SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO | EPERM as u32,
    SECCOMP_RET_ERRNO | ENOSYS as u32,
    SECCOMP_RET_ERRNO | EAFNOSUPPORT as u32,
    SECCOMP_RET_ERRNO | EPROTONOSUPPORT as u32,
];

/// Binary search over intervals. Every comparison is one jump: forward to a further comparison, to a verdict or to a look
/// at the arguments.
pub(super) fn search(of: &[(u32, Fate)]) -> Vec<sock_filter> {
    let mut nodes = Vec::new();
    plant(of, &mut nodes);
    let looks = Look::CODES.map(Look::code);
    let length = |looks: &[Vec<Op>]| nodes.len() + looks.iter().map(Vec::len).sum::<usize>();
    let end = length(&looks);
    let given = |verdict: u32| end + VERDICTS.iter().position(|v| *v == verdict).unwrap_or(1);
    let place = |fate: Fate| match fate {
        Fate::Given(verdict) => given(verdict),
        Fate::Looked(look) => {
            let at = Look::CODES.iter().position(|other| *other == look).unwrap_or(0);
            length(&looks[..at])
        }
    };
    let from = |at: usize, place: usize| u8::try_from(place - at - 1).unwrap_or(u8::MAX);
    let branch = |(at, node): (usize, &Node)| {
        let target = |to: Target| match to {
            Target::Node(node) => from(at, node),
            Target::Leaf(fate) => from(at, place(fate)),
        };
        jump(BPF_JGE, node.from, target(node.above), target(node.below))
    };
    let looked = |(at, op): (usize, &Op)| {
        let target = |to: To| match to {
            To::Skip(over) => from(at, at + 1 + over),
            To::Give(verdict) => from(at, given(verdict)),
        };
        match *op {
            Op::Load(offset) => load(offset),
            Op::If(condition, value, yes, no) => jump(condition, value, target(yes), target(no)),
        }
    };
    let branches = nodes.iter().enumerate().map(branch);
    let looked = (nodes.len()..).zip(looks.iter().flatten()).map(looked);
    branches.chain(looked).chain(VERDICTS.into_iter().map(give)).collect()
}

/// A comparison: numbers `from` on go one way, smaller ones the other.
struct Node {
    from: u32,
    below: Target,
    above: Target,
}

#[derive(Clone, Copy)]
enum Target {
    Node(usize),
    Leaf(Fate),
}

fn plant(of: &[(u32, Fate)], nodes: &mut Vec<Node>) -> Target {
    if let [(_, fate)] = of {
        return Target::Leaf(*fate);
    }
    let (low, high) = of.split_at(balanced(of));
    let at = nodes.len();
    // The branches come after their node: jumps of classic BPF go forward only.
    let open = Target::Node(at);
    nodes.push(Node { from: high[0].0, below: open, above: open });
    nodes[at].below = plant(low, nodes);
    nodes[at].above = plant(high, nodes);
    Target::Node(at)
}

/// Where to split so that about as many numbers lie on either side: the average path is short then, not the longest.
fn balanced(of: &[(u32, Fate)]) -> usize {
    let first = of[0].0;
    let end = of[of.len() - 1].0 + 1;
    let uneven = |at: &usize| (of[*at].0 - first).abs_diff(end - of[*at].0);
    (1..of.len()).min_by_key(uneven).unwrap_or(1)
}

pub(super) fn refuse(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap_or(0)
}

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

pub(super) const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

pub(super) const fn jump(condition: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, yes, no, value)
}

pub(super) const fn give(verdict: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, verdict)
}
