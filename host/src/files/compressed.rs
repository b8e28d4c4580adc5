//! Files compressed on the fly: once for each version and coding, and cached. Also listings, which
//! are kept elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use super::encodings::Coding;
use super::read::read_beside;
use super::validators::EntityTag;
use crate::cache::shared::SharedCache;
use crate::disk::{self, OpenFile, Owner, owner};
use crate::in_flight::{InFlight, SharedBytes, WeakBytes};
use crate::lock::lock;
use crate::throttle::Throttle;

/// Smaller files are not compressed: with their head they fill one packet, however
/// small they become.
const MIN_BYTES: u64 = 1 << 10;

/// Larger files are not compressed: it would take longer than a client should
/// wait. They are for siblings, made ahead with the best that a tool can do.
const MAX_BYTES: u64 = 4 << 20;

/// Bytes of compressed files that are cached, by default. The text of a large site.
pub(super) const COMPRESSED_CACHE_BYTES: u64 = 32 << 20;

/// Bytes of a usual entry.
const USUAL_ENTRY_BYTES: u64 = 16 << 10;

/// Bytes of an entry besides its content.
const ENTRY_OVERHEAD: u64 = 200;

/// Files that are compressed at a time, for the whole server: a flood of requests for new files
/// leaves the workers room. The others are sent uncompressed. Where there are several roots, one has
/// not all of them.
pub const COMPRESSIONS: usize = 2;

/// Bytes of memory that must be free before a file is compressed. An encoder takes some (brotli
/// 3 MiB), and ends the process if it gets none; an option must not do that. More than 32 MiB: the
/// C library then asks the kernel, and returns them to it.
pub const COMPRESSION_BYTES: usize = 40 << 20;

/// Levels at which compressing costs about as much as sending (a few ms a megabyte)
/// and most of the gain is there.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW: i32 = 20;
const ZSTANDARD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;

/// Compresses files and caches them.
pub(super) struct Compressor {
    memory: SharedCache<(EntityTag, Coding), Option<SharedBytes>>,
    /// Those in use by a response, also if they are cached no longer.
    sent: Mutex<Sent>,
    running: Mutex<Vec<Owner>>,
}

