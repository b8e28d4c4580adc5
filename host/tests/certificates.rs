//! Certificates from files: every form of them, which one a client gets, and how they are replaced.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use innkeeper::tls::certificates::chain::ChainProblem;
use innkeeper::tls::certificates::{
    CertificateError, ClientAuth, ClientAuthorities, ClientPolicy, Keeper, Options, Pair,
    PairFiles, Store, UnknownName,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tempfile::TempDir;

use crate::authority::{self, Authority, valid_for};
use crate::fixture::{replace, write};
use crate::running::until;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes both files of a pair beneath a folder.
fn place(folder: &Path, name: &str, pair: &authority::Pair) -> PairFiles {
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    write(&path("crt"), pair.certificate.as_bytes());
    write(&path("key"), pair.key.as_bytes());
    PairFiles { certificate: path("crt"), key: Some(path("key")) }
}

fn options(pairs: Vec<PairFiles>) -> Options {
    Options { pairs, ..Options::default() }
}

/// The leaf that a client gets which asks for this name, by a handshake in memory; or the error of
/// the client.
fn handshake(
    store: &Arc<Store>,
    client: &Arc<ClientConfig>,
    name: &'static str,
) -> Result<Vec<u8>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match &store.client_auth().verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_cert_resolver(Arc::<Store>::clone(store));
    let mut server = Connection::from(ServerConnection::new(Arc::new(config)).unwrap());
    let server_name = ServerName::try_from(name).unwrap();
    let mut client =
        Connection::from(ClientConnection::new(Arc::clone(client), server_name).unwrap());
    for _ in 0..6 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        deliver(&bytes, &mut server)?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        deliver(&bytes, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}

fn deliver(mut bytes: &[u8], to: &mut Connection) -> Result<(), String> {
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn leaf_of(pair: &authority::Pair) -> Vec<u8> {
    pair.der().0[0].to_vec()
}

/// The options to sign as an intermediate authority does.
fn intermediate(authority: &Authority) -> (String, Issuer<'static, KeyPair>) {
    let mut params = valid_for(Vec::new(), 90 * DAY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "intermediate");
    let key = KeyPair::generate().unwrap();
    let certificate = authority.certify(&params, &key);
    (certificate.pem(), Issuer::new(params, key))
}

fn signed_by(issuer: &Issuer<'_, KeyPair>, names: &[&str]) -> (String, String) {
    let mut params = valid_for(names.iter().map(|&name| name.to_owned()).collect(), 90 * DAY);
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

#[test]
fn client_gets_the_certificate_for_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::shared();
    let pairs = [
        ("first", &["a.example", "www.a.example"][..]),
        ("wildcard", &["*.b.example"]),
        ("exact", &["exact.b.example", "127.0.0.1"]),
    ]
    .map(|(file, names)| (file, authority.leaf(names)));
    let files = pairs.iter().map(|(file, pair)| place(folder.path(), file, pair)).collect();
    let store = Arc::new(Store::load(options(files)).unwrap());
    let client = authority.client_config(&[]);
    for (name, expected) in [
        ("a.example", 0),
        ("WWW.a.example", 0),
        ("x.b.example", 1),
        ("exact.b.example", 2),
        // A client asks for no address: it gets the default, which is not for it.
        ("127.0.0.1", 9),
        ("b.example", 9),
        ("x.y.b.example", 9),
        ("unknown.example", 9),
    ] {
        let came = handshake(&store, &client, name);
        match pairs.get(expected) {
            Some((_, pair)) => assert_eq!(came.unwrap(), leaf_of(pair), "{name}"),
            None => {
                let error = came.unwrap_err();
                assert!(error.contains("not valid for name"), "{name}: {error}");
                assert!(error.contains("a.example"), "{name}: {error}");
            }
        }
    }
    let ids = ["a.example", "www.A.example.", "x.b.example", "127.0.0.1", "no.example", "[::1]"]
        .map(|host| store.certificate_for(host));
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(ids[2], ids[3]);
    assert_eq!((ids[0], ids[0]), (ids[4], ids[5]), "the default");
    assert!(store.has_name("y.b.example") && !store.has_name("no.example"));
    assert_eq!(store.names().len(), 5);
    assert!(store.recognize(Some("no.example")).is_ok());
}

#[test]
fn unknown_name_is_refused_where_that_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Authority::shared().leaf(&["a.example"]);
    let files = vec![place(folder.path(), "a", &pair)];
    let store = Store::load(Options {
        pairs: files,
        unknown_name: UnknownName::Refuse,
        client_authorities: None,
        ..Options::default()
    });
    let store = Arc::new(store.unwrap());
    assert!(store.recognize(Some("b.example")).is_err());
    assert!(store.recognize(Some("a.example")).is_ok() && store.recognize(None).is_ok());
    assert_eq!(store.certificate_for("b.example"), None);
    let client = Authority::shared().client_config(&[]);
    assert!(handshake(&store, &client, "b.example").is_err());
    assert_eq!(handshake(&store, &client, "a.example").unwrap(), leaf_of(&pair));
}

#[test]
fn every_usual_form_of_files_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, authority) = (|name: &str| folder.path().join(name), Authority::shared());
    let leaf = authority.leaf(&["a.example"]);
    let (intermediate, issuer) = intermediate(authority);
    let (certificate, key) = signed_by(&issuer, &["a.example"]);
    let chain = format!("{certificate}{intermediate}");
    for (name, content, key_content) in [
        ("separate", &leaf.certificate, Some(&leaf.key)),
        ("combined", &leaf.combined(), None),
        ("key first", &format!("{}{}", leaf.key, leaf.certificate), None),
        ("chain", &chain, Some(&key)),
        ("haproxy", &format!("{certificate}{key}{intermediate}"), None),
        ("windows", &chain.replace('\n', "\r\n"), Some(&key)),
        ("key file with the chain, too", &chain, Some(&format!("{key}{chain}"))),
    ] {
        write(&path(name), content.as_bytes());
        let key = key_content.map(|key| {
            write(&path("key"), key.as_bytes());
            path("key")
        });
        let pair = Pair::load(&PairFiles { certificate: path(name), key }).expect(name);
        assert_eq!(pair.names(), "a.example", "{name}");
        let is_chain = content.matches("BEGIN CERT").count() == 2;
        let problems: Vec<_> = pair.problems.iter().map(ToString::to_string).collect();
        match is_chain {
            true => assert!(problems.is_empty(), "{name}: {problems:?}"),
            false => assert!(problems[0].contains("fullchain.pem"), "{name}: {problems:?}"),
        }
    }
}

