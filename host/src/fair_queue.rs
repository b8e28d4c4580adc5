//! What waits, by whose it is: owners take turns, whatever each has waiting, and for want of room
//! the one with most of it loses its latest.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Things that wait. How many may is for its user to say.
pub struct FairQueue<K, T> {
    /// Owners of something that waits, each once, in the order of their turns.
    turns: VecDeque<K>,
    of: HashMap<K, VecDeque<T>>,
    count: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> FairQueue<K, T> {
        FairQueue { turns: VecDeque::new(), of: HashMap::new(), count: 0 }
    }
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many of this owner wait.
    pub fn len_of(&self, owner: K) -> usize {
        self.of.get(&owner).map_or(0, VecDeque::len)
    }

    /// The owners of what waits, in the order of their turns.
    pub fn owners(&self) -> impl Iterator<Item = K> {
        self.turns.iter().copied()
    }

    /// All that waits.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.of.values().flatten()
    }

    /// Adds something of this owner.
    pub fn push(&mut self, owner: K, thing: T) {
        let queue = self.of.entry(owner).or_default();
        if queue.is_empty() {
            self.turns.push_back(owner);
        }
        queue.push_back(thing);
        self.count += 1;
    }

    /// Takes the oldest of the owner whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_of(|_| true).map(|(_, thing)| thing)
    }

    /// Takes the oldest of the first owner in turn that may have one.
    pub fn pop_of(&mut self, may: impl Fn(K) -> bool) -> Option<(K, T)> {
        let at = self.turns.iter().position(|&owner| may(owner))?;
        let owner = self.turns.remove(at)?;
        let queue = self.of.get_mut(&owner)?;
        let thing = queue.pop_front()?;
        self.count -= 1;
        if queue.is_empty() {
            self.of.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        Some((owner, thing))
    }

    /// Makes room for one more of this owner: gives the latest that may be taken of the owner with most,
    /// if that has more than this one will have. With one more at most they would displace each other in
    /// turns.
    pub fn displace_for(&mut self, owner: K, may: impl Fn(&T) -> bool) -> Option<T> {
        let own = self.len_of(owner);
        let longest = self.of.values().map(VecDeque::len).max()?;
        if longest > own + 1 { self.pop_latest(may) } else { None }
    }

    /// Takes the latest that may be taken of the owner with most.
    pub fn pop_latest(&mut self, may: impl Fn(&T) -> bool) -> Option<T> {
        let (&longest, queue) = self.of.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        let displaced = queue.remove(queue.iter().rposition(may)?);
        self.count -= 1;
        if queue.is_empty() {
            self.of.remove(&longest);
            self.turns.retain(|&other| other != longest);
        }
        displaced
    }

    /// Keeps what is to be kept, and gives the rest.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) -> Vec<T> {
        let mut rest = Vec::new();
        for queue in self.of.values_mut() {
            let (kept, other): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(queue).into_iter().partition(&keep);
            *queue = kept;
            rest.extend(other);
        }
        self.of.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|owner| self.of.contains_key(owner));
        self.count -= rest.len();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::FairQueue;

    fn queue(things: &[(u8, u32)]) -> FairQueue<u8, u32> {
        let mut queue = FairQueue::default();
        things.iter().for_each(|&(owner, thing)| queue.push(owner, thing));
        queue
    }

    #[test]
    fn owners_take_turns() {
        let mut queue = queue(&[(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)]);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [10, 20, 30, 11, 21, 12]);
        assert!(queue.is_empty() && queue.of.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn owner_that_may_have_none_is_passed_over() {
        let mut queue = queue(&[(1, 10), (1, 11), (2, 20)]);
        assert_eq!(queue.pop_of(|owner| owner != 1), Some((2, 20)));
        assert_eq!(queue.pop_of(|owner| owner != 1), None);
        assert_eq!(queue.pop(), Some(10));
    }

    #[test]
    fn owner_with_most_loses_its_latest() {
        let mut queue = queue(&[(1, 10), (1, 11), (1, 12), (2, 20)]);
        let any = |_: &u32| true;
        assert_eq!(queue.displace_for(2, |_| false), None);
        assert_eq!(queue.displace_for(2, any), Some(12));
        assert_eq!(queue.displace_for(2, any), None);
        assert_eq!((queue.displace_for(3, any), queue.len()), (Some(11), 2));
        assert_eq!(queue.displace_for(3, any), None);
    }

    #[test]
    fn what_is_not_kept_takes_no_turn() {
        let mut queue = queue(&[(1, 10), (2, 20), (2, 21)]);
        assert_eq!(queue.retain(|&thing| thing == 21).len(), 2);
        assert_eq!((queue.len(), queue.owners().collect::<Vec<_>>()), (1, vec![2]));
        assert_eq!(queue.pop(), Some(21));
    }
}