impl Compressor {
    pub(super) fn new(bytes: u64) -> Compressor {
        Compressor {
            memory: SharedCache::new(bytes, USUAL_ENTRY_BYTES, weigh),
            sent: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// The content of this version of a file in this coding. `None` if it is not smaller, if too many
    /// files are being compressed, or if too much memory is in flight: then the file is sent
    /// uncompressed.
    pub(super) async fn compress(
        &self,
        file: &Arc<OpenFile>,
        tag: EntityTag,
        length: u64,
        coding: Coding,
        in_flight: &InFlight,
    ) -> Option<SharedBytes> {
        if !is_worth_it(length) {
            return None;
        }
        if let Some(cached) = self.memory.get(&(tag, coding)) {
            return cached;
        }
        let owner = file.place().owner;
        if let Some(sent) = self.sent().recall(&(tag, coding)) {
            self.memory.insert(owner.number(), (tag, coding), Some(sent.clone()));
            return Some(sent);
        }
        if in_flight.is_full() {
            return None;
        }
        if !has_place(&lock(&self.running), owner, owner::are_several()) {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        // The place is taken later: a disk that does not respond must not keep it.
        let content = match read_beside(file, 0, length).await {
            Ok(content) if content.len() == length => content,
            Ok(_) => return None,
            Err(error) => {
                log_failure(&error);
                return None;
            }
        };
        let encoded = self.encode_beside(content, owner, coding).await?;
        // A file that does not become smaller is cached too, as `None`.
        let worth_it = (encoded.len() < length).then(|| SharedBytes::from(encoded));
        // Another worker may have been faster.
        let worth_it = worth_it.map(|encoded| self.sent().note((tag, coding), encoded));
        self.memory.insert(owner.number(), (tag, coding), worth_it.clone());
        worth_it
    }

    /// A text that was made, in this coding. `None` if it is too small or too large, does not become
    /// smaller, or if too much is being compressed.
    pub(super) async fn compress_text(
        &self,
        text: &SharedBytes,
        owner: Owner,
        coding: Coding,
    ) -> Option<SharedBytes> {
        if !is_worth_it(text.len() as u64) {
            return None;
        }
        let encoded = self.encode_beside(text.clone(), owner, coding).await?;
        (encoded.len() < text.len()).then(|| SharedBytes::one_copy_of(encoded))
    }

    /// Compresses on a thread that gives way to workers. `None` if there is no place for it, or if it
    /// fails, which is logged.
    async fn encode_beside<C>(&self, content: C, owner: Owner, coding: Coding) -> Option<Vec<u8>>
    where
        C: Deref<Target = [u8]> + Send + 'static,
    {
        let _running = Running::begin(&self.running, owner)?;
        let compress = move || match has_room(COMPRESSION_BYTES) {
            true => encode(&content, coding),
            false => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
        };
        match disk::compute(owner, compress).await {
            Ok(Ok(encoded)) => Some(encoded),
            Ok(Err(error)) => {
                log_failure(&error);
                None
            }
            Err(error) => {
                log_failure(&error);
                None
            }
        }
    }
}

/// Whether this many bytes are compressed on the fly.
pub(super) fn is_worth_it(length: u64) -> bool {
    (MIN_BYTES..=MAX_BYTES).contains(&length)
}

/// Whether one more file of this owner may be compressed beside those of the others.
fn has_place(running: &[Owner], owner: Owner, are_several: bool) -> bool {
    let own = running.iter().filter(|&&other| other == owner).count();
    running.len() < COMPRESSIONS && (!are_several || own < owner::share_of(COMPRESSIONS))
}

/// A file that is being compressed, until this is dropped.
struct Running<'a>(&'a Mutex<Vec<Owner>>, Owner);

impl Running<'_> {
    /// `None` if there is no place for it.
    fn begin(all: &Mutex<Vec<Owner>>, owner: Owner) -> Option<Running<'_>> {
        let mut running = lock(all);
        let has_place = has_place(&running, owner, owner::are_several());
        has_place.then(|| {
            running.push(owner);
            Running(all, owner)
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = lock(self.0);
        if let Some(own) = running.iter().position(|&owner| owner == self.1) {
            running.swap_remove(own);
        }
    }
}

impl Compressor {
    fn sent(&self) -> MutexGuard<'_, Sent> {
        // Each change of it is one step: a panic leaves it whole.
        lock(&self.sent)
    }
}

/// Compressed files in use, by a response or by the cache. One that is evicted while it is sent is
/// not compressed twice.
#[derive(Default)]
struct Sent {
    contents: HashMap<(EntityTag, Coding), WeakBytes>,
    /// From this number of entries on, those that are no longer in use are looked for.
    tidy_at: usize,
}

/// Entries of [`Sent`] that are never looked through.
const FEW_SENT: usize = 64;

impl Sent {
    fn recall(&self, key: &(EntityTag, Coding)) -> Option<SharedBytes> {
        self.contents.get(key).and_then(WeakBytes::upgrade)
    }

    /// Adds this content, or returns an equal one.
    fn note(&mut self, key: (EntityTag, Coding), content: SharedBytes) -> SharedBytes {
        if let Some(there) = self.recall(&key) {
            return there;
        }
        self.contents.insert(key, content.downgrade());
        if self.contents.len() > self.tidy_at.max(FEW_SENT) {
            self.contents.retain(|_, content| !content.is_gone());
            self.tidy_at = 2 * self.contents.len();
        }
        content
    }
}

/// Whether this many bytes of memory are free now.
fn has_room(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let has_room = room.try_reserve_exact(bytes).is_ok();
    // The compiler must not remove the allocation.
    std::hint::black_box(room.as_ptr());
    has_room
}

/// Compresses bytes.
fn encode(content: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Brotli => {
            let mut encoded = Vec::with_capacity(content.len() / 3);
            let parameters = brotli::enc::BrotliEncoderParams {
                quality: BROTLI_QUALITY,
                lgwin: BROTLI_WINDOW,
                size_hint: content.len(),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &content[..], &mut encoded, &parameters)?;
            Ok(encoded)
        }
        Coding::Zstandard => zstd::bulk::compress(content, ZSTANDARD_LEVEL),
        Coding::Gzip => {
            let encoded = Vec::with_capacity(content.len() / 3);
            let level = flate2::Compression::new(GZIP_LEVEL);
            let mut encoder = flate2::write::GzEncoder::new(encoded, level);
            encoder.write_all(content)?;
            encoder.finish()
        }
    }
}

