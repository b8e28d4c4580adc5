//! Problems of a chain that some clients stumble over. None of them keeps it from being used.

use std::fmt;
use std::time::SystemTime;

use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

use super::leaf::{Leaf, alternative_names};
use crate::text::short_name;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainProblem {
    /// The issuer of the only certificate is not with it.
    NoIntermediate {
        /// The issuer.
        issuer: String,
    },
    /// A certificate did not issue the one before it: its number, from 1.
    OutOfOrder(usize),
    /// A certificate after the first is not valid now: its number, from 1.
    NotValid(usize),
    /// It has no name that a client could ask for.
    NoNames,
    /// It has names that no client can ask for.
    UselessNames,
    /// Its extended key usage has no `serverAuth`.
    NotForServers,
    /// Its RSA key has this many bits.
    LargeKey(usize),
}

/// Bits of an RSA key whose signature takes a worker no longer than dozens of requests do: a handshake
/// takes 0.6 ms with 2,048 bits, 1.9 ms with 4,096, and eight times as long with twice as many.
const USUAL_RSA_BITS: usize = 4096;

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainProblem::NoIntermediate { issuer } => write!(
                f,
                "no intermediate certificate: clients that do not trust its issuer, {issuer}, \
                 itself refuse it (authorities give a file such as fullchain.pem)"
            ),
            ChainProblem::OutOfOrder(number) => write!(
                f,
                "certificate {number} did not issue the one before it: each issuer follows the \
                 certificate that it issued"
            ),
            ChainProblem::NotValid(number) => {
                write!(f, "certificate {number}, an intermediate one, is expired or not valid yet")
            }
            ChainProblem::NoNames => f.write_str(
                "no subject alternative name: clients refuse it (its common name does not count)",
            ),
            ChainProblem::UselessNames => f.write_str(
                "some of its names are not used: a name is a DNS name, with * for its whole first \
                 label or without, or an address",
            ),
            ChainProblem::NotForServers => {
                f.write_str("its extended key usage lacks serverAuth: clients refuse it")
            }
            ChainProblem::LargeKey(bits) => write!(
                f,
                "its RSA key has {bits} bits: each handshake keeps a worker busy for as long as \
                 hundreds of requests do (2,048 bits, or ECDSA, are enough)"
            ),
        }
    }
}

/// The problems of a chain, the leaf first.
pub(super) fn problems(
    chain: &[X509Certificate<'_>],
    leaf: &Leaf,
    now: SystemTime,
) -> Vec<ChainProblem> {
    let mut problems = Vec::new();
    let Some(first) = chain.first() else { return problems };
    if leaf.names.is_empty() {
        problems.push(ChainProblem::NoNames);
    } else if alternative_names(first).count() > leaf.names.len() {
        problems.push(ChainProblem::UselessNames);
    }
    if let Ok(Some(usage)) = first.extended_key_usage()
        && !usage.value.server_auth
        && !usage.value.any
    {
        problems.push(ChainProblem::NotForServers);
    }
    if let Ok(key @ PublicKey::RSA(_)) = first.public_key().parsed()
        && key.key_size() > USUAL_RSA_BITS
    {
        problems.push(ChainProblem::LargeKey(key.key_size()));
    }
    if chain.len() == 1 && first.issuer().as_raw() != first.subject().as_raw() {
        let issuer = short_name(&first.issuer().to_string());
        problems.push(ChainProblem::NoIntermediate { issuer });
    }
    let is_issued =
        |pair: &[X509Certificate<'_>]| pair[0].issuer().as_raw() == pair[1].subject().as_raw();
    let out_of_order = chain.windows(2).position(|pair| !is_issued(pair));
    problems.extend(out_of_order.map(|index| ChainProblem::OutOfOrder(index + 2)));
    for (index, certificate) in chain.iter().enumerate().skip(1) {
        let issuer = Leaf::new(certificate, &[]);
        if !issuer.is_valid(now) {
            problems.push(ChainProblem::NotValid(index + 1));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::{ChainProblem, problems};
    use crate::tls::certificates::leaf::{Leaf, parse};

    /// Made by openssl, as it takes seconds.
    const LARGE: &[u8] = include_bytes!("../../../tests/certificates/rsa-8192.pem");

    #[test]
    fn rsa_key_of_unusual_size_is_a_problem() {
        let der = CertificateDer::from_pem_slice(LARGE).expect("a certificate");
        let certificate = parse(&der).expect("a certificate");
        let leaf = Leaf::new(&certificate, &der);
        let found = problems(&[certificate], &leaf, SystemTime::now());
        assert_eq!(found, [ChainProblem::LargeKey(8192)]);
    }
}
