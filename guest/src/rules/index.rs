//! A hash map from texts to numbers, laid out so that a look-up touches few pages of memory.
//!
//! The standard map would bring its formatting of panics and a random seed, which a guest has not.
//! Keys are the operator's: no client can choose ones that collide.

/// A map from a number and a text to a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// One more than the index of an entry, or 0. As many as a power of two, and at most half
    /// of them in use.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    /// The texts of all keys, one after the other.
    text: String,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    scope: u32,
    start: u32,
    length: u32,
    value: u32,
}

impl Index {
    /// The value of this key.
    pub(super) fn get(&self, scope: u32, key: &str) -> Option<u32> {
        self.entries.get(self.find(scope, key)?).map(|entry| entry.value)
    }

    /// Gives this key another value, if it has one.
    pub(super) fn set(&mut self, scope: u32, key: &str, value: u32) {
        if let Some(at) = self.find(scope, key)
            && let Some(entry) = self.entries.get_mut(at)
        {
            entry.value = value;
        }
    }

    /// The place of this key's entry.
    fn find(&self, scope: u32, key: &str) -> Option<usize> {
        let mut slot = hash(scope, key);
        // The first empty slot ends it, and half of them are empty.
        for _ in 0..self.slots.len() {
            let number = *self.slots.get(slot as usize & (self.slots.len() - 1))?;
            let at = number.checked_sub(1)? as usize;
            let entry = self.entries.get(at)?;
            if entry.scope == scope && self.key(entry) == key {
                return Some(at);
            }
            slot = slot.wrapping_add(1);
        }
        None
    }

    /// Whether it has no key.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives this key, which has no value yet, a value.
    pub(super) fn insert(&mut self, scope: u32, key: &str, value: u32) {
        let start = number(self.text.len());
        self.text.push_str(key);
        self.entries.push(Entry { scope, start, length: number(key.len()), value });
        if self.entries.len() * 2 > self.slots.len() {
            self.slots = vec![0; (self.entries.len() * 4).next_power_of_two()];
            for at in 0..self.entries.len() {
                self.place(at);
            }
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    fn place(&mut self, at: usize) {
        let Some(entry) = self.entries.get(at) else { return };
        let mask = self.slots.len() - 1;
        let mut slot = hash(entry.scope, self.key(entry)) as usize & mask;
        while self.slots.get(slot).is_some_and(|&number| number != 0) {
            slot = (slot + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = number(at + 1);
        }
    }

    fn key(&self, entry: &Entry) -> &str {
        let start = entry.start as usize;
        self.text.get(start..start + entry.length as usize).unwrap_or_default()
    }
}

/// FNV-1a, and a last step that spreads its bits.
fn hash(scope: u32, key: &str) -> u32 {
    let mut hash = 0x811c_9dc5 ^ scope.wrapping_mul(0x9e37_79b1);
    for byte in key.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^ hash >> 13
}

/// A length or an index as 32 bits, as all are in a guest. The data of a table is far smaller.
pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Index;

    #[test]
    fn key_has_the_value_that_it_was_given() {
        let mut index = Index::default();
        assert_eq!(index.get(0, ""), None);
        for value in 0..5_000 {
            index.insert(value % 7, &format!("key {value}"), value);
        }
        for value in 0..5_000 {
            assert_eq!(index.get(value % 7, &format!("key {value}")), Some(value));
            assert_eq!(index.get(8, &format!("key {value}")), None);
        }
        assert_eq!(index.get(0, "key 5000"), None);
    }
}