fn weigh(_: &(EntityTag, Coding), content: &Option<SharedBytes>) -> u64 {
    ENTRY_OVERHEAD + content.as_ref().map_or(0, |content| content.len() as u64)
}

/// As many as there are requests, while there is no memory or a disk fails.
fn log_failure(error: &dyn fmt::Display) {
    static THROTTLE: Throttle = Throttle::new();
    THROTTLE.log(|suppressed| {
        tracing::warn!(%error, suppressed, "cannot compress file, it is sent as it is");
    });
}

#[cfg(test)]
mod tests {
    use super::{
        COMPRESSED_CACHE_BYTES, Coding, Compressor, EntityTag, FEW_SENT, MAX_BYTES, Sent,
        SharedBytes, encode, has_place,
    };
    use crate::disk::owner::Registered;
    use crate::files::validators::{Validators, Version};
    use std::io::Read;
    use std::time::SystemTime;

    /// It was not, on machines with many cores, where it had many shards.
    #[test]
    fn largest_compressed_file_is_cached() {
        let compressor = Compressor::new(COMPRESSED_CACHE_BYTES);
        let content = SharedBytes::from(vec![0; usize::try_from(MAX_BYTES).expect("a size")]);
        for coding in [Coding::Brotli, Coding::Gzip] {
            compressor.memory.insert(0, (EntityTag::default(), coding), Some(content.clone()));
        }
        for coding in [Coding::Brotli, Coding::Gzip] {
            assert!(compressor.memory.get(&(EntityTag::default(), coding)).is_some(), "{coding:?}");
        }
    }

    #[test]
    fn compressed_file_is_shared_while_it_is_sent() {
        let mut sent = Sent::default();
        let key = (EntityTag::default(), Coding::Gzip);
        let one = sent.note(key, vec![1].into());
        let same = sent.note(key, vec![1].into());
        assert!(one.is_same(&same) && sent.recall(&key).is_some_and(|there| there.is_same(&one)));
        drop((one, same));
        assert!(sent.recall(&key).is_none());
        let version = |inode| Version { inode, ..Version::default() };
        let tag = |inode| Validators::of(version(inode), SystemTime::now()).tag.expect("a tag");
        for inode in 0..10_000 {
            sent.note((tag(inode), Coding::Gzip), vec![1].into());
            assert!(sent.contents.len() <= 2 * FEW_SENT, "{inode}: {}", sent.contents.len());
        }
    }

    #[test]
    fn one_root_of_several_leaves_others_a_place() {
        let (one, other) = (Registered::new(), Registered::new());
        let (one, other) = (one.owner(), other.owner());
        for (running, are_several, expected) in [
            (&[][..], true, true),
            (&[one], true, false),
            (&[one], false, true),
            (&[other], true, true),
            (&[one, other], false, false),
        ] {
            assert_eq!(has_place(running, one, are_several), expected, "{running:?}");
        }
    }

    #[test]
    fn encoded_content_decodes_to_the_original() {
        let content = include_bytes!("compressed.rs");
        for coding in [Coding::Brotli, Coding::Zstandard, Coding::Gzip] {
            let encoded = encode(content, coding).expect("encoded");
            assert!(encoded.len() < content.len() / 2, "{coding:?}: {} bytes", encoded.len());
            let mut decoded = Vec::new();
            match coding {
                Coding::Brotli => {
                    brotli::BrotliDecompress(&mut &encoded[..], &mut decoded).expect("decoded");
                }
                Coding::Zstandard => {
                    decoded = zstd::bulk::decompress(&encoded, content.len()).expect("decoded");
                }
                Coding::Gzip => {
                    let mut decoder = flate2::read::GzDecoder::new(&encoded[..]);
                    decoder.read_to_end(&mut decoded).expect("decoded");
                }
            }
            assert!(decoded == content, "{coding:?}");
        }
    }
}
