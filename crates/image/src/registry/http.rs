//! HTTP with the registry's rules: redirects that keep credentials at home, TLS trust, retries.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Client, Method, Response, Url};
use rustls::ClientConfig;

use super::RegistryOptions;
use super::failure::Failure;
use super::tls;
use crate::error::ErrorKind;

const MAX_REDIRECTS: usize = 10;
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// One request, which can be sent again as long as its body is not a stream.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: RequestBody,
    /// Whether a first failure counts.
    pub(crate) once: bool,
}

pub(crate) enum RequestBody {
    Empty,
    Bytes(bytes::Bytes),
    Stream(Option<Body>),
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Request {
            method,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: RequestBody::Empty,
            once: false,
        }
    }

    fn may_retry(&self) -> bool {
        !self.once && matches!(self.method, Method::GET | Method::HEAD)
    }

    fn may_follow(&self) -> bool {
        !matches!(self.body, RequestBody::Stream(_))
    }

    fn take_body(&mut self) -> Option<Body> {
        match &mut self.body {
            RequestBody::Empty => None,
            RequestBody::Bytes(bytes) => Some(Body::from(bytes.clone())),
            RequestBody::Stream(body) => body.take(),
        }
    }
}

/// The HTTP clients of one registry, made when first needed: most pulls over plain HTTP never
/// load a certificate.
#[derive(Debug)]
pub(crate) struct Http {
    options: RegistryOptions,
    verified: OnceLock<Client>,
    unverified: OnceLock<Client>,
}

impl Http {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        Http {
            options,
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
        }
    }

    /// Sends a request, waiting and trying again what may be repeated; follows redirects.
    /// Any answer without an error status counts as success, and so does 401.
    pub(crate) async fn send(&self, request: &mut Request) -> Result<Response, Failure> {
        let mut attempt = 0;
        loop {
            let failure = match self.follow(request).await {
                Ok(response) if accepted(&response) => return Ok(response),
                Ok(response) => Failure::status(response).await,
                Err(failure) => failure,
            };
            let again = failure.transient && request.may_retry();
            if !again || attempt >= self.options.retries {
                return Err(failure);
            }
            let delay = self
                .options
                .retry_delay
                .saturating_mul(1 << attempt.min(10));
            let delay = failure.retry_after.unwrap_or(delay.min(MAX_RETRY_DELAY));
            tracing::info!(url = %request.url, problem = failure.problem, ?delay, "trying again");
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    async fn follow(&self, request: &mut Request) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(request, &url).await?;
            if !response.status().is_redirection() || response.status() == 304 {
                return Ok(response);
            }
            if !request.may_follow() {
                return Err(broken("the registry redirects an upload"));
            }
            let next = redirect_target(&response, &url)?;
            self.check_target(&url, &next)?;
            tracing::debug!(from = %url, to = next.host_str(), "redirected");
            url = next;
        }
        Err(broken("too many redirects"))
    }

    async fn once(&self, request: &mut Request, url: &Url) -> Result<Response, Failure> {
        let at_home = same_origin(&request.url, url);
        let client = self.client(at_home)?;
        let mut builder = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        // Whoever we are sent on to never learns who we are.
        if let Some(value) = request.authorization.as_ref().filter(|_| at_home) {
            builder = builder.header(AUTHORIZATION, value.clone());
        }
        if let Some(body) = request.take_body() {
            builder = builder.body(body);
        }
        let result = builder.send().await;
        result.map_err(|error| Failure::network(&error))
    }

    fn check_target(&self, from: &Url, to: &Url) -> Result<(), Failure> {
        match to.scheme() {
            "https" => Ok(()),
            "http" if from.scheme() == "http" && self.options.insecure => Ok(()),
            _ => Err(broken("the registry redirects to an insecure place")),
        }
    }

    /// Only the registry itself may be exempt from TLS verification, not where it points.
    fn client(&self, at_home: bool) -> Result<&Client, Failure> {
        let (cell, verify) = match at_home && self.options.insecure {
            true => (&self.unverified, false),
            false => (&self.verified, true),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let config = tls::client_config(verify, &self.options.extra_roots);
        let client = self.build(config.map_err(broken)?)?;
        Ok(cell.get_or_init(|| client))
    }

    fn build(&self, tls: Arc<ClientConfig>) -> Result<Client, Failure> {
        Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(&self.options.user_agent)
            .connect_timeout(self.options.connect_timeout)
            .read_timeout(self.options.stall_timeout)
            .build()
            .map_err(|error| Failure::network(&error))
    }
}

fn accepted(response: &Response) -> bool {
    response.status().is_success() || response.status() == 401
}

fn broken(problem: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Registry, problem)
}

fn redirect_target(response: &Response, base: &Url) -> Result<Url, Failure> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| broken("a redirect without a location"))?;
    base.join(location)
        .map_err(|_| broken("a redirect to a malformed location"))
}

/// Whether both URLs are of one scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}
