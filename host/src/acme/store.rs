//! The folder of the fetcher: all that it knows is in it, and is whole whenever it is killed.
//!
//! ```text
//! account-HASH.json     the account at the authority whose directory has this hash
//! NAME -> .NAME.N       a link, replaced in one step, to a folder with
//!   fullchain.pem         the certificate and what is behind it
//!   privkey.pem           its key
//! NAME.json             what is known of the name: failures, the pause, the order in progress
//! NAME.key              the key of that order
//! challenges/TOKEN      what proves a name while it is ordered: for each server of this folder
//! lock                  who orders
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::name::Name;
use super::protocol::{Answer, Sought, Trouble};
use super::schedule::Window;
use crate::tls::certificates::{CertificateError, Pair, PairFiles};

/// Bytes of a file that is read.
const FILE_BYTES: u64 = 1 << 20;

/// Challenges that are looked through for one name.
const CHALLENGES: usize = 1_000;

/// A challenge that is older was left by a fetcher that was killed.
const STALE_CHALLENGE: Duration = Duration::from_secs(24 * 3600);

/// Characters of a token (RFC 8555, section 8.1, wants 22 at least).
const MAX_TOKEN: usize = 200;

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The directory of the authority that all of this is about.
    pub directory: String,
    /// The directory that the certificate is of.
    pub issued_by: String,
    /// Attempts that failed, one after the other.
    pub failures: u32,
    /// No attempt before this time, in seconds since 1970.
    pub pause_until: u64,
    /// Whether the authority said so.
    pub is_told: bool,
    /// Why the last one failed.
    pub error: Option<Trouble>,
    /// The URL of the order in progress.
    pub order: Option<String>,
    /// The window that the authority suggests for the renewal.
    pub window: Option<Window>,
    /// When it is asked for that again, in seconds since 1970.
    pub ask_window_at: u64,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, and makes it if it is not there, for this user alone.
    pub fn open(path: &Path) -> io::Result<Folder> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let folder = Folder(path.to_owned());
        DirBuilder::new().recursive(true).mode(0o700).create(folder.challenges())?;
        // What cannot be written is found out now, and not when a certificate has expired.
        folder.write(&folder.0.join(".probe"), b"")?;
        fs::remove_file(folder.0.join(".probe"))?;
        Ok(folder)
    }

    /// The folder, which is there.
    pub fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the certificate for a name is, or will be.
    pub fn files(&self, name: &Name) -> PairFiles {
        let folder = self.0.join(name.as_str());
        pair_in(&folder)
    }

    /// The certificate for a name, if there is one that can be used.
    pub fn certificate(&self, name: &Name) -> Result<Pair, CertificateError> {
        Pair::load(&self.files(name))
    }

    /// The PEM of that.
    pub fn chain(&self, name: &Name) -> io::Result<String> {
        read_text(&self.files(name).certificate)
    }

    /// What is known of a name. What makes no sense is forgotten.
    pub fn record(&self, name: &Name) -> Record {
        read_json(&self.0.join(format!("{name}.json"))).unwrap_or_default()
    }

    /// Keeps that.
    pub fn keep_record(&self, name: &Name, record: &Record) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(record)?;
        self.write(&self.0.join(format!("{name}.json")), &json)
    }

    /// The account at an authority, if it has one.
    pub fn account<T: DeserializeOwned>(&self, directory: &str) -> Option<T> {
        read_json(&self.account_file(directory))
    }

    /// Keeps that.
    pub fn keep_account(&self, directory: &str, account: &impl Serialize) -> io::Result<()> {
        self.write(&self.account_file(directory), &serde_json::to_vec(account)?)
    }

    /// Forgets it: the authority does not know it any more.
    pub fn forget_account(&self, directory: &str) -> io::Result<()> {
        fs::remove_file(self.account_file(directory))
    }

    fn account_file(&self, directory: &str) -> PathBuf {
        let hash = Sha256::digest(directory);
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(format!("account-{hash}.json"))
    }

    /// The key of the order in progress.
    pub fn order_key(&self, name: &Name) -> Option<String> {
        read_text(&self.0.join(format!("{name}.key"))).ok()
    }

    /// Keeps that.
    pub fn keep_order_key(&self, name: &Name, pem: &str) -> io::Result<()> {
        self.write(&self.0.join(format!("{name}.key")), pem.as_bytes())
    }

    /// Forgets it.
    pub fn forget_order_key(&self, name: &Name) {
        // Without it there is nothing to forget.
        let _ = fs::remove_file(self.0.join(format!("{name}.key")));
    }

    /// Puts a certificate and its key in the place of those before, in one step, if they fit.
    pub fn install(&self, name: &Name, chain: &str, key: &str) -> Result<Pair, InstallError> {
        let link = self.0.join(name.as_str());
        let before = fs::read_link(&link).ok();
        let number = before.as_deref().and_then(Path::to_str).and_then(|target| {
            target.rsplit_once('.').and_then(|(_, number)| number.parse::<u64>().ok())
        });
        let target = format!(".{name}.{}", number.unwrap_or(0) + 1);
        let folder = self.0.join(&target);
        // One that was left by a fetcher that was killed.
        let _ = fs::remove_dir_all(&folder);
        let files = pair_in(&folder);
        let written = DirBuilder::new().mode(0o700).create(&folder).and_then(|()| {
            self.write(&files.certificate, chain.as_bytes())?;
            self.write(&folder.join("privkey.pem"), key.as_bytes())
        });
        let outcome = written.map_err(InstallError::Io).and_then(|()| {
            let pair = Pair::load(&files).map_err(InstallError::Certificate)?;
            let unfinished = self.0.join(format!(".{name}.link"));
            let _ = fs::remove_file(&unfinished);
            let linked =
                symlink(&target, &unfinished).and_then(|()| match fs::rename(&unfinished, &link) {
                    // A folder of certbot's kind, with the files in it: it gives way.
                    Err(error) if link.is_dir() && before.is_none() => {
                        fs::rename(&link, self.0.join(format!(".{name}.before")))
                            .map_err(|_| error)?;
                        fs::rename(&unfinished, &link)
                    }
                    renamed => renamed,
                });
            linked.and_then(|()| sync(&self.0)).map_err(InstallError::Io)?;
            Ok(pair)
        });
        match &outcome {
            Ok(_) => {
                if let Some(before) = before
                    .filter(|before| before.starts_with(format!(".{name}.{}", number.unwrap_or(0))))
                {
                    // It serves no more once the server has read the new one, which it does by
                    // whole files.
                    let _ = fs::remove_dir_all(self.0.join(before));
                }
            }
            Err(_) => {
                let _ = fs::remove_dir_all(&folder);
            }
        }
        outcome
    }

    /// Has a challenge be answered.
    pub fn put_challenge(&self, token: &str, answer: &Answer) -> io::Result<()> {
        self.clear_challenges();
        self.write(&self.challenges().join(token), &serde_json::to_vec(answer)?)
    }

    /// Has it not be answered any more.
    pub fn remove_challenge(&self, token: &str) {
        // Without it there is nothing to remove.
        let _ = fs::remove_file(self.challenges().join(token));
    }

    /// What proves what a client asks for.
    pub fn find_challenge(&self, sought: &Sought) -> Option<Answer> {
        match sought {
            Sought::Token(token) => {
                is_token(token).then(|| read_json(&self.challenges().join(token)))?
            }
            Sought::Name(name) => {
                let entries = fs::read_dir(self.challenges()).ok()?.take(CHALLENGES).flatten();
                let answers = entries.filter_map(|entry| {
                    let answer: Answer = read_json(&entry.path())?;
                    let modified = entry.metadata().ok()?.modified().ok()?;
                    (answer.name == *name).then_some((modified, answer))
                });
                answers.max_by_key(|(modified, _)| *modified).map(|(_, answer)| answer)
            }
        }
    }

    fn clear_challenges(&self) {
        let Ok(entries) = fs::read_dir(self.challenges()) else { return };
        for entry in entries.flatten().take(CHALLENGES) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age > STALE_CHALLENGE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn challenges(&self) -> PathBuf {
        self.0.join("challenges")
    }

    /// Writes a file, which is whole whenever it has its name, and is for this user alone.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let unfinished = path.with_file_name(format!(
            ".{}.{}.unfinished",
            path.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        let _ = fs::remove_file(&unfinished);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&unfinished);
        let written = opened.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            path.parent().map_or(Ok(()), sync)
        });
        if written.is_err() {
            // Without it there is nothing to clear away.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

/// Why a certificate is not put in place.
#[derive(Debug)]
pub enum InstallError {
    /// It cannot be written.
    Io(io::Error),
    /// It cannot be used.
    Certificate(CertificateError),
}

/// Whether this can be a token: it becomes the name of a file (RFC 8555, section 8.1).
pub fn is_token(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(is_byte)
}

/// Has the names in a folder survive a crash of the machine.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn read_text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if metadata.len() > FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read_to_string(path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&read_text(path).ok()?).ok()
}

/// A certificate and its key in a folder, as certbot names them.
fn pair_in(folder: &Path) -> PairFiles {
    let key = Some(folder.join("privkey.pem"));
    PairFiles { certificate: folder.join("fullchain.pem"), key }
}
