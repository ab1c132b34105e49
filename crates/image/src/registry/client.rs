//! A connection to one registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LINK, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::RegistryOptions;
use super::blob::{self, BlobReader};
use super::challenge::{Challenge, parse_challenges};
use super::failure::Failure;
use super::http::{Http, Request, RequestBody, same_origin};
use super::network::Network;
use super::token::{Authorizer, Scheme};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::MAX_MANIFEST_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::RawManifest;
use crate::media_type::MediaType;
use crate::reference::{DOCKER_DOMAIN, ImageReference};

const MAX_TAGS_BYTES: u64 = 16 << 20;
const MAX_TAGS: usize = 1 << 20;

/// What is asked of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// A registry that has answered a ping, and one of its repositories.
#[derive(Debug)]
pub struct Registry {
    network: Network,
    link: Arc<Link>,
}

/// The async side of a [`Registry`].
#[derive(Debug)]
pub(super) struct Link {
    host: String,
    path: String,
    base: Url,
    http: Http,
    scheme: Scheme,
    authorizer: Authorizer,
    scope: String,
    retries: u32,
}

impl Registry {
    /// Connects to the registry of `reference` for work on its repository.
    ///
    /// Tries HTTPS; if that fails and the registry may be insecure, plain HTTP.
    ///
    /// # Errors
    /// [`Error::Ping`], kind `Unreachable` if nobody answers.
    pub fn connect(
        reference: &ImageReference,
        access: Access,
        options: &RegistryOptions,
    ) -> Result<Self> {
        let network = Network::start()?;
        let link = Link::new(reference, access, options)?;
        let insecure = options.insecure;
        let link = network.run(async move { link.ping(insecure).await })?;
        Ok(Registry {
            network,
            link: Arc::new(link),
        })
    }

    /// Reads a manifest, at most 4 MiB, by tag or digest.
    ///
    /// # Errors
    /// [`Error::ManifestRead`]; [`Error::TooLarge`]; [`Error::DigestMismatch`] if a digest was
    /// asked for and the bytes are not its.
    pub fn manifest(&self, tag_or_digest: &str) -> Result<RawManifest> {
        let link = self.link.clone();
        let what = tag_or_digest.to_owned();
        let raw = self
            .network
            .run(async move { link.manifest(&what).await })?;
        if let Ok(digest) = tag_or_digest.parse::<Digest>() {
            digest.verify(&raw.bytes, "manifest")?;
        }
        Ok(raw)
    }

    /// Asks for a manifest's descriptor without reading it; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::ManifestRead`].
    pub fn manifest_descriptor(&self, tag_or_digest: &str) -> Result<Option<Descriptor>> {
        let link = self.link.clone();
        let what = tag_or_digest.to_owned();
        self.network
            .run(async move { link.manifest_head(&what).await })
    }