fn refused(certificate: &[u8], key: Option<&[u8]>) -> CertificateError {
    let folder = tempfile::tempdir().unwrap();
    let files = PairFiles {
        certificate: folder.path().join("site.crt"),
        key: key.map(|_| folder.path().join("site.key")),
    };
    write(&files.certificate, certificate);
    if let Some(key) = key {
        write(files.key.as_ref().unwrap(), key);
    }
    Pair::load(&files).expect_err("it is refused")
}

#[test]
fn every_fault_names_the_file_and_what_to_do() {
    let authority = Authority::shared();
    let (one, other) = (authority.leaf(&["a.example"]), authority.leaf(&["a.example"]));
    let (intermediate, issuer) = intermediate(authority);
    let (leaf, leaf_key) = signed_by(&issuer, &["a.example"]);
    let pem = |text: &str| text.as_bytes().to_vec();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, file, message) in [
        (pem(""), Some(pem(&one.key)), "site.crt", "it is empty"),
        (pem(&one.certificate), Some(pem("")), "site.key", "it is empty"),
        (
            leaf_of(&one),
            Some(pem(&one.key)),
            "site.crt",
            "it is DER and not PEM; convert it: openssl x509 -inform DER -in ",
        ),
        (
            pem(&one.certificate),
            Some(KeyPair::generate().unwrap().serialize_der()),
            "site.key",
            "it is DER and not PEM; convert it: openssl pkey -inform DER -in ",
        ),
        (
            pem(&one.key),
            Some(pem(&one.certificate)),
            "site.crt",
            "it has no certificate but PRIVATE KEY; name the file with -----BEGIN CERTIFICATE-----",
        ),
        (
            pem(&one.certificate),
            Some(pem(&one.certificate)),
            "site.key",
            "it has no private key but CERTIFICATE; name the file with -----BEGIN PRIVATE KEY-----",
        ),
        (
            pem(&one.certificate),
            None,
            "site.crt",
            "it has no private key; name the key's file (--tls-key), or append the key to this one",
        ),
        (
            pem(&one.certificate),
            Some(pem(&other.key)),
            "site.key",
            "not the key of the certificate",
        ),
        (
            pem(&format!("{}{}", one.certificate, other.key)),
            None,
            "site.crt",
            "its private key belongs to another certificate",
        ),
        (pem(&one.certificate), Some(pem(encrypted)), "site.key", "decrypt it into a file"),
        (pem(&format!("{}{encrypted}", one.certificate)), None, "site.crt", "decrypt it"),
        (
            pem(&format!("{intermediate}{leaf}")),
            Some(pem(&leaf_key)),
            "site.crt",
            "the certificate of the private key is the 2nd in it; put it first",
        ),
        (
            pem(&one.certificate.repeat(11)),
            Some(pem(&one.key)),
            "site.crt",
            "it has 11 certificates",
        ),
        (
            pem(&one.certificate[..200]),
            Some(pem(&one.key)),
            "site.crt",
            "the end of section CERTIFICATE is missing; is the file truncated?",
        ),
        (
            pem("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"),
            Some(pem(&one.key)),
            "site.crt",
            "openssl pkcs7 -print_certs -in ",
        ),
        (pem("hello"), Some(pem(&one.key)), "site.crt", "it is not PEM"),
        (
            pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Some(pem(&one.key)),
            "site.crt",
            "certificate 1 in it is malformed",
        ),
        (
            pem(&one.certificate),
            Some(pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
            "site.key",
            "RSA with 2048 to 8192 bits",
        ),
        (vec![b' '; (1 << 20) + 1], Some(pem(&one.key)), "site.crt", "it is larger than 1 MiB"),
    ] {
        let error = refused(&certificate, key.as_deref());
        assert!(error.path.ends_with(file), "{error}");
        let text = error.to_string();
        assert!(text.contains(message), "{text}, not {message}");
        assert!(text.contains(file) && !text.contains('\n'), "{text}");
    }
    let missing = PairFiles { certificate: "/nonexistent/a.crt".into(), key: None };
    let text = Pair::load(&missing).unwrap_err().to_string();
    assert!(text.contains("/nonexistent/a.crt: No such file"), "{text}");
}

