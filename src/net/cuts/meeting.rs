//! Where the pieces of two partitions meet, by the pairs of their colours.

use std::sync::Arc;

use super::super::memo::Memo;
use super::{Addr, Class, Cuts, Map};

/// A number for each pair of colours, worked out when the pair is first met.
pub(super) enum Pairs {
    /// Few colours: a table.
    Table { width: usize, numbers: Vec<u32> },
    /// Many colours, of which few pairs meet.
    Memo(Box<Memo<(u32, u32), u32>>),
}

/// No number yet.
const UNMET: u32 = u32::MAX;

impl Pairs {
    pub(super) fn new(left: usize, right: usize) -> Self {
        match left.checked_mul(right) {
            Some(size) if size <= 1 << 16 => Self::Table { width: right, numbers: vec![UNMET; size] },
            _ => Self::Memo(Box::default()),
        }
    }

    pub(super) fn get(&mut self, x: u32, y: u32, make: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Table { width, numbers } => {
                let number = &mut numbers[x as usize * *width + y as usize];
                if *number == UNMET {
                    *number = make();
                }
                *number
            }
            Self::Memo(memo) => memo.get((x, y), make),
        }
    }
}

/// Which colours of two maps meet: what a comparison of partitions on the same maps, whatever their classes, has to look at.
#[derive(Debug)]
pub struct Meeting<A> {
    pub(super) left: Arc<Map<A>>,
    pub(super) right: Arc<Map<A>>,
    pub(super) pairs: Vec<(u32, u32)>,
}

impl<A: Addr> Meeting<A> {
    /// Whether it is about the maps of these two partitions.
    pub fn is_of<C: Class, D: Class>(&self, left: &Cuts<A, C>, right: &Cuts<A, D>) -> bool {
        Arc::ptr_eq(&self.left, &left.map) && Arc::ptr_eq(&self.right, &right.map)
    }

    /// Whether something holds of all classes that meet.
    pub fn all<C: Class, D: Class>(
        &self,
        left: &Cuts<A, C>,
        right: &Cuts<A, D>,
        mut holds: impl FnMut(C, D) -> bool,
    ) -> bool {
        self.pairs.iter().all(|(x, y)| holds(left.class(*x), right.class(*y)))
    }
}
