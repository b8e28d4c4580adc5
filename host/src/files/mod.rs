//! Files beneath one root directory: opened safely, described, and kept for a moment.
//!
//! In the order in which a request meets them:
//!
//! - [`lookup`]: finds the file, index page or listing that a path names.
//! - [`Caches`]: what all roots of a process share; `root_id`: the numbers of roots in them.
//! - `open_file_cache`: recent lookups of a busy worker; `lookup_rate`: whether it is busy.
//! - `open`: opens a path without a worker waiting for a disk; [`beneath`]: never outside the
//!   root; `resolver`: in one kernel operation, or name by name; `walk`: where that does not show
//!   enough; `mounts`: the mounts that were met.
//! - `siblings`: ready-made forms of a file beside it; `compressed`: files compressed on the fly;
//!   [`encodings`]: which form a client prefers.
//! - `media_type`: the type of a file's content, by its name; `own_types`: the operator's; [`cache_control`]: how long
//!   clients may use it without revalidation; `cache_directives`: what caches understand of that.
//! - [`validators`]: of a version of a file; `dates`: which version had a date first;
//!   [`conditions`]: whether the client has this version already; [`ranges`]: which bytes it
//!   wants.
//! - `listing`: the entries of a directory; `natural_order`: that of their names; `listing_text`: as
//!   a page ([`listing_page`]) or as JSON, in the [`arrangement`] that is asked for; `listings`: those that are made.
//! - `preload`: holds small files in memory; [`mod@read`]: reads a part of a file.
//! - `options`, `found`, [`content`], [`kept_fields`]: the settings of a root, and what is found
//!   beneath it.
//! - `root_reader`: reads small files beneath it, for rules; `hidden`: these are never served, nor are
//!   `own_files`, which the server itself uses; `hiding`: in all roots alike.
//! - [`RootPath`]: which directory is the root now; `directory_id`: what tells one from another.

pub mod arrangement;
// Public for `host/fuzz`, which holds it against a reference; everyone else goes by `Files`.
#[doc(hidden)]
pub mod beneath;
pub mod cache_control;
mod cache_directives;
mod caches;
mod compressed;
pub mod conditions;
pub mod content;
mod dates;
mod directory_id;
pub mod encodings;
mod found;
mod hidden;
mod hiding;
pub mod kept_fields;
mod listing;
pub mod listing_page;
mod listing_text;
mod listings;
pub mod lookup;
mod lookup_rate;
mod media_type;
mod mounts;
mod natural_order;
mod open;
mod open_file_cache;
mod options;
mod own_files;
mod own_types;
mod preload;
pub mod ranges;
mod read;
mod resolver;
mod root_id;
mod root_path;
mod root_reader;
mod siblings;
pub mod validators;
mod walk;

pub use caches::{CacheSizes, Caches};
pub use compressed::{COMPRESSION_BYTES, COMPRESSIONS};
pub use content::Content;
pub use directory_id::DirectoryId;
pub use found::{FoundFile, Lookup, PassedOver, Recency, SystemError};
pub use kept_fields::{KEPT_FIELDS_BYTES, KeptFields};
pub use listings::{ListingForm, MadeListing};
pub use lookup::{Files, INDEX_NAMES};
pub use media_type::MediaType;
pub use open_file_cache::OPEN_FILES;
pub use options::{Links, Options, Resolver};
pub use own_files::{OwnFile, OwnFiles, paths_below, root_paths};
pub use own_types::{NoType, OwnType};
pub use preload::SMALL_BYTES;
pub use read::read;
pub use root_path::RootPath;
pub use root_reader::RootReader;
