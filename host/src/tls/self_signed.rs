//! A certificate for development, which the server makes and signs with its own key. It is kept
//! for the next start, so that a browser has to be told once that it is trusted.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustix::process::geteuid;

use super::certificates::leaf::Lifetime;
use super::certificates::{Pair, PairFiles};

/// How long it is valid. Browsers take no longer ones of public authorities (398 days).
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long before now it begins to be valid: clocks of clients differ.
const EARLIER: Duration = Duration::from_secs(24 * 60 * 60);

/// What those of this machine alone are for.
const LOCAL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Why there is no certificate.
#[derive(Debug)]
pub enum SelfSignedError {
    /// It cannot be made.
    Generation(rcgen::Error),
    /// It cannot be kept in this file.
    File(PathBuf, io::Error),
}

impl fmt::Display for SelfSignedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelfSignedError::Generation(error) => {
                write!(f, "cannot make a certificate (--self-signed): {error}")
            }
            SelfSignedError::File(path, error) => write!(
                f,
                "cannot keep the certificate (--self-signed) in {}: {error}; name a directory with \
                 --code-cache",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SelfSignedError {}

/// A certificate for `localhost` and these addresses, which is kept in a directory.
pub struct SelfSigned {
    /// Addresses beside those of this machine alone.
    addresses: Vec<IpAddr>,
    file: PathBuf,
}

impl SelfSigned {
    /// For a server that listens at these addresses.
    pub fn new(directory: &Path, listening: impl IntoIterator<Item = IpAddr>) -> SelfSigned {
        let is_other = |address: &IpAddr| !address.is_unspecified() && !LOCAL.contains(address);
        let mut addresses: Vec<_> = listening.into_iter().filter(is_other).collect();
        addresses.sort();
        addresses.dedup();
        // Servers at other addresses have certificates of their own.
        let mut name = "self-signed".to_owned();
        for address in &addresses {
            name.push_str(&format!("-{address}").replace(':', "_"));
        }
        SelfSigned { addresses, file: directory.join(name + ".pem") }
    }

    /// The names that it is for.
    pub fn names(&self) -> Vec<String> {
        let addresses = LOCAL.iter().chain(&self.addresses).map(ToString::to_string);
        std::iter::once("localhost".to_owned()).chain(addresses).collect()
    }

    /// The file that it is kept in, with its key.
    pub fn files(&self) -> PairFiles {
        PairFiles { certificate: self.file.clone(), key: None }
    }

    /// The one of an earlier start, if it can be used for some time still.
    pub fn kept(&self) -> Option<Pair> {
        // Who may write to the directory must not choose the key: a link leads to another's file.
        let is_ours = fs::symlink_metadata(&self.file).is_ok_and(|data| {
            data.is_file() && data.uid() == geteuid().as_raw() && data.mode() & 0o077 == 0
        });
        let pair = is_ours.then(|| Pair::load(&self.files()).ok()).flatten()?;
        let names: Vec<_> = pair.leaf.names.iter().map(ToString::to_string).collect();
        let is_fresh = matches!(pair.leaf.lifetime(SystemTime::now()), Lifetime::Valid(_));
        (is_fresh && names == self.names()).then_some(pair)
    }

    /// Makes it, unless there is one of an earlier start.
    pub fn make(&self) -> Result<PairFiles, SelfSignedError> {
        if self.kept().is_none() {
            let pem = self.generate().map_err(SelfSignedError::Generation)?;
            let error = |error| SelfSignedError::File(self.file.clone(), error);
            self.keep(pem.as_bytes()).map_err(error)?;
        }
        Ok(self.files())
    }

    /// A certificate and its key, as PEM.
    fn generate(&self) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::new(self.names())?;
        let now = SystemTime::now();
        params.not_before = (now - EARLIER).into();
        params.not_after = (now + LIFETIME).into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "innkeeper, self-signed");
        // One that may sign others would be a danger to who trusts it.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(certificate.pem() + &key.serialize_pem())
    }

    /// Writes the file, which is whole whenever it has its name, and is for this user alone.
    fn keep(&self, pem: &[u8]) -> io::Result<()> {
        let random = RandomState::new().hash_one(std::process::id());
        let unfinished = self.file.with_extension(format!("{random:016x}"));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = write(file, pem).and_then(|()| fs::rename(&unfinished, &self.file));
        if written.is_err() {
            // Without it there is nothing to clear away.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::SelfSigned;
    use std::fs::{self, Permissions};
    use std::net::IpAddr;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    fn of(folder: &tempfile::TempDir, addresses: &[&str]) -> SelfSigned {
        let address = |text: &&str| text.parse::<IpAddr>().expect("an address");
        SelfSigned::new(folder.path(), addresses.iter().map(address))
    }

    #[test]
    fn names_are_localhost_and_addresses_that_are_listened_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = |addresses: &[&str]| of(&folder, addresses).names().join(" ");
        assert_eq!(names(&["0.0.0.0", "127.0.0.1", "::"]), "localhost 127.0.0.1 ::1");
        let other = ["192.0.2.1", "::1", "192.0.2.1", "2001:db8::1"];
        assert_eq!(names(&other), "localhost 127.0.0.1 ::1 192.0.2.1 2001:db8::1");
        let file = of(&folder, &other).files().certificate;
        assert!(file.ends_with("self-signed-192.0.2.1-2001_db8__1.pem"), "{file:?}");
    }

    #[test]
    fn certificate_is_kept_for_the_next_start_and_for_its_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = of(&folder, &["127.0.0.1"]);
        assert!(one.kept().is_none());
        let file = one.make().expect("made").certificate;
        let first = fs::read(&file).expect("a file");
        assert_eq!(fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
        let kept = one.kept().expect("kept");
        assert!(kept.leaf.fingerprint_hex().len() == 64 && one.names().len() == 3);
        one.make().expect("kept");
        assert_eq!(fs::read(&file).expect("a file"), first);
        // One that others may have read is made again, and so is one that is damaged.
        fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("permissions");
        one.make().expect("made again");
        let second = fs::read(&file).expect("a file");
        assert_ne!(second, first);
        fs::write(&file, &second[..100]).expect("written");
        one.make().expect("made again");
        assert_ne!(fs::read(&file).expect("a file"), second);
        // So is one that is elsewhere, or another user's.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let other = elsewhere.path().join("a.pem");
        fs::rename(&file, &other).expect("moved");
        symlink(&other, &file).expect("a link");
        assert!(one.kept().is_none());
        one.make().expect("made again");
        assert!(fs::symlink_metadata(&file).expect("metadata").is_file() && other.exists());
        // Only root can give files away.
        if chown(&file, Some(65534), None).is_ok() {
            assert!(one.kept().is_none());
            one.make().expect("made again");
            assert_ne!(fs::metadata(&file).expect("metadata").uid(), 65534);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let nowhere = SelfSigned::new(&folder.path().join("none"), []).make();
        let error = nowhere.expect_err("no folder").to_string();
        assert!(error.contains("No such file") && error.contains("--code-cache"), "{error}");
    }
}
