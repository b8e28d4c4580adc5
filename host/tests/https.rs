//! What policies learn of TLS and of the protocol, and how clients are brought to `https`.

use std::sync::{Arc, OnceLock};

use innkeeper::clients::{Clients, Proxies};
use innkeeper::guest::LoadedGuest;
use innkeeper::http2::Http2;
use innkeeper::service::Https;
use innkeeper::service::https::Redirect;
use innkeeper::tls::certificates::{
    ClientAuthorities, ClientPolicy, Options, PairFiles, Store, client,
};

use crate::authority::Authority;
use crate::examples::example;
use crate::fixture::{Client, Reply, Setup, Stream, TestServer, engine, write};
use crate::http2_client::{Http2Client, Response};

/// A guest that replies to `/whoami` with the facts.
fn tour() -> Arc<LoadedGuest> {
    static TOUR: OnceLock<Arc<LoadedGuest>> = OnceLock::new();
    let load = || Arc::new(LoadedGuest::load(engine(), &example("tour")).unwrap());
    Arc::clone(TOUR.get_or_init(load))
}

fn local_proxies() -> Clients {
    let here = || vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = Proxies { trusted: here(), ..Proxies::default() };
    Clients { proxies, ..Clients::default() }
}

fn ask(client: &mut Client, target: &str, fields: &str) -> Reply {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
    client.reply()
}

fn facts(mut client: Client, fields: &str) -> String {
    ask(&mut client, "/whoami", fields).text().replace('\n', " ")
}

fn get_by_http2(stream: Stream, path: &str) -> Response {
    let scheme = if matches!(stream, Stream::Tls(_)) { "https" } else { "http" };
    Http2Client::new(stream).get_of(scheme, "localhost", path)
}

fn facts_by_http2(stream: Stream) -> String {
    String::from_utf8(get_by_http2(stream, "/whoami").body).unwrap().replace('\n', " ")
}

#[test]
fn policy_learns_protocol_and_tls_of_each_connection() {
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let server = Setup { guest: tour(), http2, ..Setup::default() }.start();
    let tls = ":tls-version=1.3 :tls-server-name=localhost";
    // The second time from the cache: what is cached is of one kind of connection.
    for _ in 0..2 {
        let expected = ":client-address=127.0.0.1 :scheme=http :protocol=http/1.1 ";
        assert_eq!(facts(server.connect(), ""), expected);
        let expected = format!(":client-address=127.0.0.1 :scheme=https :protocol=http/1.1 {tls} ");
        assert_eq!(facts(server.connect_tls(), ""), expected);
        let expected = format!(":client-address=127.0.0.1 :scheme=https :protocol=h2 {tls} ");
        assert_eq!(facts_by_http2(server.http2_stream()), expected);
        let expected = ":client-address=127.0.0.1 :scheme=http :protocol=h2 ";
        assert_eq!(facts_by_http2(Stream::tcp(server.address)), expected);
        let mut old = server.connect();
        old.send("GET /whoami HTTP/1.0\r\n\r\n");
        assert!(old.reply().text().contains(":protocol=http/1.0\n"));
    }
    // A client cannot state a fact in a field of this name.
    let told = facts(server.connect(), "X-Forwarded-Proto: https\r\nClient-Name: root\r\n");
    assert!(told.contains(":scheme=http ") && !told.contains("root"), "{told}");
}

#[test]
fn scheme_is_what_a_trusted_proxy_says() {
    let server = Setup { guest: tour(), clients: local_proxies(), ..Setup::default() }.start();
    for (told, plain, secured) in [
        ("", "http", "https"),
        ("X-Forwarded-Proto: https\r\n", "https", "https"),
        ("X-Forwarded-Proto: http\r\n", "http", "http"),
        ("X-Forwarded-Proto: gopher\r\n", "http", "https"),
        ("X-Forwarded-Proto: https, http\r\n", "http", "http"),
    ] {
        let fields = format!("X-Forwarded-For: 192.0.2.1\r\n{told}");
        for (client, expected) in [(server.connect(), plain), (server.connect_tls(), secured)] {
            let facts = facts(client, &fields);
            let expected = format!(":client-address=192.0.2.1 :scheme={expected} ");
            assert!(facts.starts_with(&expected), "{told:?}: {facts}");
        }
    }
}

