//! Holds small files in memory: they are read once for many responses.

use std::sync::Arc;

use super::content::Content;
use super::found::Lookup;
use super::open::version;
use super::read::read;
use crate::in_flight::InFlight;

/// Up to this many bytes of a file are read into memory and sent in one system call together with
/// the head. More go from the page cache to the socket without a copy.
pub const SMALL_BYTES: u64 = 32 << 10;

/// Reads a small file into memory, unless it changes meanwhile or something else holds it too.
pub(super) async fn preload(mut found: Lookup, in_flight: &InFlight) -> Lookup {
    let content = match &found {
        Lookup::File(file) if file.length <= SMALL_BYTES && found.is_settled() => {
            let Content::File(handle) = &file.content else { return found };
            if in_flight.is_full() {
                return found;
            }
            let length = usize::try_from(file.length).unwrap_or(usize::MAX);
            match read(handle, 0, length).await {
                Ok(content) if content.len() == length && is_unchanged(&found).await => content,
                _ => return found,
            }
        }
        _ => return found,
    };
    if let Lookup::File(file) = &mut found
        && let Some(file) = Arc::get_mut(file)
    {
        file.content = Content::Memory(content.into());
    }
    found
}

/// Whether an open file still has the version that it was found with: it may have been rewritten
/// in place.
pub(super) async fn is_unchanged(found: &Lookup) -> bool {
    match found {
        Lookup::File(found) => match (&found.content, found.validators.tag) {
            (Content::File(file), Some(tag)) => {
                Box::pin(version(file)).await.is_some_and(|version| tag.is_of(version))
            }
            _ => true,
        },
        _ => true,
    }
}
