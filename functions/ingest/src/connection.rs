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

/// Returns the interruption with the code alone: messages name the secret's account and key.
fn refusal<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Interrupted {
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code @ "AccessDeniedException") => stopped(
            &format!("secret: {code}"),
            "grant the function's role secretsmanager:GetSecretValue on the secret",
        ),
        Some(code @ "ResourceNotFoundException") => {
            stopped(&format!("secret: {code}"), "see whether MongodbSecretArn names the secret")
        }
        Some(code @ "DecryptionFailure") => {
            stopped(&format!("secret: {code}"), "grant the function's role kms:Decrypt on the secret's key")
        }
        Some(code @ "InvalidRequestException") => {
            stopped(&format!("secret: {code}"), "see whether the secret is going to be deleted")
        }
        Some(_) | None => Interrupted::Write { code: "secret: not readable now".to_owned() },
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
