//! One order, from its beginning or from where it was left, to the certificate (RFC 8555,
//! section 7.4).
//!
//! What cannot be had again is on disk before it is needed: the key before the order, the order's
//! URL before its challenges; and it stays there until the record says that the order is over. So one that
//! was interrupted goes on, and is not begun again.

use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize};

use super::challenges::{Pending, challenge, is_token};
use super::failure::Failure;
use super::installed::InstallError;
use super::name::Name;
use super::options::{ChallengeKind, KeyType, Options};
use super::record::{OfAuthority, Record};

/// How long an authority may take to see a proof, and to sign: Let's Encrypt looks from several
/// places of the world, and may be busy.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(180));

/// An order for one name, while it runs.
pub(super) struct OrderRun<'a> {
    /// At this authority.
    pub(super) account: &'a Account,
    /// Where all of it is kept.
    pub(super) authority: &'a OfAuthority,
    /// How.
    pub(super) options: &'a Options,
    /// For this name.
    pub(super) name: &'a Name,
    /// The certificate that it takes the place of.
    pub(super) replaces: Option<CertificateIdentifier<'static>>,
}

impl OrderRun<'_> {
    /// Obtains a certificate and puts it in place. Tells when it expires.
    pub(super) async fn run(&self, record: &mut Record) -> Result<SystemTime, Failure> {
        let (key, is_kept) = self.key(record)?;
        let mut order = self.order(record, is_kept).await?;
        let outcome = self.finish(&mut order, record, &key).await;
        let is_over = match &outcome {
            Ok(_) => true,
            Err(failure) => failure.is_final || order.state().status == OrderStatus::Invalid,
        };
        if is_over {
            record.order = None;
        }
        outcome
    }

    async fn finish(
        &self,
        order: &mut Order,
        record: &Record,
        key: &KeyPair,
    ) -> Result<SystemTime, Failure> {
        if order.state().authorizations.len() > 1 {
            let failure = garbled("there is more than one authorization for one name");
            return Err(Failure { is_final: true, ..failure });
        }
        if order.state().status == OrderStatus::Pending {
            self.prove(order, record).await?;
        }
        if order.state().status == OrderStatus::Ready {
            order.finalize_csr(&self.request(key)?).await?;
        }
        if order.state().status == OrderStatus::Invalid {
            return Err(self.refusal(order).await);
        }
        let chain = match order.certificate().await? {
            Some(chain) => chain,
            None => order.poll_certificate(&PATIENCE).await?,
        };
        let installed = self.authority.install(self.name, &chain, &key.serialize_pem());
        installed.map_err(|error| {
            let advice = match &error {
                InstallError::Io(error) => return Failure::state(error),
                InstallError::Expired(_) | InstallError::NotYetValid(_) => {
                    "see whether this machine has the right time; the certificate is downloaded again"
                }
                _ => {
                    "see the authority's documentation: it sent another certificate than was ordered"
                }
            };
            // It is downloaded again, and no other is ordered: the clock may be wrong.
            Failure::local("certificate", error, advice)
        })
    }

    /// The key of the order, and whether it was there: the one of an order that goes on, or a new one.
    fn key(&self, record: &Record) -> Result<(KeyPair, bool), Failure> {
        if record.order.is_some() {
            let kept = self.authority.order_key(self.name);
            let kept = kept.map_err(|error| Failure::state(&error))?;
            if let Some(Ok(key)) = kept.as_deref().map(KeyPair::from_pem) {
                return Ok((key, true));
            }
        }
        let key = match self.options.key_type {
            KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
            KeyType::Rsa4096 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)
            }
        };
        let key =
            key.map_err(|error| Failure::local("key", error, "set another --acme-key-type"))?;
        let kept = self.authority.keep_order_key(self.name, &key.serialize_pem());
        kept.map_err(|error| Failure::state(&error))?;
        Ok((key, false))
    }

    /// The request that the authority signs.
    fn request(&self, key: &KeyPair) -> Result<Vec<u8>, Failure> {
        let request = CertificateParams::new([self.name.to_string()]).and_then(|mut params| {
            params.distinguished_name = DistinguishedName::new();
            params.serialize_request(key)
        });
        let request = request.map_err(|error| Failure::local("request", error, "report this"))?;
        Ok(request.der().to_vec())
    }

    /// The order that was begun, if it can go on, or a new one.
    async fn order(&self, record: &mut Record, has_key: bool) -> Result<Order, Failure> {
        if let Some(url) = &record.order {
            match self.account.order(url.clone()).await {
                Ok(mut order) => match order.state().status {
                    OrderStatus::Invalid => {}
                    // It is for a key that is lost.
                    OrderStatus::Processing | OrderStatus::Valid if !has_key => {}
                    _ => return Ok(order),
                },
                Err(Error::Api(problem)) if is_about_another(&problem) => {}
                // What is kept is no URL.
                Err(Error::Http(_) | Error::InvalidUri(_)) => {}
                Err(error) => return Err(error.into()),
            }
            record.order = None;
        }
        let identifiers = [match self.name.address() {
            Some(address) => Identifier::Ip(address),
            None => Identifier::Dns(self.name.to_string()),
        }];
        let new = |replaces: Option<CertificateIdentifier<'static>>| {
            let mut new = NewOrder::new(&identifiers);
            if let Some(profile) = &self.options.profile {
                new = new.profile(profile);
            }
            match replaces {
                Some(replaces) => new.replaces(replaces),
                None => new,
            }
        };
        let ordered = match &self.replaces {
            Some(replaces) => match self.account.new_order(&new(Some(replaces.clone()))).await {
                // An authority without ARI, or one that another order has replaced already.
                Err(Error::Unsupported(_)) => self.account.new_order(&new(None)).await,
                Err(Error::Other(error)) if is_mismatch(&*error) => {
                    self.account.new_order(&new(None)).await
                }
                Err(Error::Api(problem)) if is_about_replacing(&problem) => {
                    self.account.new_order(&new(None)).await
                }
                ordered => ordered,
            },
            None => self.account.new_order(&new(None)).await,
        };
        let order = ordered?;
        record.order = Some(order.url().to_owned());
        // One that is interrupted goes on at once: it is known by there being no error.
        record.error = None;
        let kept = self.authority.keep_record(self.name, record);
        kept.map_err(|error| Failure::state(&error))?;
        Ok(order)
    }

    /// Proves the name.
    async fn prove(&self, order: &mut Order, record: &Record) -> Result<(), Failure> {
        // Removed in the end, also where this is given up in between.
        let mut pending = self.authority.folder.no_challenges();
        let outcome = self.respond(order, record, &mut pending).await;
        match outcome {
            Ok(()) => match order.poll_ready(&PATIENCE).await {
                Ok(OrderStatus::Invalid) => Err(self.refusal(order).await),
                Err(Error::Api(problem)) => Err(self.refusal_or(order, &problem).await),
                polled => polled.map(drop).map_err(Failure::from),
            },
            Err(failure) => Err(failure),
        }
    }

    async fn respond(
        &self,
        order: &mut Order,
        record: &Record,
        pending: &mut Pending<'_>,
    ) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                // The order's state says the rest.
                _ => return Ok(()),
            }
            let kind = self.kind(record, |kind| {
                let kind = kind_of(kind);
                authorization.challenges.iter().any(|challenge| challenge.r#type == kind)
            })?;
            let Some(mut handle) = authorization.challenge(kind_of(kind)) else { continue };
            if !is_token(&handle.token) {
                return Err(garbled("the token of a challenge is none"));
            }
            let key_authorization = handle.key_authorization();
            let put = challenge(self.name, &handle.token, key_authorization.as_str());
            pending.put(&put).map_err(|error| Failure::state(&error))?;
            // One that was interrupted is being looked at already.
            if handle.status == ChallengeStatus::Pending {
                handle.set_ready().await?;
            }
        }
        Ok(())
    }

    /// How the name is proved: after a failure by the next kind, as one of the ports may be out of
    /// reach.
    fn kind(
        &self,
        record: &Record,
        is_offered: impl Fn(ChallengeKind) -> bool,
    ) -> Result<ChallengeKind, Failure> {
        let kinds: Vec<_> =
            self.options.challenges.iter().copied().filter(|kind| is_offered(*kind)).collect();
        if kinds.is_empty() {
            let wanted: Vec<_> = self.options.challenges.iter().map(|kind| kind.name()).collect();
            let detail =
                format!("the authority offers none of the challenges {}", wanted.join(", "));
            let advice = "http-01 needs a plain listener, tls-alpn-01 one for TLS; see \
                          --acme-challenge";
            return Err(Failure::local("challenge", detail, advice));
        }
        // The attempt in progress counts as a failure until it is over.
        Ok(kinds[(record.failures.max(1) as usize - 1) % kinds.len()])
    }

    /// Why an order is invalid: what the authority says of its proofs.
    async fn refusal(&self, order: &mut Order) -> Failure {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if authorization.refresh().await.is_err() {
                continue;
            }
            let errors = authorization.challenges.iter().find_map(|it| it.error.as_ref());
            if let Some(problem) = errors {
                let mut failure = Failure::problem(problem);
                failure.is_final = true;
                return failure;
            }
        }
        let mut failure = match &order.state().error {
            Some(problem) => Failure::problem(problem),
            None => Failure::local(
                "invalid",
                "the authority says that the order is invalid, and not why",
                "see whether the name leads to this server",
            ),
        };
        failure.is_final = true;
        failure
    }

    async fn refusal_or(&self, order: &mut Order, problem: &instant_acme::Problem) -> Failure {
        if order.state().status == OrderStatus::Invalid {
            return self.refusal(order).await;
        }
        Failure::problem(problem)
    }
}

fn kind_of(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

fn garbled(detail: &str) -> Failure {
    let advice = "see whether --acme-directory is the URL of an ACME directory";
    Failure::local("garbled", detail, advice)
}

/// An order that is not known any more, or that was made with another account.
fn is_about_another(problem: &instant_acme::Problem) -> bool {
    let code = problem.r#type.as_deref().unwrap_or_default();
    let is_of_it = code.ends_with(":malformed") || code.ends_with(":unauthorized");
    is_of_it || problem.status == Some(404)
}

/// An authority that has left out what the order replaces: of the client of the protocol, which has no
/// kind of error for it.
fn is_mismatch(error: &dyn std::error::Error) -> bool {
    error.to_string().starts_with("replaces field mismatch")
}

/// RFC 9773, section 5: the certificate was replaced already, or is not of this authority.
fn is_about_replacing(problem: &instant_acme::Problem) -> bool {
    let code = problem.r#type.as_deref().unwrap_or_default();
    let is_of_it = code.ends_with(":alreadyReplaced") || code.ends_with(":malformed");
    is_of_it || problem.status == Some(404) || problem.status == Some(409)
}