    /// The size of a blob the repository has.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let link = self.link.clone();
        let digest = digest.clone();
        self.network
            .run(async move { link.blob_head(&digest).await })
    }

    /// Opens a blob for reading from byte `start_bytes` on. A download that breaks goes on
    /// where it broke.
    ///
    /// # Errors
    /// [`Error::Request`]; [`Error::SizeMismatch`] if the registry announces another size.
    pub fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<BlobReader> {
        blob::open(&self.network, &self.link, blob, start_bytes)
    }

    /// Lists the repository's tags, page by page.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn tags(&self) -> Result<Vec<String>> {
        let link = self.link.clone();
        self.network.run(async move { link.tags().await })
    }

    /// Records a manifest under a tag or its digest.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn put_manifest(
        &self,
        tag_or_digest: &str,
        bytes: &[u8],
        media_type: &MediaType,
    ) -> Result<()> {
        let link = self.link.clone();
        let what = tag_or_digest.to_owned();
        let bytes = Bytes::copy_from_slice(bytes);
        let media_type = media_type.clone();
        self.network
            .run(async move { link.put_manifest(&what, bytes, &media_type).await })
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Link {
    fn new(reference: &ImageReference, access: Access, options: &RegistryOptions) -> Result<Self> {
        let host = match reference.domain() {
            DOCKER_DOMAIN => "registry-1.docker.io",
            domain => domain,
        };
        let base =
            Url::parse(&format!("https://{host}/")).map_err(|_| Error::InvalidReference {
                text: reference.to_string(),
                problem: "invalid reference format",
            })?;
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        Ok(Link {
            host: reference.domain().to_owned(),
            path: reference.path().to_owned(),
            base,
            http: Http::new(options.clone()),
            scheme: Scheme::Open,
            authorizer: Authorizer::new(options.credentials_for(reference)),
            scope: format!("repository:{}:{actions}", reference.path()),
            retries: options.retries,
        })
    }

    async fn ping(mut self, insecure: bool) -> Result<Self> {
        let host = self.host.clone();
        // Where plain HTTP comes next, TLS failing in whatever way is no reason to wait.
        let mut result = self.ping_at_base(insecure).await;
        let silent = matches!(&result, Err(failure) if failure.kind == ErrorKind::Unreachable);
        if silent && insecure {
            self.base.set_scheme("http").expect("https may become http");
            result = self.ping_at_base(false).await;
        }
        self.scheme = result.map_err(|failure| failure.pinging(&host))?;
        Ok(self)
    }

    async fn ping_at_base(&self, once: bool) -> Result<Scheme, Failure> {
        let url = self.url("v2/");
        let mut request = Request::new(Method::GET, url.clone());
        request.once = once;
        let response = self.http.send(&mut request).await.map_err(|mut failure| {
            if failure.kind == ErrorKind::Unreachable {
                failure.problem = format!("Get {:?}: {}", url.as_str(), failure.problem);
            }
            failure
        })?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Scheme::choose(&challenges(&response), &self.base),
            _ => Ok(Scheme::Open),
        }
    }

    fn url(&self, path: &str) -> Url {
        self.base
            .join(path)
            .expect("paths are made of a reference's checked parts")
    }

    fn repository_url(&self, rest: &str) -> Url {
        self.url(&format!("v2/{}/{rest}", self.path))
    }

    /// The URL of a blob.
    pub(super) fn blob_url(&self, digest: &Digest) -> Url {
        self.repository_url(&format!("blobs/{digest}"))
    }

    /// Where uploads start.
    pub(super) fn upload_url(&self) -> Url {
        self.repository_url("blobs/uploads/")
    }

    /// How often to try again.
    pub(super) fn retries(&self) -> u32 {
        self.retries
    }

    /// `host/path`, for messages.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Sends `request` with authorization, getting a new token once if the registry says so.
    pub(super) async fn send(&self, mut request: Request) -> Result<Response, Failure> {
        let at_home = same_origin(&request.url, &self.base);
        if at_home {
            request.authorization = self
                .authorizer
                .authorize(&self.http, &self.scheme, &self.scope)
                .await?;
        }
        let response = self.http.send(&mut request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let streamed = matches!(request.body, RequestBody::Stream(_));
        if streamed || !at_home {
            return Err(Failure::status(response).await);
        }
        let scheme = Scheme::choose(&challenges(&response), &self.base)?;
        self.authorizer.forget(&self.scope);
        let authorization = self
            .authorizer
            .authorize(&self.http, &scheme, &self.scope)
            .await?;
        if authorization.is_none() {
            return Err(Failure::status(response).await);
        }
        request.authorization = authorization;
        let response = self.http.send(&mut request).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(Failure::status(response).await),
            _ => Ok(response),
        }
    }

    async fn manifest(&self, what: &str) -> Result<RawManifest> {
        let failed = |failure: Failure| failure.reading_manifest(what, &self.repository());
        let request = self.manifest_request(Method::GET, what);
        let response = self.send(request).await.map_err(failed)?;
        let media_type = content_type(&response);
        let bytes = read_bounded(response, MAX_MANIFEST_BYTES, "manifest", failed).await?;
        Ok(RawManifest { bytes, media_type })
    }

    async fn manifest_head(&self, what: &str) -> Result<Option<Descriptor>> {
        let request = self.manifest_request(Method::HEAD, what);
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(failure) if failure.kind == ErrorKind::NotFound => return Ok(None),
            Err(failure) => return Err(failure.reading_manifest(what, &self.repository())),
        };
        let digest = header(&response, "docker-content-digest").and_then(|d| d.parse().ok());
        let size_bytes = header(&response, "content-length").and_then(|l| l.parse().ok());
        let described = content_type(&response).zip(digest).zip(size_bytes);
        Ok(described.map(|((media_type, digest), size)| Descriptor::new(media_type, digest, size)))
    }

    fn manifest_request(&self, method: Method, what: &str) -> Request {
        let url = self.repository_url(&format!("manifests/{what}"));
        let mut request = Request::new(method, url);
        let types = MediaType::MANIFESTS;
        let old = [MediaType::DOCKER_SCHEMA1_SIGNED, MediaType::DOCKER_SCHEMA1];
        for media_type in types.into_iter().chain(old) {
            let value = HeaderValue::from_str(media_type.as_str()).expect("a constant");
            request.headers.append(ACCEPT, value);
        }
        request
    }

    async fn blob_head(&self, digest: &Digest) -> Result<Option<u64>> {
        let request = Request::new(Method::HEAD, self.blob_url(digest));
        match self.send(request).await {
            Ok(response) => {
                let length = header(&response, CONTENT_LENGTH.as_str());
                Ok(length.and_then(|length| length.parse().ok()))
            }
            Err(failure) if failure.kind == ErrorKind::NotFound => Ok(None),
            Err(failure) => {
                let repository = self.repository();
                Err(failure.while_(format!("checking for blob {digest} in {repository}")))
            }
        }
    }

    async fn tags(&self) -> Result<Vec<String>> {
        let attempted = format!("fetching tags list of {}", self.repository());
        let failed = |failure: Failure| failure.while_(attempted.clone());
        let mut url = self.repository_url("tags/list?n=1000");
        let mut tags = Vec::new();
        loop {
            let response = self.send(Request::new(Method::GET, url.clone())).await;
            let response = response.map_err(failed)?;
            let next = next_page(&response, &url);
            let bytes = read_bounded(response, MAX_TAGS_BYTES, "tags list", failed).await?;
            let page: TagPage = serde_json::from_slice(&bytes)
                .map_err(|error| failed(Failure::new(ErrorKind::Registry, error.to_string())))?;
            let page = page.tags.unwrap_or_default();
            let ended = page.is_empty() || tags.len() + page.len() > MAX_TAGS;
            tags.extend(page);
            match next {
                Some(next) if !ended && same_origin(&next, &self.base) => url = next,
                _ => return Ok(tags),
            }
        }
    }

    async fn put_manifest(&self, what: &str, bytes: Bytes, media_type: &MediaType) -> Result<()> {
        let repository = self.repository();
        let attempted = || format!("uploading manifest {what} to {repository}");
        let url = self.repository_url(&format!("manifests/{what}"));
        let mut request = Request::new(Method::PUT, url);
        let value = HeaderValue::from_str(media_type.as_str()).map_err(|_| {
            Failure::new(ErrorKind::Invalid, "malformed media type").while_(attempted())
        })?;
        request.headers.insert(CONTENT_TYPE, value);
        request.body = RequestBody::Bytes(bytes);
        let result = self.send(request).await;
        result.map(drop).map_err(|f| f.while_(attempted()))
    }
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

fn challenges(response: &Response) -> Vec<Challenge> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE);
    let values = headers.iter().filter_map(|value| value.to_str().ok());
    values.flat_map(parse_challenges).collect()
}

/// A header's text.
pub(super) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn content_type(response: &Response) -> Option<MediaType> {
    header(response, "content-type").map(MediaType::from_header)
}

/// The `rel="next"` target of a `Link` header.
fn next_page(response: &Response, base: &Url) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let mut parameters = BTreeMap::new();
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    for part in rest.split(';') {
        if let Some((name, value)) = part.split_once('=') {
            parameters.insert(name.trim(), value.trim().trim_matches('"'));
        }
    }
    (parameters.get("rel") == Some(&"next")).then(|| base.join(target).ok())?
}

async fn read_bounded(
    mut response: Response,
    limit: u64,
    what: &str,
    failed: impl Fn(Failure) -> Error,
) -> Result<Vec<u8>> {
    let too_large = || Error::TooLarge {
        what: what.to_owned(),
        limit,
    };
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if (bytes.len() + chunk.len()) as u64 > limit => {
                return Err(too_large());
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(failed(Failure::network(&error))),
        }
    }
}
