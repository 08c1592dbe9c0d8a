//! `flatfire original`: the exact bytes that a row came from.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use clap::Args;
use flatten::json::{Limits, Tape};
use flatten::reference::is_id;
use pipeline::interrupted::Interrupted;
use pipeline::object::{ObjectRef, Pin, hex};
use pipeline::source::{ReadFailure, Storage};
use pipeline::store::standing::RowOrigin;
use sha2::{Digest as _, Sha256};

use crate::archived::restore_command;
use crate::cloud::Cloud;
use crate::console;
use crate::load::content_of;
use crate::origin;
use crate::outcome::Outcome;
use crate::replay::record_bytes;
use crate::settings::Destination;

/// Print the exact bytes that a row, or an archived resource, came from.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct OriginalArguments {
    #[command(flatten)]
    destination: Destination,
    /// The `_id` of a row, such as `Patient/123` or `Patient/123#/name/0`
    #[arg(value_name = "ROW_ID|KEY")]
    id: String,
    /// Print where the bytes are, and do not read them: object, version, record and bytes, counted after decompression
    #[arg(long = "where", conflicts_with = "sha256")]
    shows_place: bool,
    /// Print the SHA-256 of the bytes instead
    #[arg(long)]
    sha256: bool,
}

const NOTES: &str = "\
The record is cut out of its object: exactly the version that was loaded, whatever the compression. It is printed only if
the object is what it was: by its version or ETag in S3, by its SHA-256 on disk. Credentials and region of AWS are found
where the AWS command line finds them. They need s3:GetObject and s3:GetObjectVersion.

Exit codes: 0 printed, 2 there are no such bytes any more (no such row; the object is gone, archived or changed), 1 failed.";

/// Why there are no bytes.
enum Missing {
    /// The object does not exist any more.
    Gone,
    /// It is in Glacier.
    Archived,
    /// It holds other bytes by now.
    Changed,
}

/// Prints what is asked for.
pub(crate) async fn run(arguments: OriginalArguments) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let id = &arguments.id;
    let Some(row) = store.row_origin(id).await? else {
        console::line(&format!("flatfire: no table has a row {id}, and the archive no such resource"));
        return Ok(Outcome::Partial);
    };
    let Some(object) = origin::object(&row.source, &row.load, 0) else {
        anyhow::bail!("{id}: the row says where it came from in a form that this version does not read");
    };
    if arguments.shows_place {
        console::print(&place(&object, &row))?;
        return Ok(Outcome::Done);
    }
    match read(&object, &row, id).await? {
        Ok(bytes) if arguments.sha256 => console::print(&hex(&Sha256::digest(&bytes), 32))?,
        Ok(bytes) => write(&bytes)?,
        Err(missing) => {
            console::line(&format!("flatfire: {id}: {}", explained(&missing, &object)));
            return Ok(Outcome::Partial);
        }
    }
    Ok(Outcome::Done)
}

/// Reads the record of a row. The inner error says why it is not there.
async fn read(object: &ObjectRef, row: &RowOrigin, id: &str) -> anyhow::Result<Result<Vec<u8>, Missing>> {
    let storage = if object.bucket == "file" {
        let path = Path::new(&object.key);
        match content_of(path).await {
            Ok(pin) if object.pin == Pin::Latest || pin == object.pin => Storage::File(path.to_owned()),
            Ok(_) => return Ok(Err(Missing::Changed)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Missing::Gone)),
            Err(error) => anyhow::bail!("{}: {error}", object.key),
        }
    } else {
        Cloud::new().await.storage()
    };
    match record_bytes(&storage, object, row.source.offset, row.source.length).await {
        Ok(Some(bytes)) if is_of(&bytes, id) => Ok(Ok(bytes)),
        Ok(_) => Ok(Err(Missing::Changed)),
        // S3 answers so where the ETag is another one by now, too.
        Err(ReadFailure::Gone) => Ok(Err(Missing::Gone)),
        Err(ReadFailure::Interrupted(Interrupted::Read { code })) if code == "InvalidObjectState" => {
            Ok(Err(Missing::Archived))
        }
        Err(ReadFailure::Interrupted(interrupted)) => anyhow::bail!(console::explained(&interrupted)),
    }
}

/// Returns whether bytes are a resource of the key that the id begins with, as far as they say it.
fn is_of(bytes: &[u8], id: &str) -> bool {
    let key = id.split('#').next().unwrap_or_default();
    let limits = Limits { depth: 512, bytes: u32::MAX as usize, values: usize::MAX };
    let mut tape = Tape::default();
    let Ok(document) = tape.parse(bytes, limits) else { return false };
    let text = |name: &str| document.root().get_text(name).map(std::borrow::Cow::into_owned);
    match (text("resourceType"), text("id").filter(|id| is_id(id))) {
        (Some(resource_type), Some(own)) => key == format!("{resource_type}/{own}"),
        (Some(resource_type), None) => key.split('/').next() == Some(resource_type.as_str()),
        (None, _) => false,
    }
}

/// Writes exactly these bytes to standard output. A reader who leaves has seen enough.
fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Returns the place in one line, as `flatfire find` prints it.
fn place(object: &ObjectRef, row: &RowOrigin) -> String {
    let version = match &object.pin {
        Pin::VersionId(version) => format!("version {version}\t"),
        Pin::ETag(tag) => format!("etag {tag}\t"),
        Pin::Latest => String::new(),
    };
    let (first, ordinal) = (row.source.offset, row.source.ordinal);
    let last = first + row.source.length.saturating_sub(1);
    format!("{}\t{version}record {ordinal}\tbytes {first}-{last}", name_of(object))
}

fn explained(missing: &Missing, object: &ObjectRef) -> String {
    let name = name_of(object);
    match (missing, object.bucket.as_str()) {
        (Missing::Gone, "file") => format!("{name} is not there any more, as seen from this folder"),
        (Missing::Gone, _) => match &object.pin {
            Pin::VersionId(version) => format!("version {version} of {name} is gone"),
            Pin::ETag(_) | Pin::Latest => format!("{name} is gone, or was overwritten"),
        },
        (Missing::Archived, _) => {
            format!("{name} is in Glacier; restore it, then try again:\n{}", restore_command(object))
        }
        (Missing::Changed, _) => format!("{name} has other bytes than those that were loaded"),
    }
}

fn name_of(object: &ObjectRef) -> String {
    if object.bucket == "file" {
        object.key.clone()
    } else {
        format!("s3://{}/{}", object.bucket, object.key)
    }
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn bytes_are_of_a_key_unless_they_say_another() {
        let patient = br#"{"resourceType":"Patient","id":"1"}"#;
        assert!(is_of(patient, "Patient/1") && is_of(patient, "Patient/1#/name/0"));
        assert!(!is_of(patient, "Patient/2") && !is_of(patient, "Observation/1"));
        assert!(is_of(br#"{"resourceType":"Patient"}"#, "Patient/0123abcd"));
        assert!(!is_of(br#"{"resourceType":"Patient","id":"1""#, "Patient/1"));
        assert!(!is_of(b"[]", "Patient/1"));
    }
}
