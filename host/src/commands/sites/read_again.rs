//! What any reload reads again of sites that stay: guests, rules, roots and certificates. What could not
//! be ordered is tried again.

use std::path::PathBuf;
use std::sync::Arc;

use crate::acme::Link;
use crate::admin::{BrokenSite, Reload, Reloaded};
use crate::cli::SiteSettings;
use crate::release::deploy::Deployer;
use crate::tls::certificates::Keeper;

/// Reads the guest of the one site again, and the certificates. Tries again what could not be ordered.
pub(in crate::commands) fn of_one(
    deployer: Arc<Deployer>,
    keeper: Option<Arc<Keeper>>,
    link: Option<Arc<Link>>,
) -> Reload {
    Arc::new(move || {
        let (deployer, keeper) = (Arc::clone(&deployer), keeper.clone());
        let ordering = link.as_ref().and_then(|link| retry_orders(link));
        Box::pin(async move {
            let sites = [(String::new(), deployer)];
            let mut rejected = read_again(&sites, &[], keeper.as_deref()).await;
            rejected.extend(ordering);
            Ok(Reloaded { rejected, ..Reloaded::default() })
        })
    })
}

/// Tries again what could not be ordered. Tells where nothing is ordered any more.
pub(super) fn retry_orders(link: &Link) -> Option<BrokenSite> {
    link.retry();
    let error =
        "no certificates are ordered: the process that does so has ended; restart the server";
    link.has_ended().then(|| BrokenSite { name: String::new(), error: error.to_owned() })
}

/// Returns the sites whose guest, rules or root were not put in service, and what certificates were
/// not, each with the site of these whose it is.
pub(super) async fn read_again(
    sites: &[(String, Arc<Deployer>)],
    settings: &[SiteSettings],
    keeper: Option<&Keeper>,
) -> Vec<BrokenSite> {
    let certificates = async {
        let rejected = match keeper {
            Some(keeper) => keeper.reload().await,
            None => Vec::new(),
        };
        let of = |path: &PathBuf| {
            let has = |site: &&SiteSettings| {
                site.tls.certificates.contains(path) || site.tls.keys.contains(path)
            };
            let site = settings.iter().find(has);
            site.map_or_else(String::new, |site| site.identity.name.clone())
        };
        rejected
            .iter()
            .map(|error| BrokenSite { name: of(&error.path), error: error.to_string() })
            .collect::<Vec<_>>()
    };
    let guests = sites.iter().map(|(name, deployer)| async {
        let error = deployer.reload().await?;
        Some(BrokenSite { name: name.clone(), error })
    });
    let (rejected, certificates) =
        tokio::join!(futures_util::future::join_all(guests), certificates);
    rejected.into_iter().flatten().chain(certificates).collect()
}
