//! The certificates of the folder: each whole in a folder of its own, and a link for each name to
//! the one that serves.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, iter};

use instant_acme::CertificateIdentifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::name::Name;
use super::record::OfAuthority;
use super::schedule::Lifetime;
use super::store::{Folder, make, random_name, sync, unfinished_in};
use crate::clock;
use crate::file_watch::{Stamp, stamp_of};
use crate::tls::certificates::leaf::Leaf;
use crate::tls::certificates::{CertificateError, Pair, PairFiles, name::Name as LeafName};

/// How far a clock may be behind that of the authority.
const BEHIND: Duration = Duration::from_secs(300);

/// A certificate of an authority that is in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// How authorities call it (RFC 9773, section 4.1), where it has what that takes.
    pub(super) identifier: Option<String>,
    /// When it is valid.
    pub(super) lifetime: Lifetime,
    /// Where the link leads to if this one serves.
    target: PathBuf,
}

/// Why a certificate is not put in place.
#[derive(Debug)]
pub(super) enum InstallError {
    /// It cannot be written.
    Io(io::Error),
    /// It cannot be used.
    Certificate(CertificateError),
    /// It is for other names than this.
    OtherName(String),
    /// It was valid until this time.
    Expired(SystemTime),
    /// It is valid from this time on.
    NotYetValid(SystemTime),
}

impl From<io::Error> for InstallError {
    fn from(error: io::Error) -> InstallError {
        InstallError::Io(error)
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::Io(error) => error.fmt(f),
            InstallError::Certificate(error) => error.fmt(f),
            InstallError::OtherName(names) => write!(f, "the certificate is for {names}"),
            InstallError::Expired(at) => {
                write!(f, "the certificate expired {}", clock::rfc3339_of(*at))
            }
            InstallError::NotYetValid(at) => {
                write!(f, "the certificate is not valid before {}", clock::rfc3339_of(*at))
            }
        }
    }
}

/// Those of all that is about a name.
pub(super) type Stamps = [Option<Stamp>; 4];

impl Folder {
    /// Where the certificate for a name is, or will be.
    pub fn files(&self, name: &Name) -> PairFiles {
        pair_in(&self.path().join(name.as_str()))
    }

    /// What a server has to read that serves the certificates for these names: those, and folders
    /// that another program has put in their place.
    pub fn readable(&self, names: &[Name]) -> Vec<PathBuf> {
        let of_names = names.iter().map(|name| self.path().join(name.as_str()));
        let others = of_names.filter(|path| path.is_dir() && !path.is_symlink());
        iter::once(self.certificates()).chain(others).collect()
    }

    /// The certificate that serves for a name, if there is one that can be used.
    pub(super) fn served(&self, name: &Name) -> Option<Leaf> {
        Pair::load(&self.files(name)).ok().map(|pair| pair.leaf)
    }
}

impl OfAuthority {
    fn shelf(&self, name: &Name) -> PathBuf {
        self.folder.certificates().join(name.as_str())
    }

    /// What tells whether anything about a name is other than before, without reading any of it.
    pub(super) fn stamps(&self, name: &Name) -> Stamps {
        let served = self.folder.files(name);
        [
            fs::metadata(self.record_file(name)),
            fs::metadata(self.shelf(name)),
            fs::symlink_metadata(self.folder.path().join(name.as_str())),
            fs::metadata(served.certificate),
        ]
        .map(|found| found.ok().map(|file| stamp_of(&file)))
    }

    /// The numbers of this authority's certificates for a name, the latest first.
    fn numbers(&self, name: &Name) -> Vec<u64> {
        let entries = fs::read_dir(self.shelf(name)).into_iter().flatten().flatten();
        let number = |text: &str| text.strip_prefix(&self.hash)?.strip_prefix('.')?.parse().ok();
        let numbers = entries.filter_map(|entry| number(entry.file_name().to_str()?));
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    }

    fn target(&self, name: &Name, number: u64) -> PathBuf {
        PathBuf::from(format!(".certificates/{name}/{}.{number}", self.hash))
    }

    /// The latest certificate of this authority for a name that can be used.
    pub(super) fn certificate(&self, name: &Name) -> Option<Certificate> {
        self.numbers(name).into_iter().find_map(|number| {
            let target = self.target(name, number);
            let files = pair_in(&self.folder.path().join(&target));
            let leaf = Pair::load(&files).ok()?.leaf;
            let der = CertificateDer::from_pem_file(&files.certificate).ok()?;
            let identifier = CertificateIdentifier::try_from(&der).ok();
            let identifier = identifier.map(|identifier| identifier.to_string());
            let Leaf { not_before, not_after, .. } = leaf;
            Some(Certificate { identifier, lifetime: Lifetime { not_before, not_after }, target })
        })
    }

    /// Whether it serves.
    pub(super) fn is_served(&self, name: &Name, certificate: &Certificate) -> bool {
        let link = fs::read_link(self.folder.path().join(name.as_str()));
        link.is_ok_and(|target| target == certificate.target)
    }

