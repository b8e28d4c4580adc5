//! Users and their stretched passwords, as `innkeeper password` writes them:
//! `name:$pbkdf2-sha256$i=20000$salt$hash`.
//!
//! Salt and hash are in base64 without padding, as in the "PHC string format". A check takes the
//! same time for every name, known or not: that of the user with the most iterations.
//!
//! ```
//! use innkeeper_guest::basic_auth::Credentials;
//! use innkeeper_guest::basic_auth::users::{User, Users};
//!
//! let salt = b"sixteen bytes...";
//! let user = User::new("Aladdin", b"open sesame", salt, 1_000).expect("a user");
//! let users: Users = [User::parse(&user.line()).expect("its line")].into_iter().collect();
//! let given = Credentials::parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").expect("credentials");
//! assert!(users.find(&given).is_some());
//! ```

use std::fmt;
use std::hint::black_box;
use std::ops::RangeInclusive;

use super::pbkdf2::{Digest, derive};
use super::{Credentials, is_same_secret};
use crate::base64::{Padding, decode, encode};

/// What follows the name in a line.
const FORMAT: &str = "$pbkdf2-sha256$";

/// Iterations that a line may ask for. More would not fit into a decision's deadline, 100 ms, on a
/// slow machine; fewer would protect nothing.
pub const ITERATIONS: RangeInclusive<u32> = 1_000..=50_000;

/// Iterations of a new line.
pub const USUAL_ITERATIONS: u32 = 20_000;

/// Bytes of a salt: of a new one, and the least and the most of any.
pub const SALT_BYTES: usize = 16;
const SALTS: RangeInclusive<usize> = 8..=64;

/// Bytes that a name may have.
const NAME_BYTES: usize = 255;

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    iterations: u32,
    salt: Vec<u8>,
    hash: Digest,
}

