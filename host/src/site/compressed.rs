//! Files compressed on the fly: once for each version and coding, and remembered.

use std::io::{self, Write};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::encodings::Coding;
use super::read::read_beside;
use super::validators::EntityTag;
use crate::cache;
use crate::disk::{self, OpenFile};

/// Smaller files are not compressed: with their head they fill one packet, however
/// small they become.
const MIN_BYTES: u64 = 1 << 10;

/// Larger files are not compressed: it would take longer than a client should
/// wait. They are for siblings, made ahead with the best that a tool can do.
const MAX_BYTES: u64 = 4 << 20;

/// Bytes of compressed files that are remembered. The text of a large site.
const MEMORY_BYTES: u64 = 32 << 20;

/// What an entry of a usual site takes in all.
const USUAL_ENTRY_BYTES: u64 = 16 << 10;

/// What a remembered file takes besides its content.
const ENTRY_OVERHEAD: u64 = 200;

/// Files that are compressed at a time, for the whole server: a flood of requests
/// for new ones leaves the workers room. The others are sent as they are.
const AT_A_TIME: usize = 2;

/// Bytes that must be there to be had before a file is compressed. An encoder takes some
/// (brotli 3 MiB), and ends the process when it gets none; what is optional must not. More
/// than 32 MiB, as the C library then asks the kernel, and gives them back to it.
const SPARE_BYTES: usize = 40 << 20;

/// Levels at which compressing costs about as much as sending (a few ms a megabyte)
/// and most of the gain is there.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW: i32 = 20;
const ZSTANDARD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;

/// Compresses files and remembers them.
pub(super) struct Compressor {
    memory: Cache<(EntityTag, Coding), Option<Arc<[u8]>>, Weigh>,
    permits: Semaphore,
}

impl Compressor {
    pub(super) fn new() -> Compressor {
        Compressor {
            memory: cache::unsharded(MEMORY_BYTES, USUAL_ENTRY_BYTES, Weigh),
            permits: Semaphore::new(AT_A_TIME),
        }
    }

    /// The content of this version of a file in this coding. `None` if it is not
    /// worth it, or if others are being compressed: then the file is sent as it is.
    pub(super) async fn compress(
        &self,
        file: &Arc<OpenFile>,
        tag: EntityTag,
        length: u64,
        coding: Coding,
    ) -> Option<Arc<[u8]>> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&length) {
            return None;
        }
        if let Some(remembered) = self.memory.get(&(tag, coding)) {
            return remembered;
        }
        if self.permits.available_permits() == 0 {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        // A disk that gives no answer keeps nobody else's file from being compressed.
        let content = match read_beside(file, 0, length).await {
            Ok(content) if content.len() == length => content,
            Ok(_) => return None,
            Err(error) => {
                tracing::warn!("cannot compress a file: {error}; it is sent as it is");
                return None;
            }
        };
        let _permit = self.permits.try_acquire().ok()?;
        let compress = move || match has_room(SPARE_BYTES) {
            true => encode(&content, coding),
            false => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
        };
        let encoded = match disk::compute(compress).await {
            Ok(Ok(encoded)) => encoded,
            Ok(Err(error)) => {
                tracing::warn!("cannot compress a file: {error}; it is sent as it is");
                return None;
            }
            Err(why) => {
                tracing::error!("compressing a file failed: {why}; it is sent as it is");
                return None;
            }
        };
        // What does not become smaller is remembered too, as such.
        let worth_it = (encoded.len() < length).then(|| encoded.into());
        self.memory.insert((tag, coding), worth_it.clone());
        worth_it
    }
}

/// Whether so many bytes of memory could be had now.
fn has_room(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let has_room = room.try_reserve_exact(bytes).is_ok();
    // Or what is never used is never asked for.
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

#[derive(Clone)]
struct Weigh;

impl Weighter<(EntityTag, Coding), Option<Arc<[u8]>>> for Weigh {
    fn weight(&self, _key: &(EntityTag, Coding), content: &Option<Arc<[u8]>>) -> u64 {
        ENTRY_OVERHEAD + content.as_ref().map_or(0, |content| content.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::{Coding, Compressor, EntityTag, MAX_BYTES, encode};
    use std::io::Read;
    use std::sync::Arc;

    /// It was not, on machines with many cores, where it had many shards.
    #[test]
    fn the_largest_is_remembered() {
        let compressor = Compressor::new();
        let content: Arc<[u8]> = vec![0; usize::try_from(MAX_BYTES).expect("a size")].into();
        for coding in [Coding::Brotli, Coding::Gzip] {
            compressor.memory.insert((EntityTag::default(), coding), Some(Arc::clone(&content)));
        }
        for coding in [Coding::Brotli, Coding::Gzip] {
            assert!(compressor.memory.get(&(EntityTag::default(), coding)).is_some(), "{coding:?}");
        }
    }

    #[test]
    fn what_is_encoded_can_be_decoded() {
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
