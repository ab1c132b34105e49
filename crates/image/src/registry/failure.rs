//! What went wrong between us and a registry, told once and worded as users know it.

use std::io;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::error::{Error, ErrorKind};

/// The longest error document that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// The longest a registry can make us wait before one retry.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A failed exchange, before it is known what it was for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: String,
    pub(crate) kind: ErrorKind,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the same request may well succeed a little later.
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, problem: impl Into<String>) -> Self {
        Failure {
            problem: problem.into(),
            kind,
            retry_after: None,
            transient: false,
        }
    }

    /// A failure of the network or of TLS.
    pub(crate) fn network(error: &reqwest::Error) -> Self {
        let (problem, transient) = describe(error);
        Failure {
            transient,
            ..Failure::new(ErrorKind::Unreachable, problem)
        }
    }

    /// An answer with an error status; reads its error document.
    pub(crate) async fn status(response: Response) -> Self {
        let status = response.status();
        let retry_after = retry_after(&response);
        let detail = error_document(&read_some(response).await);
        let kind = kind_of(status);
        let problem = match detail {
            Some(detail) => detail,
            None => format!(
                "StatusCode: {}, {}",
                status.as_u16(),
                status.canonical_reason().unwrap_or("unknown")
            ),
        };
        Failure {
            problem,
            kind,
            retry_after,
            transient: status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
        }
    }

    /// Says what the exchange was for.
    pub(crate) fn while_(self, attempted: impl Into<String>) -> Error {
        Error::Request {
            attempted: attempted.into(),
            problem: self.problem,
            kind: self.kind,
            retry_after: self.retry_after,
        }
    }

    /// As the failure of a ping.
    pub(crate) fn pinging(self, host: &str) -> Error {
        Error::Ping {
            host: host.to_owned(),
            problem: self.problem,
            kind: self.kind,
        }
    }

    /// As the failure to read a manifest.
    pub(crate) fn reading_manifest(self, reference: &str, repository: &str) -> Error {
        Error::ManifestRead {
            reference: reference.to_owned(),
            repository: repository.to_owned(),
            problem: self.problem,
            kind: self.kind,
        }
    }
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::TooManyRequests,
        _ => ErrorKind::Registry,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(wait.min(MAX_RETRY_AFTER))
}

async fn read_some(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if bytes.len() + chunk.len() > MAX_ERROR_BYTES {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

#[derive(Deserialize)]
struct ErrorDocument {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The first error of a distribution-spec error document: `manifest unknown`, or the code and
/// what the registry adds to it.
fn error_document(bytes: &[u8]) -> Option<String> {
    let document: ErrorDocument = serde_json::from_slice(bytes).ok()?;
    let entry = document.errors.into_iter().next()?;
    let code = entry.code.to_lowercase().replace('_', " ");
    let message: String = entry.message.chars().filter(|c| !c.is_control()).collect();
    match (code.is_empty(), message.is_empty()) {
        (true, true) => None,
        (true, false) => Some(message),
        (false, true) => Some(code),
        (false, false) if message.eq_ignore_ascii_case(&code) => Some(code),
        (false, false) => Some(format!("{code}: {message}")),
    }
}

/// The cause at the bottom of a client error, in the words of the tools people know, and
/// whether to try again.
fn describe(error: &reqwest::Error) -> (String, bool) {
    let innermost = innermost(error);
    if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
        return (describe_tls(tls), false);
    }
    if let Some(io) = innermost.downcast_ref::<io::Error>() {
        return match io.kind() {
            io::ErrorKind::ConnectionRefused => ("connect: connection refused".to_owned(), false),
            io::ErrorKind::ConnectionReset => ("connection reset by peer".to_owned(), true),
            _ => (io.to_string(), !error.is_connect()),
        };
    }
    if error.is_timeout() {
        return ("timed out".to_owned(), true);
    }
    (innermost.to_string(), !error.is_builder())
}

/// The error at the bottom. An `io::Error` names as source what the error it wraps names, so
/// the wrapped one has to be asked for.
fn innermost<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(|io| io.get_ref())
        .map(|wrapped| wrapped as &(dyn std::error::Error + 'static));
    match wrapped.or_else(|| error.source()) {
        Some(next) => innermost(next),
        None => error,
    }
}

fn describe_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        rustls::Error::InvalidMessage(_) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "tls: failed to verify certificate: x509: certificate is not valid for this host"
                .to_owned()
        }
        other => format!("tls: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_documents_are_worded_briefly() {
        let table = [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                Some("manifest unknown"),
            ),
            (
                r#"{"errors":[{"code":"DENIED","message":"no\u001b[2Jway"},{}]}"#,
                Some("denied: no[2Jway"),
            ),
            (r#"{"errors":[{"message":"x"}]}"#, Some("x")),
            (r#"{"errors":[]}"#, None),
            ("<html>", None),
        ];
        for (text, expected) in table {
            assert_eq!(error_document(text.as_bytes()).as_deref(), expected);
        }
    }
}
