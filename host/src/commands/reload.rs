//! What SIGHUP and `POST /reload` do: guests, certificates and the sites of the configuration are read
//! again.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::admin::{Reload, Reloaded};
use crate::release::deploy::Deployer;
use crate::tls::certificates::Keeper;

/// Reads the guests of all sites again, and the certificates.
pub(super) fn of_all(deployers: Vec<Arc<Deployer>>, keeper: Option<Arc<Keeper>>) -> Reload {
    Box::new(move || {
        let (deployers, keeper) = (deployers.clone(), keeper.clone());
        Box::pin(async move {
            let certificates = async {
                if let Some(keeper) = keeper {
                    keeper.reload().await;
                }
            };
            let reload = |deployer: Arc<Deployer>| async move { deployer.reload().await };
            let guests = deployers.into_iter().map(reload).collect::<JoinSet<_>>();
            tokio::join!(guests.join_all(), certificates);
            Ok(Reloaded::default())
        })
    })
}
