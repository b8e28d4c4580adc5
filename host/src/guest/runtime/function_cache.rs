//! Compiled functions, kept from one compilation to the next, for authors of a guest: an
//! edited policy in Python has other data and the same 20,000 functions, which take half
//! a minute to compile.
//!
//! `innkeeper dev` keeps them for each guest. A server keeps those of a guest that is configured, in
//! memory and beside its machine code, for the next data of the same guest: the first save after a
//! start would cost a whole compilation. All else that it serves it compiles as a whole, so that it
//! runs code which depends on nothing that was compiled before.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use wasmtime::CacheStore;

use crate::lock::lock;

/// What a compiler made of each function, by what it depends on.
#[derive(Debug, Default)]
pub(super) struct FunctionCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    functions: HashMap<Box<[u8]>, Function>,
    /// Whether some were compiled since they were written down.
    has_new: bool,
}

#[derive(Debug)]
struct Function {
    code: Box<[u8]>,
    /// Whether the compilation that is going on, or the last one, had use for it.
    is_used: bool,
}

impl FunctionCache {
    /// Those that were written down. What is damaged ends there.
    pub(super) fn recalled(written: &[u8]) -> FunctionCache {
        let functions = FunctionCache::default();
        let mut known = functions.known();
        let mut rest = written;
        while let Some((key, code)) = take(&mut rest).zip(take(&mut rest)) {
            known.functions.insert(key.into(), Function { code: code.into(), is_used: false });
        }
        drop(known);
        functions
    }

    /// Forgets what the compilation that ended had no use for, so that what is kept is that
    /// of one guest, and writes down the rest if there is something new.
    pub(super) fn write_down(&self) -> Option<Vec<u8>> {
        let mut known = self.known();
        known.functions.retain(|_, function| std::mem::take(&mut function.is_used));
        if !std::mem::take(&mut known.has_new) {
            return None;
        }
        let mut written = Vec::new();
        for (key, Function { code, .. }) in &known.functions {
            for text in [key, code] {
                written.extend_from_slice(&length(text));
                written.extend_from_slice(text);
            }
        }
        Some(written)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change of it is one step, whoever panicked.
        lock(&self.0)
    }
}

impl CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut known = self.known();
        let function = known.functions.get_mut(key)?;
        function.is_used = true;
        Some(Cow::Owned(function.code.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut known = self.known();
        known.has_new = true;
        known.functions.insert(key.into(), Function { code: value.into(), is_used: true });
        true
    }
}

/// How a text's length is written before it.
fn length(text: &[u8]) -> [u8; 8] {
    (text.len() as u64).to_le_bytes()
}

/// Takes a text with its length from the front.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{CacheStore, FunctionCache};

    fn known(functions: &FunctionCache, key: &[u8]) -> Option<Vec<u8>> {
        functions.get(key).map(std::borrow::Cow::into_owned)
    }

    #[test]
    fn kept_functions_are_recalled() {
        let functions = FunctionCache::default();
        functions.insert(b"a", b"code".to_vec());
        functions.insert(b"", b"".to_vec());
        let written = functions.write_down().expect("something is new");
        assert_eq!(functions.write_down(), None);
        let again = FunctionCache::recalled(&written);
        assert_eq!(known(&again, b"a"), Some(b"code".to_vec()));
        assert_eq!(known(&again, b""), Some(Vec::new()));
        for end in 0..written.len() {
            let damaged = FunctionCache::recalled(&written[..end]);
            assert!(damaged.0.into_inner().expect("no panic").functions.len() < 2);
        }
    }

    #[test]
    fn unused_functions_are_forgotten() {
        let functions = FunctionCache::default();
        for key in [b"a", b"b"] {
            functions.insert(key, b"code".to_vec());
        }
        functions.write_down();
        known(&functions, b"a");
        functions.insert(b"c", b"code".to_vec());
        functions.write_down();
        assert_eq!(known(&functions, b"b"), None);
        assert!(known(&functions, b"a").is_some() && known(&functions, b"c").is_some());
    }
}
