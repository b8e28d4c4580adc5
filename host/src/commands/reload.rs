//! What SIGHUP and `POST /reload` do: guests, certificates and the sites of the configuration are read
//! again.

use std::sync::Arc;

use crate::admin::{Reload, Reloaded};
use crate::release::deploy::Deployer;
use crate::tls::certificates::Keeper;

/// Reads the guest of the one site again, and the certificates.
pub(super) fn of_one(deployer: Arc<Deployer>, keeper: Option<Arc<Keeper>>) -> Reload {
    Box::new(move || {
        let (deployer, keeper) = (Arc::clone(&deployer), keeper.clone());
        Box::pin(async move {
            let certificates = async {
                if let Some(keeper) = keeper {
                    keeper.reload().await;
                }
            };
            tokio::join!(deployer.reload(), certificates);
            Ok(Reloaded::default())
        })
    })
}