#[test]
fn problems_of_a_chain_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::shared();
    let (intermediate, issuer) = intermediate(authority);
    let (leaf, key) = signed_by(&issuer, &["a.example"]);
    let problems = |certificate: &str, key: &str| {
        let pair = authority::Pair { certificate: certificate.into(), key: key.into() };
        Pair::load(&place(folder.path(), "a", &pair)).unwrap().problems
    };
    assert_eq!(problems(&format!("{leaf}{intermediate}"), &key), []);
    let whole = format!("{leaf}{intermediate}{}", authority.pem());
    assert_eq!(problems(&whole, &key), [], "its root does no harm");
    assert!(matches!(problems(&leaf, &key)[..], [ChainProblem::NoIntermediate { .. }]));
    let disordered = format!("{leaf}{}{intermediate}", authority.pem());
    assert_eq!(problems(&disordered, &key)[0], ChainProblem::OutOfOrder(2));
    let key = KeyPair::generate().unwrap();
    let nameless = CertificateParams::default().self_signed(&key).unwrap().pem();
    assert_eq!(problems(&nameless, &key.serialize_pem()), [ChainProblem::NoNames]);
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_clients = params.self_signed(&key).unwrap().pem();
    assert_eq!(problems(&for_clients, &key.serialize_pem()), [ChainProblem::NotForServers]);
}

