//! What proves names while they are ordered: a file for each challenge, for all servers of a
//! folder.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::name::Name;
use super::protocol::{CHALLENGES, Challenge};
use super::store::{Folder, read_private};

/// Files that are looked through.
const LOOKED_THROUGH: usize = 1_000;

/// A challenge that is older was left by a fetcher that was killed.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Characters of a token (RFC 8555, section 8.1, wants 22 at least).
pub(super) const MAX_TOKEN: usize = 200;

/// Characters of the token, a dot and the thumbprint of a key by SHA-256.
pub(super) const MAX_KEY_AUTHORIZATION: usize = MAX_TOKEN + 60;

/// Whether this can be a token: it becomes the name of a file (RFC 8555, section 8.1).
pub(super) fn is_token(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(is_byte)
}

/// Challenges of an order in progress. They are removed when this is dropped.
pub(super) struct Pending<'a> {
    folder: &'a Folder,
    tokens: Vec<String>,
}

impl Pending<'_> {
    /// Has a challenge be answered.
    pub(super) fn put(&mut self, challenge: &Challenge) -> io::Result<()> {
        self.folder.clear_challenges();
        self.tokens.push(challenge.token.clone());
        let path = self.folder.challenges().join(&challenge.token);
        self.folder.write(&path, &serde_json::to_vec(challenge)?)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        for token in &self.tokens {
            // Without it there is nothing to remove.
            let _ = fs::remove_file(self.folder.challenges().join(token));
        }
    }
}

impl Folder {
    /// None, of an order that begins.
    pub(super) fn no_challenges(&self) -> Pending<'_> {
        Pending { folder: self, tokens: Vec::new() }
    }

    /// The challenges of orders in progress, those of the latest if there are too many.
    pub(super) fn list_challenges(&self) -> Vec<Challenge> {
        let Ok(entries) = fs::read_dir(self.challenges()) else { return Vec::new() };
        let found = entries.take(LOOKED_THROUGH).flatten().filter_map(|entry| {
            let token = entry.file_name().into_string().ok().filter(|token| is_token(token))?;
            Some((entry.metadata().ok()?.modified().ok()?, token))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        let challenges = found.into_iter().take(CHALLENGES).filter_map(|(_, token)| {
            let text = read_private(&self.challenges().join(&token)).ok()??;
            let challenge: Challenge = serde_json::from_str(&text).ok()?;
            let is_of_it = challenge.token == token
                && challenge.key_authorization.len() <= MAX_KEY_AUTHORIZATION;
            is_of_it.then_some(challenge)
        });
        challenges.collect()
    }

    fn clear_challenges(&self) {
        let Ok(entries) = fs::read_dir(self.challenges()) else { return };
        for entry in entries.flatten().take(LOOKED_THROUGH) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Where they are.
    pub fn challenges(&self) -> PathBuf {
        self.private().join("challenges")
    }

    /// Has them be put in another folder, whose server answers for them.
    pub fn prove_in(&self, other: &Folder) -> io::Result<()> {
        fs::remove_dir(self.challenges())?;
        symlink(other.challenges(), self.challenges())
    }
}

/// A challenge for a name.
pub(super) fn challenge(name: &Name, token: &str, key_authorization: &str) -> Challenge {
    Challenge {
        name: name.clone(),
        token: token.to_owned(),
        key_authorization: key_authorization.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{MAX_TOKEN, challenge, is_token};
    use crate::acme::protocol::CHALLENGES;
    use crate::acme::store::Folder;

    #[test]
    fn token_is_the_name_of_a_file() {
        for text in ["a", "A-_9", &"a".repeat(MAX_TOKEN)] {
            assert!(is_token(text), "{text}");
        }
        for text in ["", ".", "..", "a/b", "../a", "a.b", "a\0", &"a".repeat(MAX_TOKEN + 1)] {
            assert!(!is_token(text), "{text}");
        }
    }

    #[test]
    fn challenges_are_listed_while_they_are_pending() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let name = "a.example".parse().expect("a name");
        let mut pending = folder.no_challenges();
        for number in 0..=CHALLENGES {
            let token = format!("token-{number}");
            pending.put(&challenge(&name, &token, &format!("{token}.x"))).expect("a challenge");
        }
        let listed = folder.list_challenges();
        assert_eq!(listed.len(), CHALLENGES);
        assert_eq!(listed[0].name, name);
        drop(pending);
        assert!(folder.list_challenges().is_empty());
    }

    #[test]
    fn file_that_is_no_challenge_is_not_listed() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let challenges = folder.challenges();
        let name = "a.example".parse().expect("a name");
        let own = challenge(&name, "other", "other.x");
        let secret = place.path().join("secret");
        fs::write(&secret, serde_json::to_vec(&own).expect("JSON")).expect("a file");
        symlink(&secret, challenges.join("other")).expect("a link");
        // Of another token, no JSON, longer than it can be, and a folder.
        fs::write(challenges.join("one"), serde_json::to_vec(&own).expect("JSON")).expect("a file");
        fs::write(challenges.join("two"), "{").expect("a file");
        let long = challenge(&name, "three", &"x".repeat(20_000));
        fs::write(challenges.join("three"), serde_json::to_vec(&long).expect("JSON"))
            .expect("a file");
        fs::create_dir(challenges.join("four")).expect("a folder");
        assert!(folder.list_challenges().is_empty());
    }
}
