//! The account at an authority: made once, and kept.

use std::path::{Path, PathBuf};
use std::{error, fmt};

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};

use super::client::Client;
use super::failure::Failure;
use super::options::Options;
use super::record::OfAuthority;
use crate::secret_file::{self, SecretFileError};

/// Why there is no key of an external account.
#[derive(Debug)]
pub enum EabKeyError {
    /// The file cannot be read, or holds no secret.
    File(SecretFileError),
    /// What this file holds is no base64.
    NoBase64(PathBuf),
}

impl fmt::Display for EabKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self {
            EabKeyError::File(error) if error.problem.is_some() => return error.fmt(f),
            EabKeyError::File(error) => &error.path,
            EabKeyError::NoBase64(path) => path,
        };
        write!(
            f,
            "{} holds no key of an external account: write the HMAC key there that the authority gives \
             with the KID, as it is, in base64url",
            path.display()
        )
    }
}

impl error::Error for EabKeyError {}

/// The key that an authority has given for the account: in base64url, which RFC 8555 wants, or in
/// base64, which some give.
pub fn read_eab_key(path: &Path) -> Result<Vec<u8>, EabKeyError> {
    let text = secret_file::read("key of the external account", path).map_err(EabKeyError::File)?;
    decoded(&text).ok_or_else(|| EabKeyError::NoBase64(path.to_owned()))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        // Keys of a password's kind end in any bits.
        .with_decode_allow_trailing_bits(true);
    let by = |alphabet: &Alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    by(&URL_SAFE).or_else(|| by(&STANDARD))
}

/// The account that is kept, or a new one.
pub(super) async fn account(
    client: &Client,
    authority: &OfAuthority,
    options: &Options,
    eab_key: Option<&[u8]>,
) -> Result<Account, Failure> {
    let builder = || Account::builder_with_http(Box::new(client.clone()));
    let kept = authority.account::<AccountCredentials>().map_err(|error| Failure::state(&error))?;
    if let Some(credentials) = kept {
        return Ok(builder().from_credentials(credentials).await?);
    }
    let contact = options.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        // The server has seen to it before.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = options.eab_kid.clone().zip(eab_key);
    let binding = binding.map(|(kid, key)| ExternalAccountKey::new(kid, key));
    let (account, credentials) =
        builder().create(&new, options.directory.clone(), binding.as_ref()).await?;
    authority.keep_account(&credentials).map_err(|error| Failure::state(&error))?;
    Ok(account)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{
        BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD,
    };

    use super::{decoded, read_eab_key};

    #[test]
    fn eab_key_is_read_in_each_form_of_base64() {
        let key = [&[b'k'; 20][..], &[0xfb, 0xff, 0xbf]].concat();
        for text in [
            BASE64_STANDARD.encode(&key),
            BASE64_STANDARD_NO_PAD.encode(&key),
            BASE64_URL_SAFE.encode(&key),
            BASE64_URL_SAFE_NO_PAD.encode(&key),
        ] {
            assert_eq!(decoded(&text).as_ref(), Some(&key), "{text}");
        }
        // Both alphabets in one text, and none.
        for text in ["ab+/ab-_ab+/ab-_", "key:abcdefghijklmn", "abcdefghijklmnop="] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn file_without_eab_key_is_told_with_advice_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for text in ["short", "this is no key at all", "key:abcdefghijklmn"] {
            std::fs::write(&path, text).expect("a file");
            let error = read_eab_key(&path).expect_err(text).to_string();
            assert!(error.contains("HMAC key") && !error.contains("openssl"), "{error}");
        }
    }
}
