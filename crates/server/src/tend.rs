//! Looks after machines that people work in.
//!
//! A machine reads its disk through a process of its own. When that dies, the guest stands still until a connector
//! looks at the machine, which starts it again: so somebody must look, also when no client asks.

use crate::catalog::{ConnectorRow, VersionRow};
use crate::error::{Result, chain};
use crate::world::World;
use shale_connector::Tag;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// Looks now and again, until the server ends.
pub async fn forever(world: Arc<World>) {
    loop {
        let looked = {
            let world = world.clone();
            tokio::task::spawn_blocking(move || tend(&world)).await
        };
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "machines could not be looked after"),
            Err(error) => tracing::error!(%error, "looking after machines died"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Looks once at every machine that a version is made in.
pub fn tend(world: &World) -> Result<()> {
    let (versions, connectors) = world.wait(async {
        let mut tx = world.catalog.read().await?;
        Ok::<_, crate::error::Error>((
            VersionRow::with_machine(&mut tx).await?,
            ConnectorRow::list(&mut tx).await?,
        ))
    })?;
    for version in versions {
        let row = connectors.iter().find(|row| Some(row.id) == version.connector_id);
        let Some(connector) = row.and_then(|row| world.connector(row).ok()) else { continue };
        let seen = Tag::parse(&version.id.to_string()).and_then(|tag| connector.observe(&tag));
        if let Err(error) = seen {
            tracing::warn!(version = %version.id, error = chain(&error), "a machine could not be looked at");
        }
    }
    Ok(())
}