#[test]
fn scheme_is_what_a_proxy_header_says() {
    let here = vec!["127.0.0.1/32".parse().unwrap()];
    let proxies = Proxies { proxy_protocol: here, ..Proxies::default() };
    let clients = Clients { proxies, ..Clients::default() };
    let server = Setup { guest: tour(), clients, ..Setup::default() }.start();
    let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x67, 0, 80];
    for (tlv, scheme) in [(&b""[..], "http"), (b"\x20\0\x05\x01\0\0\0\0", "https")] {
        let mut client = server.connect();
        let length = u8::try_from(addresses.len() + tlv.len()).unwrap();
        let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0";
        client.send([&start[..], &[length], &addresses, tlv].concat());
        let told = ask(&mut client, "/whoami", "").text().to_owned();
        let expected = format!(":client-address=192.0.2.1\n:scheme={scheme}\n");
        assert!(told.starts_with(&expected), "{told}");
        // A target of that scheme fits the connection, as the proxy passes it on unread.
        client.send(format!("GET {scheme}://localhost/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(client.reply().status(), 200);
    }
}

#[test]
fn policy_learns_name_and_digest_of_a_verified_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, strangers) = (Authority::new(), Authority::new());
    let pair = Authority::shared().leaf(&["localhost"]);
    let file = folder.path().join("pair.pem");
    write(&file, pair.combined().as_bytes());
    let authorities = folder.path().join("clients.pem");
    write(&authorities, authority.pem().as_bytes());
    let store = |policy| {
        let pairs = vec![PairFiles { certificate: file.clone(), key: None }];
        let client_authorities = Some(ClientAuthorities { file: authorities.clone(), policy });
        Arc::new(Store::load(Options { pairs, client_authorities, ..Options::default() }).unwrap())
    };
    let certificates = store(ClientPolicy::Wanted);
    let server = Setup { guest: tour(), certificates, ..Setup::default() }.start();
    let (chain, key) = authority.leaf(&["alice.example"]).der();
    let digest = client::identify(&chain[0]).sha256;
    let expected = format!(":client-certificate={digest} :client-name=alice.example ");
    let with = |protocol: &str,
                (chain, key): (Vec<_>, rustls::pki_types::PrivateKeyDer<'static>)| {
        let mut config = Authority::shared().client_config_with(chain, key);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Stream::tls(server.tls_address, &Arc::new(config), "localhost")
    };
    let one = |protocol| with(protocol, (chain.clone(), key.clone_key()));
    let told = facts(Client::over(one("http/1.1")), "");
    assert!(told.ends_with(&expected), "{told}");
    let told = facts_by_http2(one("h2"));
    assert!(told.ends_with(&expected), "{told}");
    // A client may have none, and is then nobody.
    let told = facts(server.connect_tls(), "");
    assert!(!told.contains(":client-certificate") && !told.contains(":client-name"), "{told}");
    // One that another authority issued is refused, and not passed on as none.
    let mut stranger = Client::over(with("http/1.1", strangers.leaf(&["alice.example"]).der()));
    stranger.send_if_open(b"GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(stranger.receive().is_err());
}

fn redirecting(clients: Clients) -> TestServer {
    let has_certificate = Box::new(|host: &str| host == "localhost");
    let redirect = Some(Redirect { port: 8443, has_certificate });
    let https = Https { redirect, hsts: "max-age=60".parse().ok() };
    Setup { https, clients, ..Setup::default() }.start()
}

#[test]
fn plain_request_is_redirected_and_one_over_tls_is_not() {
    let server = redirecting(Clients::default());
    let mut plain = server.connect();
    for request in ["GET /hello.txt?a=b%20[c]", "HEAD /hello.txt?a=b%20[c]"] {
        plain.send(format!("{request} HTTP/1.1\r\nHost: localhost:80\r\n\r\n"));
        let reply = match request.starts_with("HEAD") {
            true => plain.reply_without_body(),
            false => plain.reply(),
        };
        assert_eq!(reply.status(), 308);
        assert_eq!(reply.field("location"), Some("https://localhost:8443/hello.txt?a=b%20[c]"));
        assert_eq!(reply.field("strict-transport-security"), None);
    }
    plain.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(plain.reply().status(), 308);
    assert_eq!(ask(&mut plain, "/.well-known/acme-challenge/x", "").status(), 404);
    plain.send("GET /hello.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(plain.reply().status(), 200, "no certificate is for it");
    plain.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-A : b\r\n\r\n");
    assert_eq!(plain.reply().status(), 400);
    let mut secured = server.connect_tls();
    for (target, status) in [("/hello.txt", 200), ("/docs", 301), ("/missing", 404)] {
        let reply = ask(&mut secured, target, "");
        assert_eq!(
            (reply.status(), reply.field("strict-transport-security")),
            (status, Some("max-age=60"))
        );
    }
    secured.send("GET /hello.txt HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n\r\n");
    assert_eq!(secured.reply().field("strict-transport-security"), None);
    let response = get_by_http2(server.http2_stream(), "/hello.txt");
    assert_eq!(response.status, 200);
    assert_eq!(response.field("strict-transport-security"), Some("max-age=60"));
}

#[test]
fn redirect_behind_a_proxy_goes_by_what_the_proxy_tells() {
    let server = redirecting(local_proxies());
    for (told, status, hsts) in [
        ("X-Forwarded-Proto: http\r\n", 308, None),
        ("X-Forwarded-Proto: https\r\n", 200, Some("max-age=60")),
        // It may be https already.
        ("", 200, None),
    ] {
        let reply = ask(&mut server.connect(), "/hello.txt", told);
        assert_eq!(reply.status(), status, "{told:?}");
        assert_eq!(reply.field("strict-transport-security"), hsts, "{told:?}");
    }
}
