//! `containers-auth.json(5)` and Docker's `config.json`: which credentials go to which registry.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::reference::ImageReference;

/// What proves who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Password { username, .. } => write!(f, "Password({username}:***)"),
            Credentials::IdentityToken(_) => f.write_str("IdentityToken(***)"),
        }
    }
}

/// One parsed credentials file.
#[derive(Debug, Clone, Default)]
pub struct AuthFile {
    auths: BTreeMap<String, Credentials>,
    helpers: BTreeMap<String, String>,
    default_helper: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    auths: BTreeMap<String, WireEntry>,
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    creds_store: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct WireEntry {
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    auth: String,
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    identitytoken: String,
}

impl AuthFile {
    /// Parses `auth.json` or `config.json`; `origin` is its path, for messages.
    ///
    /// # Errors
    /// [`Error::Config`]; the text of the file never appears in it.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let invalid = |problem: String| Error::Config {
            what: origin.to_owned(),
            problem,
        };
        let wire: Wire = serde_json::from_str(text).map_err(|error| {
            invalid(format!("line {}, column {}", error.line(), error.column()))
        })?;
        let mut auths = BTreeMap::new();
        for (key, entry) in wire.auths {
            let credentials = entry
                .credentials()
                .map_err(|problem| invalid(format!("{problem} for {key:?}")))?;
            if let Some(credentials) = credentials {
                auths.insert(normalise_key(&key), credentials);
            }
        }
        Ok(AuthFile {
            auths,
            helpers: wire.cred_helpers,
            default_helper: Some(wire.creds_store).filter(|name| !name.is_empty()),
        })
    }

    /// The credentials for `reference`: of its repository, else of the nearest enclosing path,
    /// else of its registry.
    pub fn lookup(&self, reference: &ImageReference) -> Option<&Credentials> {
        let repository = reference.repository();
        let mut key = repository.as_str();
        loop {
            if let Some(credentials) = self.auths.get(key) {
                return Some(credentials);
            }
            key = key.rsplit_once('/')?.0;
        }
    }

    /// The credential helper (`docker-credential-NAME`) the file names for `registry`. This
    /// crate runs none.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        self.helpers
            .get(registry)
            .or(self.default_helper.as_ref())
            .map(String::as_str)
    }
}

impl WireEntry {
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let decoded = STANDARD.decode(self.auth.trim());
        let decoded = decoded.map_err(|_| "the auth value is not base64")?;
        let text = String::from_utf8(decoded).map_err(|_| "the auth value is not UTF-8")?;
        let (username, password) = text.split_once(':').ok_or("the auth value has no colon")?;
        Ok(Some(Credentials::Password {
            username: username.to_owned(),
            // Docker pads the password with NUL bytes at times.
            password: password.trim_matches('\0').to_owned(),
        }))
    }
}

/// Docker writes keys as URLs (`https://index.docker.io/v1/`): what counts is the host then.
fn normalise_key(key: &str) -> String {
    let stripped = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let host = match stripped {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key.trim_end_matches('/'),
    };
    match host {
        "index.docker.io" | "registry-1.docker.io" | "index.docker.io/v1" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:p:w")))
    }

    fn user_for(file: &AuthFile, name: &str) -> Option<String> {
        match file.lookup(&name.parse().unwrap())? {
            Credentials::Password { username, password } => {
                assert_eq!(password, "p:w");
                Some(username.clone())
            }
            Credentials::IdentityToken(token) => Some(token.clone()),
        }
    }

    #[test]
    fn the_most_specific_key_wins() {
        let text = format!(
            r#"{{"auths":{{"quay.io":{},"quay.io/team":{},"quay.io/team/app":{},
            "https://index.docker.io/v1/":{},"token.io":{{"identitytoken":"t"}},"helper.io":{{}}}},
            "credHelpers":{{"gcr.io":"gcloud"}},"credsStore":"desktop"}}"#,
            entry("host"),
            entry("team"),
            entry("app"),
            entry("hub"),
        );
        let file = AuthFile::parse(&text, "auth.json").unwrap();
        let table = [
            ("quay.io/x/y", Some("host")),
            ("quay.io/team/x:1", Some("team")),
            ("quay.io/team/app:1", Some("app")),
            ("quay.io/teams/app", Some("host")),
            ("alpine", Some("hub")),
            ("token.io/x", Some("t")),
            ("helper.io/x", None),
            ("other.io/x", None),
        ];
        for (name, user) in table {
            assert_eq!(user_for(&file, name).as_deref(), user, "{name}");
        }
        assert_eq!(file.helper("gcr.io"), Some("gcloud"));
        assert_eq!(file.helper("x.io"), Some("desktop"));
    }

    #[test]
    fn damage_is_named_without_the_secret() {
        let bad = AuthFile::parse(r#"{"auths":{"q.io":{"auth":"!secret!"}}}"#, "auth.json");
        let text = bad.unwrap_err().to_string();
        assert!(text.contains("q.io") && !text.contains("secret"), "{text}");
        let debug = format!("{:?}", Credentials::IdentityToken("secret".to_owned()));
        assert!(!debug.contains("secret"));
    }
}