/// A store that a keeper looks after.
struct Kept {
    folder: TempDir,
    store: Arc<Store>,
    _keeper: Keeper,
}

impl Kept {
    fn start(make: impl FnOnce(&Path) -> Options) -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::load(make(folder.path())).unwrap());
        let keeper = Keeper::start(Arc::clone(&store)).unwrap();
        Kept { folder, store, _keeper: keeper }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serves(&self, pair: &authority::Pair) -> bool {
        let fingerprint = self.store.pairs()[0].leaf.fingerprint;
        use sha2::Digest;
        fingerprint == <[u8; 32]>::from(sha2::Sha256::digest(leaf_of(pair)))
    }

    #[track_caller]
    fn wait_for(&self, pair: &authority::Pair) {
        until(|| self.serves(pair));
    }

    fn last_error(&self) -> Option<String> {
        let reload = self.store.status()[0].last_reload.clone()?;
        reload.error.map(|(code, _)| code.to_owned())
    }
}

#[test]
fn files_are_replaced_in_each_way() {
    let authority = Authority::shared();
    let leaf = || authority.leaf(&["a.example"]);
    let kept = Kept::start(|folder| options(vec![place(folder, "a", &leaf())]));
    let (certificate, key) = (kept.path("a.crt"), kept.path("a.key"));
    for _ in 0..3 {
        let in_place = leaf();
        fs::write(&certificate, &in_place.certificate).unwrap();
        fs::write(&key, &in_place.key).unwrap();
        kept.wait_for(&in_place);
        let renamed = leaf();
        replace(&key, renamed.key.as_bytes());
        replace(&certificate, renamed.certificate.as_bytes());
        kept.wait_for(&renamed);
        let removed = leaf();
        fs::remove_file(&certificate).unwrap();
        fs::remove_file(&key).unwrap();
        fs::write(&certificate, &removed.certificate).unwrap();
        fs::write(&key, &removed.key).unwrap();
        kept.wait_for(&removed);
    }
}