/// Without salt and hash.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a line has no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no colon.
    Colon,
    /// The name is empty or too long, or has a control character.
    Name,
    /// The password is stored in another format, which is named.
    Foreign(&'static str),
    /// It is stored in no known format; it may be the password itself.
    Plain,
    /// There is no number of iterations, or not one that is allowed.
    Iterations,
    /// The salt is not in base64, or too short or too long.
    Salt,
    /// The hash is not in base64, or has not 32 bytes.
    Hash,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const REMEDY: &str = "write the line with `innkeeper password NAME`";
        match self {
            Fault::Colon => write!(f, "there is no colon behind the name; {REMEDY}"),
            Fault::Name => {
                write!(f, "a name has 1 to {NAME_BYTES} bytes, and no colon or control character")
            }
            Fault::Foreign(format) => {
                write!(f, "the password is stored as {format}, which is not read here; {REMEDY}")
            }
            Fault::Plain => write!(f, "the password is not stretched; {REMEDY}"),
            Fault::Iterations => write!(
                f,
                "the iterations must be {} to {}, as in i={USUAL_ITERATIONS}",
                ITERATIONS.start(),
                ITERATIONS.end()
            ),
            Fault::Salt => write!(
                f,
                "the salt must be {} to {} bytes in base64 without padding; {REMEDY}",
                SALTS.start(),
                SALTS.end()
            ),
            Fault::Hash => {
                write!(f, "the hash must be 32 bytes in base64 without padding; {REMEDY}")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl User {
    /// The user of this name and password. The salt must be random, and another for each user.
    pub fn new(name: &str, password: &[u8], salt: &[u8], iterations: u32) -> Result<User, Fault> {
        User::check_name(name)?;
        if !ITERATIONS.contains(&iterations) {
            return Err(Fault::Iterations);
        }
        if !SALTS.contains(&salt.len()) {
            return Err(Fault::Salt);
        }
        let hash = derive(password, salt, iterations);
        Ok(User { name: name.to_owned(), iterations, salt: salt.to_owned(), hash })
    }

    /// Whether a user may have this name.
    pub fn check_name(name: &str) -> Result<(), Fault> {
        let has_control = name.bytes().any(|byte| byte.is_ascii_control());
        let is_right =
            (1..=NAME_BYTES).contains(&name.len()) && !name.contains(':') && !has_control;
        if is_right { Ok(()) } else { Err(Fault::Name) }
    }

    /// The user of this line, without its line end.
    pub fn parse(line: &str) -> Result<User, Fault> {
        let (name, stored) = line.split_once(':').ok_or(Fault::Colon)?;
        User::check_name(name)?;
        let rest = stored.strip_prefix(FORMAT).ok_or_else(|| foreign(stored))?;
        let mut parts = rest.split('$');
        let iterations = parts.next().and_then(|part| part.strip_prefix("i="));
        let iterations = iterations
            .filter(|text| text.starts_with(|first: char| ('1'..='9').contains(&first)))
            .and_then(|text| text.parse().ok())
            .filter(|iterations| ITERATIONS.contains(iterations))
            .ok_or(Fault::Iterations)?;
        let bytes = |part: Option<&str>| part.and_then(|part| decode(part, Padding::None));
        let salt = bytes(parts.next()).filter(|salt| SALTS.contains(&salt.len()));
        let salt = salt.ok_or(Fault::Salt)?;
        let hash = bytes(parts.next()).and_then(|hash| hash.try_into().ok());
        let hash = hash.filter(|_| parts.next().is_none()).ok_or(Fault::Hash)?;
        Ok(User { name: name.to_owned(), iterations, salt, hash })
    }

    /// The line of this user, without a line end.
    pub fn line(&self) -> String {
        let mut line = [&self.name, ":", FORMAT, "i=", &self.iterations.to_string(), "$"].concat();
        encode(&self.salt, Padding::None, &mut line);
        line.push('$');
        encode(&self.hash, Padding::None, &mut line);
        line
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// In order of their names, none of which is there twice.
    users: Vec<User>,
    /// Those of the user with the most.
    iterations: u32,
}

impl FromIterator<User> for Users {
    /// Of several users with one name, the first counts.
    fn from_iter<I: IntoIterator<Item = User>>(users: I) -> Users {
        let mut users: Vec<User> = users.into_iter().collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        users.dedup_by(|one, other| one.name == other.name);
        let iterations = users.iter().map(|user| user.iterations).max().unwrap_or(0);
        Users { users, iterations }
    }
}

impl Users {
    /// The user whose credentials these are, if they are somebody's.
    ///
    /// It takes some milliseconds, as long for an unknown name as for a known one with a wrong or
    /// the right password.
    pub fn find(&self, credentials: &Credentials) -> Option<&User> {
        let name = credentials.name();
        let known = self.users.binary_search_by(|user| user.name.as_bytes().cmp(name)).ok();
        let known = known.and_then(|index| self.users.get(index));
        let (salt, iterations) = match known {
            Some(user) => (user.salt.as_slice(), user.iterations),
            None => (&[0; SALT_BYTES][..], self.iterations),
        };
        let derived = derive(credentials.password(), salt, iterations);
        if iterations < self.iterations {
            black_box(derive(credentials.password(), salt, self.iterations - iterations));
        }
        known.filter(|user| is_same_secret(&user.hash, &derived))
    }

    /// Whether there is none: nobody may come in.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// What a stored password is instead, by its beginning, as htpasswd and others write it.
fn foreign(stored: &str) -> Fault {
    const FORMATS: [(&str, &str); 13] = [
        ("$apr1$", "MD5 (`htpasswd -m`, $apr1$)"),
        ("$1$", "MD5 ($1$)"),
        ("$2y$", "bcrypt (`htpasswd -B`, $2y$)"),
        ("$2a$", "bcrypt ($2a$)"),
        ("$2b$", "bcrypt ($2b$)"),
        ("$5$", "SHA-256 of crypt ($5$)"),
        ("$6$", "SHA-512 of crypt ($6$)"),
        ("$y$", "yescrypt ($y$)"),
        ("$argon2", "Argon2"),
        ("$scrypt$", "scrypt"),
        ("$pbkdf2", "another kind of PBKDF2"),
        ("{SHA}", "SHA-1 (`htpasswd -s`, {SHA})"),
        ("{SSHA}", "SHA-1 ({SSHA})"),
    ];
    let found = FORMATS.into_iter().find(|(start, _)| stored.starts_with(start));
    found.map_or(Fault::Plain, |(_, format)| Fault::Foreign(format))
}

#[cfg(test)]
mod tests {
    use super::{Fault, USUAL_ITERATIONS, User, Users};
    use crate::base64::{Padding, encode};
    use crate::basic_auth::Credentials;

    fn credentials(user: &str) -> Credentials {
        let mut value = "Basic ".to_owned();
        encode(user.as_bytes(), Padding::Required, &mut value);
        Credentials::parse(&value).expect("credentials")
    }

    /// By `hashlib.pbkdf2_hmac` of Python.
    const ALICE: &str = "alice:$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$Mqp8wAsrOsjVEIymTD0kATxTpTf4f+0ZMgQPDlukk/w";

    #[test]
    fn line_is_that_of_another_implementation() {
        let user = User::new("alice", b"open sesame", b"0123456789abcdef", 1_000).expect("a user");
        assert_eq!(user.line(), ALICE);
        assert_eq!(User::parse(ALICE), Ok(user));
    }

    #[test]
    fn right_password_of_a_known_user_is_found() {
        let zoe = User::new("zo\u{eb}", "p\u{e4}ss:1".as_bytes(), &[7; 16], 2_000).expect("a user");
        let users: Users = [zoe, User::parse(ALICE).expect("a user")].into_iter().collect();
        let found = |user: &str| users.find(&credentials(user)).map(User::name);
        assert_eq!(found("alice:open sesame"), Some("alice"));
        assert_eq!(found("zo\u{eb}:p\u{e4}ss:1"), Some("zo\u{eb}"));
        for other in [
            "alice:open sesamE",
            "alice:",
            "bob:open sesame",
            ":open sesame",
            "Alice:open sesame",
            "zo\u{eb}:open sesame",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(Users::default().find(&credentials("alice:open sesame")), None);
        assert!(Users::default().is_empty() && !users.is_empty());
    }

    #[test]
    fn first_of_two_users_with_one_name_counts() {
        let user =
            |password: &str| User::new("a", password.as_bytes(), &[7; 8], 1_000).expect("a user");
        let users: Users = [user("1"), user("2")].into_iter().collect();
        assert!(users.find(&credentials("a:1")).is_some());
        assert!(users.find(&credentials("a:2")).is_none());
    }

    #[test]
    fn other_line_is_refused() {
        let hash = "A".repeat(43);
        let line = |middle: &str| format!("alice:$pbkdf2-sha256${middle}");
        for (line, fault) in [
            (String::new(), Fault::Colon),
            ("alice".to_owned(), Fault::Colon),
            (":x".to_owned(), Fault::Name),
            ("a\tb:x".to_owned(), Fault::Name),
            (format!("{}:x", "a".repeat(256)), Fault::Name),
            ("alice:open sesame".to_owned(), Fault::Plain),
            ("alice:".to_owned(), Fault::Plain),
            // `htpasswd -d`: crypt.
            ("alice:rqXexS6ZhobKA".to_owned(), Fault::Plain),
            (
                "alice:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/".to_owned(),
                Fault::Foreign("MD5 (`htpasswd -m`, $apr1$)"),
            ),
            (
                "alice:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC".to_owned(),
                Fault::Foreign("bcrypt (`htpasswd -B`, $2y$)"),
            ),
            (
                "alice:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=".to_owned(),
                Fault::Foreign("SHA-1 (`htpasswd -s`, {SHA})"),
            ),
            (
                "alice:$pbkdf2-sha512$i=20000$c2FsdHNhbHQ$x".to_owned(),
                Fault::Foreign("another kind of PBKDF2"),
            ),
            (line(""), Fault::Iterations),
            // passlib's.
            (line(&format!("29000$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=999$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=50001$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=99999999999$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=+1000$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=01000$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line(&format!("i=1000,l=32$c2FsdHNhbHQ${hash}")), Fault::Iterations),
            (line("i=1000"), Fault::Salt),
            (line(&format!("i=1000$c2FsdA${hash}")), Fault::Salt),
            (line(&format!("i=1000$c2FsdHNhbHQ=${hash}")), Fault::Salt),
            (line("i=1000$c2FsdHNhbHQ"), Fault::Hash),
            (line("i=1000$c2FsdHNhbHQ$"), Fault::Hash),
            (line(&format!("i=1000$c2FsdHNhbHQ${hash}A")), Fault::Hash),
            (line(&format!("i=1000$c2FsdHNhbHQ${hash}\r")), Fault::Hash),
            (line(&format!("i=1000$c2FsdHNhbHQ${hash}$")), Fault::Hash),
            (line(&format!("i=1000$c2FsdHNhbHQ${hash}:x")), Fault::Hash),
        ] {
            assert_eq!(User::parse(&line), Err(fault), "{line}");
            assert!(!fault.to_string().contains('\n'));
        }
    }

    #[test]
    fn printed_user_has_no_secret() {
        let user = User::new("alice", b"x", &[7; 16], USUAL_ITERATIONS).expect("a user");
        assert_eq!(format!("{user:?}"), "User { name: \"alice\", .. }");
    }
}