    /// Has it serve, in one step.
    pub(super) fn serve(&self, name: &Name, certificate: &Certificate) -> io::Result<()> {
        self.link(name, &certificate.target)
    }

    fn link(&self, name: &Name, target: &Path) -> io::Result<()> {
        let root = self.folder.path();
        let link = root.join(name.as_str());
        let unfinished = unfinished_in(root)?;
        symlink(target, &unfinished)?;
        let renamed = match fs::rename(&unfinished, &link) {
            // A folder of certbot's kind, with the files in it: it gives way.
            Err(error) if link.is_dir() && !link.is_symlink() => {
                let aside = root.join(format!(".{name}.{}", random_name()?));
                fs::rename(&link, aside).map_err(|_| error)?;
                fs::rename(&unfinished, &link)
            }
            renamed => renamed,
        };
        if renamed.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        renamed.and_then(|()| sync(root))
    }

    /// Puts a certificate and its key in the place of those before, in one step, if they fit one
    /// another, the name and the time.
    pub(super) fn install(
        &self,
        name: &Name,
        chain: &str,
        key: &str,
    ) -> Result<SystemTime, InstallError> {
        let shelf = self.shelf(name);
        make(&shelf)?;
        let unfinished = shelf.join(format!(".new.{}", random_name()?));
        let installed = self.install_by(name, chain, key, &unfinished);
        // What was left by a fetcher that was killed, too: one installs at a time.
        for entry in fs::read_dir(&shelf)?.flatten() {
            if entry.file_name().to_str().is_some_and(|text| text.starts_with(".new.")) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        if installed.is_ok() {
            // Those before serve no more once the server has read the new one, which it does by whole
            // files.
            for number in self.numbers(name).into_iter().skip(1) {
                let _ = fs::remove_dir_all(self.folder.path().join(self.target(name, number)));
            }
        }
        installed
    }

    fn install_by(
        &self,
        name: &Name,
        chain: &str,
        key: &str,
        unfinished: &Path,
    ) -> Result<SystemTime, InstallError> {
        let files = pair_in(unfinished);
        self.folder.write(&files.certificate, chain.as_bytes())?;
        self.folder.write(&unfinished.join(KEY), key.as_bytes())?;
        let pair = Pair::load(&files).map_err(InstallError::Certificate)?;
        is_usable(&pair, name, SystemTime::now())?;
        let number = self.numbers(name).first().map_or(1, |last| last.saturating_add(1));
        let target = self.target(name, number);
        fs::rename(unfinished, self.folder.path().join(&target))?;
        sync(&self.shelf(name))?;
        self.link(name, &target)?;
        Ok(pair.leaf.not_after)
    }
}

/// Whether a certificate is for this name and valid now.
fn is_usable(pair: &Pair, name: &Name, now: SystemTime) -> Result<(), InstallError> {
    let Leaf { names, not_before, not_after, .. } = &pair.leaf;
    let is_of_name = |of: &LeafName| match (of, name.address()) {
        (LeafName::Address(address), Some(wanted)) => *address == wanted,
        (LeafName::Exact(text), None) => **text == *name.as_str(),
        _ => false,
    };
    if !names.iter().any(is_of_name) {
        return Err(InstallError::OtherName(pair.names()));
    }
    if *not_after <= now {
        return Err(InstallError::Expired(*not_after));
    }
    match *not_before > now + BEHIND {
        true => Err(InstallError::NotYetValid(*not_before)),
        false => Ok(()),
    }
}

/// As certbot names it.
const KEY: &str = "privkey.pem";

/// A certificate and its key in a folder, as certbot names them.
fn pair_in(folder: &Path) -> PairFiles {
    PairFiles { certificate: folder.join("fullchain.pem"), key: Some(folder.join(KEY)) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use rcgen::{CertificateParams, KeyPair};

    use super::{InstallError, OfAuthority};
    use crate::acme::name::Name;
    use crate::acme::store::Folder;

    const DAY: u64 = 86_400;

    /// A certificate and its key, valid between these days from now.
    fn signed(name: &str, days: (i64, i64)) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        let at = |days: i64| {
            let distance = Duration::from_secs(days.unsigned_abs() * DAY + 60);
            let now = SystemTime::now();
            if days < 0 { now - distance } else { now + distance }
        };
        params.not_before = at(days.0).into();
        params.not_after = at(days.1).into();
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    struct Place {
        _folder: tempfile::TempDir,
        staging: OfAuthority,
        production: OfAuthority,
        name: Name,
    }

    fn place() -> Place {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        Place {
            staging: OfAuthority::new(&folder, "https://a/staging"),
            production: OfAuthority::new(&folder, "https://a/"),
            name: "a.example".parse().expect("a name"),
            _folder: place,
        }
    }

    #[test]
    fn certificate_takes_the_place_of_the_one_before() {
        let Place { production, name, .. } = &place();
        let folder = &production.folder;
        assert_eq!(production.certificate(name), None);
        for days in [30, 60, 90] {
            let (chain, key) = signed("a.example", (-1, days));
            production.install(name, &chain, &key).expect("installed");
            assert_eq!(fs::read_to_string(folder.files(name).certificate).expect("it"), chain);
            let certificate = production.certificate(name).expect("one");
            assert!(production.is_served(name, &certificate));
        }
        let shelf = folder.certificates().join("a.example");
        assert_eq!(fs::read_dir(shelf).expect("it").count(), 1, "one is kept");
    }

    #[test]
    fn certificate_that_cannot_serve_is_refused() {
        let Place { production, name, .. } = &place();
        let refused = |(chain, key): (String, String)| {
            let error = production.install(name, &chain, &key).expect_err("refused");
            assert!(production.certificate(name).is_none());
            assert!(!production.folder.path().join("a.example").exists());
            error
        };
        let error = refused(signed("a.example", (-60, -30)));
        assert!(matches!(error, InstallError::Expired(_)), "{error}");
        let error = refused(signed("a.example", (1, 30)));
        assert!(matches!(error, InstallError::NotYetValid(_)), "{error}");
        for other in ["b.example", "*.example", "127.0.0.1", "aa.example"] {
            let error = refused(signed(other, (-1, 30)));
            assert!(error.to_string().contains(other), "{error}");
        }
        let (chain, _) = signed("a.example", (-1, 30));
        let (_, key) = signed("a.example", (-1, 30));
        let error = refused((chain, key));
        assert!(matches!(error, InstallError::Certificate(_)), "{error}");
        refused((String::new(), String::new()));
        let shelf = production.folder.certificates().join("a.example");
        assert_eq!(fs::read_dir(shelf).expect("it").count(), 0, "nothing is left");
    }

    #[test]
    fn authorities_keep_their_own_and_one_serves() {
        let Place { staging, production, name, .. } = &place();
        for authority in [staging, production] {
            let (chain, key) = signed("a.example", (-1, 90));
            authority.install(name, &chain, &key).expect("installed");
        }
        let [of_staging, of_production] =
            [staging, production].map(|of| of.certificate(name).expect("one"));
        assert!(!staging.is_served(name, &of_staging));
        assert!(production.is_served(name, &of_production));
        staging.serve(name, &of_staging).expect("linked");
        assert!(staging.is_served(name, &of_staging));
        // Lost, and put back.
        fs::remove_file(staging.folder.path().join("a.example")).expect("removed");
        assert!(!staging.is_served(name, &of_staging));
        staging.serve(name, &of_staging).expect("linked");
        assert!(staging.folder.served(name).is_some());
    }

    #[test]
    fn folder_of_another_program_gives_way_and_is_kept() {
        let Place { production, name, .. } = &place();
        let folder = &production.folder;
        let (chain, key) = signed("a.example", (-1, 90));
        let own = folder.path().join("a.example");
        fs::create_dir(&own).expect("a folder");
        fs::write(own.join("fullchain.pem"), &chain).expect("a file");
        fs::write(own.join("privkey.pem"), &key).expect("a file");
        assert!(folder.served(name).is_some() && production.certificate(name).is_none());
        assert_eq!(folder.readable(std::slice::from_ref(name)), [folder.certificates(), own]);
        production.install(name, &chain, &key).expect("installed");
        let entries = fs::read_dir(folder.path()).expect("it").flatten();
        let aside = entries.filter(|entry| entry.path().join("fullchain.pem").exists()).count();
        assert_eq!(aside, 2, "the one that serves, and the one that was there");
    }

    #[test]
    fn names_that_folders_have_collide_with_none() {
        let Place { production, .. } = &place();
        for text in ["private", "certificates", "challenges", "lock", "account", "a.key", "a.json"]
        {
            let name: Name = text.parse().expect("a name");
            let (chain, key) = signed(text, (-1, 90));
            production.keep_account(&"an account").expect("kept");
            production.keep_record(&name, &production.record(&name)).expect("kept");
            production.keep_order_key(&name, "a key").expect("kept");
            production.install(&name, &chain, &key).expect("installed");
            assert!(production.certificate(&name).is_some());
            assert_eq!(production.account::<String>().expect("it").as_deref(), Some("an account"));
        }
    }

    #[test]
    fn install_goes_on_where_another_was_killed() {
        let Place { production, name, .. } = &place();
        let shelf = production.folder.certificates().join("a.example");
        fs::create_dir_all(shelf.join(".new.0011223344556677")).expect("a folder");
        // Killed before the link, and half of one that no install leaves.
        fs::create_dir_all(shelf.join(format!("{}.7", production.hash))).expect("a folder");
        let (chain, key) = signed("a.example", (-1, 90));
        production.install(name, &chain, &key).expect("installed");
        assert_eq!(fs::read_dir(shelf).expect("it").count(), 1);
        let certificate = production.certificate(name).expect("one");
        assert!(production.is_served(name, &certificate));
    }
}