/// `..data` is renamed over, and the old folder is removed.
#[test]
fn secret_volume_of_kubernetes_is_followed() {
    let authority = Authority::shared();
    let put = |folder: &Path, number: u32| {
        let (pair, name) = (authority.leaf(&["a.example"]), format!("..{number}"));
        write(&folder.join(&name).join("tls.crt"), pair.certificate.as_bytes());
        write(&folder.join(&name).join("tls.key"), pair.key.as_bytes());
        symlink(&name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if number > 0 {
            fs::remove_dir_all(folder.join(format!("..{}", number - 1))).unwrap();
        }
        pair
    };
    let kept = Kept::start(|folder| {
        put(folder, 0);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
        options(vec![PairFiles {
            certificate: folder.join("tls.crt"),
            key: Some(folder.join("tls.key")),
        }])
    });
    for number in 1..5 {
        kept.wait_for(&put(kept.folder.path(), number));
    }
}

/// `live/a.example/fullchain.pem` is a link to `../../archive/a.example/fullchain1.pem`.
#[test]
fn folders_of_certbot_are_followed() {
    let authority = Authority::shared();
    let renew = |folder: &Path, number: u32| {
        let pair = authority.leaf(&["a.example"]);
        for (name, content) in [("privkey", &pair.key), ("fullchain", &pair.certificate)] {
            let target = format!("archive/a.example/{name}{number}.pem");
            write(&folder.join(&target), content.as_bytes());
            let link = folder.join(format!("live/a.example/{name}.pem"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            // As certbot: the link is removed, and made.
            let _ = fs::remove_file(&link);
            symlink(Path::new("../..").join(target), link).unwrap();
        }
        pair
    };
    let kept = Kept::start(|folder| {
        renew(folder, 1);
        let live = folder.join("live/a.example");
        let key = Some(live.join("privkey.pem"));
        options(vec![PairFiles { certificate: live.join("fullchain.pem"), key }])
    });
    for number in 2..5 {
        kept.wait_for(&renew(kept.folder.path(), number));
    }
}

/// lego truncates the certificate, its issuer, a description and then the key, and writes each.
#[test]
fn folder_of_lego_is_followed() {
    let authority = Authority::shared();
    let renew = |folder: &Path| {
        let pair = authority.leaf(&["a.example"]);
        for (end, content) in [
            ("crt", &pair.certificate),
            ("issuer.crt", &authority.pem()),
            ("json", &"{}".to_owned()),
            ("key", &pair.key),
        ] {
            fs::write(folder.join(format!("a.example.{end}")), content).unwrap();
        }
        pair
    };
    let kept = Kept::start(|folder| {
        renew(folder);
        let path = |end: &str| folder.join(format!("a.example.{end}"));
        options(vec![PairFiles { certificate: path("crt"), key: Some(path("key")) }])
    });
    for _ in 0..3 {
        kept.wait_for(&renew(kept.folder.path()));
    }
}

#[test]
fn folder_that_is_gone_and_comes_back_is_followed() {
    let authority = Authority::shared();
    let leaf = || authority.leaf(&["a.example"]);
    let first = leaf();
    let kept = Kept::start(|folder| options(vec![place(&folder.join("certs"), "a", &first)]));
    fs::remove_dir_all(kept.path("certs")).unwrap();
    until(|| kept.last_error().as_deref() == Some("unreadable"));
    assert!(kept.serves(&first));
    for _ in 0..2 {
        let next = leaf();
        place(&kept.path("next"), "a", &next);
        let _ = fs::rename(kept.path("certs"), kept.path("old"));
        fs::rename(kept.path("next"), kept.path("certs")).unwrap();
        kept.wait_for(&next);
        // The reload is told a moment after it serves.
        until(|| kept.last_error().is_none());
        let _ = fs::remove_dir_all(kept.path("old"));
    }
}

#[test]
fn pair_that_does_not_fit_waits_for_its_other_half() {
    let authority = Authority::shared();
    let (first, second) = (authority.leaf(&["a.example"]), authority.leaf(&["a.example"]));
    let kept = Kept::start(|folder| options(vec![place(folder, "a", &first)]));
    // The key comes a second later: nothing is to be reported.
    replace(&kept.path("a.crt"), second.certificate.as_bytes());
    std::thread::sleep(Duration::from_secs(1));
    assert!(kept.serves(&first));
    replace(&kept.path("a.key"), second.key.as_bytes());
    kept.wait_for(&second);
    // The reload is told a moment after it serves.
    until(|| kept.last_error().is_none());
    // And here it comes late.
    replace(&kept.path("a.crt"), first.certificate.as_bytes());
    let began = Instant::now();
    until(|| kept.last_error().as_deref() == Some("key-mismatch"));
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    assert!(kept.serves(&second));
    replace(&kept.path("a.key"), first.key.as_bytes());
    kept.wait_for(&first);
    // The reload is told a moment after it serves.
    until(|| kept.last_error().is_none());
}

#[test]
fn only_a_valid_certificate_takes_the_place_of_a_valid_one() {
    let authority = Authority::shared();
    let valid = authority.leaf(&["a.example"]);
    let kept = Kept::start(|folder| options(vec![place(folder, "a", &valid)]));
    let mut params = valid_for(vec!["a.example".to_owned()], DAY);
    params.not_before = (SystemTime::now() - 3 * DAY).into();
    params.not_after = (SystemTime::now() - DAY).into();
    let expired = authority.sign(params);
    place(kept.folder.path(), "a", &expired);
    until(|| kept.last_error().as_deref() == Some("expired"));
    assert!(kept.serves(&valid));
    // One that will be valid soon is tried again then.
    let mut params = valid_for(vec!["a.example".to_owned()], DAY);
    params.not_before = (SystemTime::now() + Duration::from_secs(8)).into();
    let early = authority.sign(params);
    place(kept.folder.path(), "a", &early);
    until(|| kept.last_error().as_deref() == Some("not-yet-valid"));
    assert!(kept.serves(&valid));
    kept.wait_for(&early);
    // An expired one is served all the same where there is no better.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::load(options(vec![place(folder.path(), "a", &expired)])).unwrap();
    assert!(!store.pairs()[0].leaf.is_valid(SystemTime::now()));
}

#[test]
fn one_broken_pair_keeps_no_other_from_being_replaced() {
    let authority = Authority::shared();
    let leaf = || authority.leaf(&["a.example"]);
    let kept = Kept::start(|folder| {
        options(vec![place(folder, "a", &leaf()), place(folder, "b", &leaf())])
    });
    fs::write(kept.path("b.key"), "").unwrap();
    let next = leaf();
    place(kept.folder.path(), "a", &next);
    kept.wait_for(&next);
    until(|| kept.store.status()[1].last_reload.as_ref().is_some_and(|it| it.error.is_some()));
    let again = leaf();
    place(kept.folder.path(), "a", &again);
    kept.wait_for(&again);
}

#[test]
fn authorities_of_clients_are_replaced_and_tell_clients_apart() {
    let (server, one, other) = (Authority::shared(), Authority::new(), Authority::new());
    let make = |folder: &Path, policy| {
        write(&folder.join("ca.pem"), one.pem().as_bytes());
        Options {
            pairs: vec![place(folder, "a", &server.leaf(&["a.example"]))],
            unknown_name: UnknownName::Default,
            client_authorities: Some(ClientAuthorities { file: folder.join("ca.pem"), policy }),
            ..Options::default()
        }
    };
    let with = |pair: &authority::Pair| {
        let (chain, key) = pair.der();
        Arc::new(server.client_config_with(chain, key))
    };
    let without = server.client_config(&[]);
    let (of_one, of_other) = (with(&one.leaf(&["alice"])), with(&other.leaf(&["bob"])));
    let wanted = Kept::start(|folder| make(folder, ClientPolicy::Wanted));
    assert!(handshake(&wanted.store, &without, "a.example").is_ok());
    assert!(handshake(&wanted.store, &of_one, "a.example").is_ok());
    assert!(handshake(&wanted.store, &of_other, "a.example").is_err());
    let required = Kept::start(|folder| make(folder, ClientPolicy::Required));
    assert!(handshake(&required.store, &without, "a.example").is_err());
    assert!(handshake(&required.store, &of_one, "a.example").is_ok());
    let before = required.store.client_auth().id;
    replace(&required.path("ca.pem"), other.pem().as_bytes());
    until(|| required.store.client_auth().id != before);
    assert!(handshake(&required.store, &of_one, "a.example").is_err());
    assert!(handshake(&required.store, &of_other, "a.example").is_ok());
    // What is no authority changes nothing.
    let before = required.store.client_auth().id;
    replace(&required.path("ca.pem"), b"");
    until(|| {
        let status = required.store.authorities_status().unwrap();
        status.last_reload.is_some_and(|reload| reload.error.is_some())
    });
    assert_eq!(required.store.client_auth().id, before);
    let file = required.path("ca.pem");
    let error = ClientAuth::load(&ClientAuthorities { file, policy: ClientPolicy::Wanted });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cannot use the client authorities") && error.contains("it is empty"));
}
