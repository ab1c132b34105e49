//! Authorization: basic credentials, and bearer tokens fetched, kept and used again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::challenge::Challenge;
use super::failure::Failure;
use super::http::{Http, Request, RequestBody};
use crate::auth::Credentials;
use crate::error::ErrorKind;

/// The longest token answer that is read.
const MAX_TOKEN_BYTES: usize = 1 << 20;
/// A token counts as expired this long before it is.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);
/// How long a token lives that does not say; the specification's value.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// How a registry wants to be asked.
#[derive(Debug, Clone)]
pub(crate) enum Scheme {
    Open,
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// Holds what proves who we are, and the tokens got with it.
#[derive(Debug)]
pub(crate) struct Authorizer {
    credentials: Option<Credentials>,
    tokens: Mutex<HashMap<String, Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: HeaderValue,
    expires: Instant,
}

#[derive(Deserialize)]
struct WireToken {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Scheme {
    /// Picks the strongest understood challenge; `base` is the registry's URL.
    pub(crate) fn choose(challenges: &[Challenge], base: &Url) -> Result<Self, Failure> {
        for challenge in challenges {
            if challenge.scheme == "bearer" {
                return bearer(challenge, base);
            }
        }
        match challenges.iter().any(|c| c.scheme == "basic") {
            true => Ok(Scheme::Basic),
            false => Ok(Scheme::Open),
        }
    }
}

fn bearer(challenge: &Challenge, base: &Url) -> Result<Scheme, Failure> {
    let realm = challenge.get("realm").and_then(|r| Url::parse(r).ok());
    let realm = realm.ok_or_else(|| registry("a bearer challenge without a usable realm"))?;
    let allowed =
        realm.scheme() == "https" || (realm.scheme() == "http" && base.scheme() == "http");
    if !allowed {
        return Err(registry(
            "the registry sends credentials to an insecure place",
        ));
    }
    Ok(Scheme::Bearer {
        realm,
        service: challenge.get("service").map(str::to_owned),
    })
}

fn registry(problem: &str) -> Failure {
    Failure::new(ErrorKind::Registry, problem)
}

impl Authorizer {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Authorizer {
            credentials,
            tokens: Mutex::new(HashMap::new()),
        }
    }

    /// The `Authorization` value for a request that needs `scope`, if any.
    pub(crate) async fn authorize(
        &self,
        http: &Http,
        scheme: &Scheme,
        scope: &str,
    ) -> Result<Option<HeaderValue>, Failure> {
        match scheme {
            Scheme::Open => Ok(None),
            Scheme::Basic => Ok(self.basic()),
            Scheme::Bearer { realm, service } => {
                if let Some(token) = self.cached(scope) {
                    return Ok(Some(token));
                }
                let token = self.fetch(http, realm, service.as_deref(), scope).await?;
                let value = token.value.clone();
                self.lock().insert(scope.to_owned(), token);
                Ok(Some(value))
            }
        }
    }

    /// Forgets the token for `scope`: the registry refused it.
    pub(crate) fn forget(&self, scope: &str) {
        self.lock().remove(scope);
    }

    fn cached(&self, scope: &str) -> Option<HeaderValue> {
        let tokens = self.lock();
        let token = tokens.get(scope)?;
        (token.expires > Instant::now()).then(|| token.value.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Token>> {
        self.tokens
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn basic(&self) -> Option<HeaderValue> {
        match self.credentials.as_ref()? {
            Credentials::Password { username, password } => {
                let encoded = STANDARD.encode(format!("{username}:{password}"));
                secret(&format!("Basic {encoded}"))
            }
            Credentials::IdentityToken(_) => None,
        }
    }

    async fn fetch(
        &self,
        http: &Http,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Token, Failure> {
        let mut request = match &self.credentials {
            Some(Credentials::IdentityToken(token)) => refresh(realm, service, scope, token),
            _ => self.query(realm, service, scope),
        };
        let mut response = http.send(&mut request).await?;
        if response.status() == 401 {
            let failure = Failure::status(response).await;
            return Err(Failure {
                problem: format!(
                    "unable to retrieve auth token: invalid username/password: {}",
                    failure.problem
                ),
                ..failure
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| Failure::network(&e))? {
            if bytes.len() + chunk.len() > MAX_TOKEN_BYTES {
                return Err(registry("the token is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        parse_token(&bytes)
    }

    fn query(&self, realm: &Url, service: Option<&str>, scope: &str) -> Request {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(Credentials::Password { username, .. }) = &self.credentials {
                query.append_pair("account", username);
            }
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            if !scope.is_empty() {
                query.append_pair("scope", scope);
            }
        }
        let mut request = Request::new(Method::GET, url);
        request.authorization = self.basic();
        request
    }
}

fn refresh(realm: &Url, service: Option<&str>, scope: &str, token: &str) -> Request {
    let mut form = Url::parse("form:///").expect("a constant");
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", token)
        .append_pair("service", service.unwrap_or(""))
        .append_pair("scope", scope)
        .append_pair("client_id", "minke");
    let mut request = Request::new(Method::POST, realm.clone());
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(CONTENT_TYPE, form_type);
    let body = form.query().unwrap_or("").as_bytes().to_vec();
    request.body = RequestBody::Bytes(body.into());
    request
}

fn parse_token(bytes: &[u8]) -> Result<Token, Failure> {
    let wire: WireToken =
        serde_json::from_slice(bytes).map_err(|_| registry("the token is not JSON"))?;
    let text = wire
        .token
        .filter(|token| !token.is_empty())
        .or(wire.access_token)
        .ok_or_else(|| registry("the token answer holds no token"))?;
    let value = secret(&format!("Bearer {text}"));
    let lifetime = wire.expires_in.map_or(DEFAULT_LIFETIME, |seconds| {
        Duration::from_secs(seconds.clamp(60, 24 * 3600))
    });
    Ok(Token {
        value: value.ok_or_else(|| registry("the token is not a header value"))?,
        expires: Instant::now() + lifetime - EXPIRY_MARGIN,
    })
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::challenge::parse_challenges;

    #[test]
    fn https_registries_never_send_us_to_plain_http() {
        let base = Url::parse("https://r.example/").unwrap();
        for (realm, fine) in [
            ("https://auth.example/t", true),
            ("http://auth.example/t", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            let header = format!("Bearer realm=\"{realm}\"");
            let scheme = Scheme::choose(&parse_challenges(&header), &base);
            assert_eq!(scheme.is_ok(), fine, "{realm}");
        }
    }

    #[test]
    fn tokens_come_under_either_name() {
        for text in [r#"{"token":"t"}"#, r#"{"access_token":"t","expires_in":1}"#] {
            let token = parse_token(text.as_bytes()).unwrap();
            assert_eq!(token.value, "Bearer t");
            assert!(token.expires > Instant::now());
        }
        for text in ["", "{}", r#"{"token":"a\nb"}"#] {
            assert!(parse_token(text.as_bytes()).is_err());
        }
    }
}
