//! The account at an authority: made once, and kept.

use std::path::Path;

use base64::Engine;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};

use super::client::Client;
use super::failure::Failure;
use super::options::Options;
use super::store::Folder;

/// The key that an authority has given for the account: as it gives it, in base64url.
pub fn read_eab_key(path: &Path) -> Result<Vec<u8>, crate::secret_file::SecretFileError> {
    let text = crate::secret_file::read("key of the external account", path)?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(&text).or_else(|_| BASE64_URL_SAFE.decode(&text));
    // A key that is no base64 is one as it is.
    Ok(decoded.unwrap_or_else(|_| text.into_bytes()))
}

/// The account that is kept, or a new one.
pub(super) async fn account(
    client: &Client,
    folder: &Folder,
    options: &Options,
    eab_key: Option<&[u8]>,
) -> Result<Account, Failure> {
    let directory = &options.directory;
    let builder = || Account::builder_with_http(Box::new(client.clone()));
    if let Some(credentials) = folder.account::<AccountCredentials>(directory) {
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
        builder().create(&new, directory.clone(), binding.as_ref()).await?;
    folder.keep_account(directory, &credentials).map_err(|error| Failure::state(&error))?;
    Ok(account)
}
