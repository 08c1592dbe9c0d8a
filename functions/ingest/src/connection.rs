//! The connection string: from the settings, or from the secret that they name.

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use pipeline::interrupted::Interrupted;

use crate::database::is_uri;
use crate::settings::ConnectionSource;

impl ConnectionSource {
    /// Returns the connection string. A secret is asked for anew each time, so that a rotated one is found.
    pub(crate) async fn uri(&self, secrets: &aws_sdk_secretsmanager::Client) -> Result<String, Interrupted> {
        match self {
            Self::Uri(uri) => Ok(uri.clone()),
            Self::SecretArn(arn) => {
                let answer = secrets
                    .get_secret_value()
                    .secret_id(arn)
                    .send()
                    .await
                    .map_err(|error| refusal(&error))?;
                let uri = answer.secret_string().and_then(uri_of_secret);
                uri.ok_or_else(|| {
                    stopped(
                        "the secret holds no connection string",
                        "put it there, alone or as `uri` of a JSON object",
                    )
                })
            }
        }
    }
}

/// Returns the connection string of a secret: it is the secret itself or a JSON object with it as `uri`.
fn uri_of_secret(secret: &str) -> Option<String> {
    let written: Option<serde_json::Value> = serde_json::from_str(secret).ok();
    let uri = written.as_ref().and_then(|written| written.get("uri")?.as_str()).unwrap_or(secret).trim();
    is_uri(uri).then(|| uri.to_owned())
}

/// The refusals of Secrets Manager that no attempt overcomes: its code, and what to do.
const REFUSALS: [(&str, &str); 4] = [
    ("AccessDeniedException", "grant the function's role secretsmanager:GetSecretValue on the secret"),
    ("ResourceNotFoundException", "see whether MongodbSecretArn names the secret"),
    ("DecryptionFailure", "grant the function's role kms:Decrypt on the secret's key"),
    ("InvalidRequestException", "see whether the secret is going to be deleted"),
];

const NOT_READABLE_NOW: &str = "secret: not readable now";

/// Returns the codes of a secret that cannot be read, as the log has them.
pub fn secret_codes() -> impl Iterator<Item = String> {
    let refusals = REFUSALS.iter().map(|(code, _)| format!("secret: {code}"));
    refusals.chain([NOT_READABLE_NOW.to_owned()])
}

/// Returns the interruption with the code alone: messages name the secret's account and key.
fn refusal<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Interrupted {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match REFUSALS.iter().find(|(refusal, _)| code == Some(*refusal)) {
        Some((code, remedy)) => stopped(&format!("secret: {code}"), remedy),
        None => Interrupted::Write { code: NOT_READABLE_NOW.to_owned() },
    }
}

fn stopped(code: &str, remedy: &str) -> Interrupted {
    Interrupted::Stopped { code: code.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::uri_of_secret;

    #[test]
    fn a_secret_is_a_string_or_an_object() {
        let uri = Some("mongodb+srv://user:p%40ss@cluster.example/".to_owned());
        assert_eq!(uri_of_secret("mongodb+srv://user:p%40ss@cluster.example/"), uri);
        assert_eq!(uri_of_secret(" mongodb+srv://user:p%40ss@cluster.example/\n"), uri);
        assert_eq!(
            uri_of_secret(r#"{"uri": "mongodb+srv://user:p%40ss@cluster.example/", "engine": "mongo"}"#),
            uri
        );
    }

    #[test]
    fn anything_else_is_none() {
        for secret in
            ["", "{}", r#"{"uri": 7}"#, r#"{"password": "p"}"#, "postgres://localhost/", r#"{"uri": ""}"#]
        {
            assert_eq!(uri_of_secret(secret), None, "{secret}");
        }
    }
}
