//! What is kept of one authority: the account there, and what is known of each name that it is
//! asked for. Servers of one folder with other authorities have their own.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::name::Name;
use super::protocol::OrderError;
use super::schedule::Window;
use super::store::{Folder, read_private};
use crate::tls::certificates::leaf::hex;

/// What is known of a name. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The authority's directory: its file is called by a hash of this.
    pub(super) directory: String,
    /// Attempts that failed, one after the other.
    pub(super) failures: u32,
    /// No attempt before this time.
    pub(super) pause_until: u64,
    /// Whether the authority said so.
    pub(super) is_retry_after: bool,
    /// When a command cut such a pause short.
    pub(super) pause_cut_at: u64,
    /// Why the last attempt failed.
    pub(super) error: Option<OrderError>,
    /// The URL of the order in progress.
    pub(super) order: Option<String>,
    /// When the certificate was obtained, if one was.
    pub(super) obtained_at: u64,
    /// The window that the authority suggests for the renewal.
    pub(super) window: Option<Window>,
    /// When it is asked for that again.
    pub(super) ask_window_at: u64,
    /// When it was asked last.
    pub(super) window_asked_at: u64,
    /// When a certificate was replaced early last, as its window has passed.
    pub(super) replaced_early_at: u64,
}

/// The part of the folder that is about one authority.
#[derive(Clone, Debug)]
pub(super) struct OfAuthority {
    pub(super) folder: Folder,
    directory: String,
    pub(super) hash: String,
}

impl OfAuthority {
    /// Of the one with this directory.
    pub(super) fn new(folder: &Folder, directory: &str) -> OfAuthority {
        let hash = hex(&Sha256::digest(directory)[..8]);
        OfAuthority { folder: folder.clone(), directory: directory.to_owned(), hash }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.private().join(&self.hash).join(name)
    }

    /// Where what is known of a name is.
    pub(super) fn record_file(&self, name: &Name) -> PathBuf {
        self.file(&format!("{name}.json"))
    }

    /// What is known of a name. What makes no sense is forgotten, and texts that are too long are
    /// cut.
    pub(super) fn record(&self, name: &Name) -> Record {
        let mut record: Record =
            read_json(&self.record_file(name)).ok().flatten().unwrap_or_default();
        record.error = record.error.map(OrderError::bounded);
        record.directory.clone_from(&self.directory);
        record
    }

    /// Keeps that.
    pub(super) fn keep_record(&self, name: &Name, record: &Record) -> io::Result<()> {
        self.folder.write(&self.record_file(name), &serde_json::to_vec_pretty(record)?)
    }

    /// The account, if there is one.
    pub(super) fn account<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        read_json(&self.file("account"))
    }

    /// Keeps that.
    pub(super) fn keep_account(&self, account: &impl Serialize) -> io::Result<()> {
        self.folder.write(&self.file("account"), &serde_json::to_vec(account)?)
    }

    /// Forgets it: the authority does not know it any more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(self.file("account"))
    }

    /// The key of the order in progress.
    pub(super) fn order_key(&self, name: &Name) -> io::Result<Option<String>> {
        read_private(&self.file(&format!("{name}.key")))
    }

    /// Keeps that.
    pub(super) fn keep_order_key(&self, name: &Name, pem: &str) -> io::Result<()> {
        self.folder.write(&self.file(&format!("{name}.key")), pem.as_bytes())
    }

    /// Forgets it.
    pub(super) fn forget_order_key(&self, name: &Name) {
        // Without it there is nothing to forget.
        let _ = fs::remove_file(self.file(&format!("{name}.key")));
    }
}

/// What a file holds. One that makes no sense holds nothing.
fn read_json<T: DeserializeOwned>(path: &std::path::Path) -> io::Result<Option<T>> {
    Ok(read_private(path)?.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{OfAuthority, OrderError, Record};
    use crate::acme::store::Folder;

    #[test]
    fn authorities_have_records_of_their_own() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let [staging, production] =
            ["https://a/staging", "https://a/"].map(|url| OfAuthority::new(&folder, url));
        let name = "a.example".parse().expect("a name");
        let mut record = staging.record(&name);
        record.failures = 3;
        staging.keep_record(&name, &record).expect("kept");
        staging.keep_order_key(&name, "a key").expect("kept");
        staging.keep_account(&"an account").expect("kept");
        assert_eq!(staging.record(&name).failures, 3);
        assert_eq!(production.record(&name).failures, 0);
        assert_eq!(production.order_key(&name).expect("none"), None);
        assert_eq!(production.account::<String>().expect("none"), None);
        assert_eq!(staging.account::<String>().expect("one").as_deref(), Some("an account"));
    }

    #[test]
    fn record_of_any_content_is_read_with_bounds() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let authority = OfAuthority::new(&folder, "https://a/");
        let name = "a.example".parse().expect("a name");
        let long = OrderError {
            code: "x".repeat(100_000),
            detail: "\u{1b}".repeat(100_000),
            advice: "\n".repeat(100_000),
        };
        let record = Record { error: Some(long), ..Record::default() };
        authority.keep_record(&name, &record).expect("kept");
        let error = authority.record(&name).error.expect("an error");
        assert!(error.code.len() < 200 && error.detail.len() < 3_000, "{error:?}");
        for text in ["", "{", "[]", "{\"failures\": -1}", "\0", &"x".repeat(2 << 20)] {
            folder.write(&authority.record_file(&name), text.as_bytes()).expect("written");
            let record = authority.record(&name);
            assert_eq!((record.failures, record.error), (0, None));
        }
        fs::remove_file(authority.record_file(&name)).expect("removed");
        fs::create_dir(authority.record_file(&name)).expect("a folder");
        assert_eq!(authority.record(&name).failures, 0);
        assert!(authority.keep_record(&name, &Record::default()).is_err());
    }

    #[test]
    fn keys_that_others_may_read_are_errors() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let authority = OfAuthority::new(&folder, "https://a/");
        let name = "a.example".parse().expect("a name");
        authority.keep_order_key(&name, "a key").expect("kept");
        authority.keep_account(&"an account").expect("kept");
        for file in ["account", "a.example.key"] {
            let wide = Permissions::from_mode(0o644);
            fs::set_permissions(authority.file(file), wide).expect("a mode");
        }
        assert!(authority.order_key(&name).is_err());
        assert!(authority.account::<String>().is_err());
    }
}
