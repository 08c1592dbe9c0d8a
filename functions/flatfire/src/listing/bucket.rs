//! Lists a bucket as S3 answers now.

use anyhow::Context as _;
use pipeline::listing::list_versions;
use tokio::sync::mpsc;

use super::order::{Incoming, VersionOrder};
use super::selection::{ListingPage, Selection};
use crate::cloud::Cloud;

/// Lists the selected versions into a channel, until the end, a failure, or the receiver closes.
pub(super) async fn list(
    cloud: &Cloud,
    selection: &Selection,
    sender: &mpsc::Sender<anyhow::Result<ListingPage>>,
) {
    if let Err(error) = send_pages(cloud, selection, sender).await {
        sender.send(Err(error)).await.ok();
    }
}

async fn send_pages(
    cloud: &Cloud,
    selection: &Selection,
    sender: &mpsc::Sender<anyhow::Result<ListingPage>>,
) -> anyhow::Result<()> {
    let Selection { bucket, prefix, .. } = selection;
    let (mut order, mut marker) = (VersionOrder::default(), None);
    loop {
        let page = list_versions(cloud.patient_s3(), bucket, prefix, marker).await;
        let page = page.with_context(|| format!("s3://{bucket}/{prefix}"))?;
        for version in page.versions {
            if !selection.includes(&version.object.key, version.object.created) {
                continue;
            }
            if let Some(page) = order.push(version, Incoming::NewestFirst)
                && sender.send(Ok(page)).await.is_err()
            {
                return Ok(());
            }
        }
        marker = page.next;
        if marker.is_none() {
            break;
        }
    }
    sender.send(Ok(order.finish(Incoming::NewestFirst))).await.ok();
    Ok(())
}
