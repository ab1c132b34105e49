//! References to images in registries: `docker.io/library/alpine:3.20@sha256:...`.
//!
//! The grammar is that of Docker's `distribution/reference`, which containers/image shares.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Error, Result};

/// The registry meant when Docker users name none.
pub const DOCKER_DOMAIN: &str = "docker.io";
/// The tag meant when neither tag nor digest is given.
pub const DEFAULT_TAG: &str = "latest";

const FORMAT: &str = "invalid reference format";
const UPPERCASE: &str = "repository name must be lowercase";
const TOO_LONG: &str = "repository name must not be more than 255 characters";
const HEX_NAME: &str = "invalid repository name, cannot specify 64-byte hexadecimal strings";

/// A fully qualified reference: registry, repository path, and optionally tag and digest.
///
/// Parsing normalises as Docker does: `alpine` is `docker.io/library/alpine`. Where the user's
/// configuration should decide instead, parse a [`UserName`] and resolve it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageReference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// The registry, `host[:port]`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path in its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Registry and path: the name of the repository.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask a registry for: the digest, else the tag, else `latest`.
    pub fn tag_or_digest(&self) -> &str {
        match &self.digest {
            Some(digest) => digest.as_str(),
            None => self.tag.as_deref().unwrap_or(DEFAULT_TAG),
        }
    }

    /// This reference with tag `latest` if it has neither tag nor digest.
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with `digest` and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        ImageReference {
            digest: Some(digest),
            tag: None,
            ..self.clone()
        }
    }

    /// The same repository with `tag` and no digest.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] if `tag` is not one.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return Err(invalid(tag, "invalid tag format"));
        }
        Ok(ImageReference {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same reference without its tag, if it also has a digest.
    pub fn without_redundant_tag(mut self) -> Self {
        if self.digest.is_some() {
            self.tag = None;
        }
        self
    }

    /// The same tag and digest in the repository named `repository` (`host/path`).
    ///
    /// # Errors
    /// [`Error::InvalidReference`] if that makes no valid reference.
    pub fn in_repository(&self, repository: &str) -> Result<Self> {
        let mut moved: ImageReference = parse_qualified(repository)?;
        if moved.tag.is_some() || moved.digest.is_some() {
            return Err(invalid(repository, FORMAT));
        }
        moved.tag.clone_from(&self.tag);
        moved.digest.clone_from(&self.digest);
        Ok(moved)
    }

    /// The shortest text Docker would read as this reference: `alpine:3.20`.
    pub fn familiar(&self) -> String {
        let text = self.to_string();
        match text.strip_prefix("docker.io/") {
            Some(rest) => rest.strip_prefix("library/").unwrap_or(rest).to_owned(),
            None => text,
        }
    }
}

impl FromStr for ImageReference {
    type Err = Error;

    /// Parses as Docker does, with `docker.io` and `library/` where they are left out.
    fn from_str(text: &str) -> Result<Self> {
        if is_hex_name(text) {
            return Err(invalid(text, HEX_NAME));
        }
        match split_domain(text) {
            Some((domain, rest)) => {
                let domain = if domain == "index.docker.io" {
                    DOCKER_DOMAIN
                } else {
                    domain
                };
                parse_parts(text, domain, rest)
            }
            None => parse_parts(text, DOCKER_DOMAIN, text),
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// What a user typed where an image is expected: qualified, or a short name still to resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserName {
    /// It names a registry.
    Qualified(ImageReference),
    /// It names none: see [`crate::registries::Registries::resolve`].
    Short(ShortName),
}

impl FromStr for UserName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if split_domain(text).is_some() {
            return parse_qualified(text).map(UserName::Qualified);
        }
        if is_hex_name(text) {
            return Err(invalid(text, HEX_NAME));
        }
        let (path, tag, digest) = split_path(text, text)?;
        check_path(text, path)?;
        Ok(UserName::Short(ShortName {
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        }))
    }
}

/// A name without a registry, such as `alpine:3.20` or `project/tool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortName {
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ShortName {
    /// The name without tag and digest, which is what aliases are keyed by.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one is given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// This name in the registry `domain` (which may carry a path). On Docker Hub one-part
    /// names belong to `library/`.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] if `domain` is not one.
    pub fn in_registry(&self, domain: &str) -> Result<ImageReference> {
        parse_qualified(&format!("{domain}/{self}"))
    }

    /// The repository `target` with this name's tag and digest.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] if `target` is no repository.
    pub fn at(&self, target: &str) -> Result<ImageReference> {
        let mut reference = parse_qualified(target)?;
        reference.tag.clone_from(&self.tag);
        reference.digest.clone_from(&self.digest);
        Ok(reference)
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn invalid(text: &str, problem: &'static str) -> Error {
    Error::InvalidReference {
        text: text.chars().take(512).collect(),
        problem,
    }
}

/// Splits off a leading registry: a first component with a `.`, a `:` or a capital, or `localhost`.
fn split_domain(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('/')?;
    let looks_like_host = first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|b| b.is_ascii_uppercase());
    looks_like_host.then_some((first, rest))
}

fn parse_qualified(text: &str) -> Result<ImageReference> {
    text.parse()
}

fn parse_parts(text: &str, domain: &str, rest: &str) -> Result<ImageReference> {
    let (path, tag, digest) = split_path(text, rest)?;
    if !is_domain(domain) {
        return Err(invalid(text, FORMAT));
    }
    check_path(text, path)?;
    let path = match domain {
        DOCKER_DOMAIN if !path.contains('/') => format!("library/{path}"),
        _ => path.to_owned(),
    };
    if domain.len() + 1 + path.len() > 255 {
        return Err(invalid(text, TOO_LONG));
    }
    Ok(ImageReference {
        domain: domain.to_owned(),
        path,
        tag: tag.map(str::to_owned),
        digest,
    })
}

type PathParts<'a> = (&'a str, Option<&'a str>, Option<Digest>);

/// Splits `path[:tag][@digest]`, checking tag and digest.
fn split_path<'a>(text: &str, rest: &'a str) -> Result<PathParts<'a>> {
    let (named, digest) = match rest.split_once('@') {
        Some((named, digest)) => {
            let digest = digest.parse().map_err(|_| invalid(text, FORMAT))?;
            (named, Some(digest))
        }
        None => (rest, None),
    };
    let (path, tag) = match named.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (named, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(invalid(text, FORMAT));
    }
    Ok((path, tag, digest))
}

fn check_path(text: &str, path: &str) -> Result<()> {
    if path.len() > 255 {
        return Err(invalid(text, TOO_LONG));
    }
    if path.split('/').all(is_path_component) {
        return Ok(());
    }
    let lower = path.to_ascii_lowercase();
    if lower != path && lower.split('/').all(is_path_component) {
        return Err(invalid(text, UPPERCASE));
    }
    Err(invalid(text, FORMAT))
}

/// `[a-z0-9]+` runs joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !word(*first) || !word(*last) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = tag.as_bytes();
    matches!(bytes.len(), 1..=128)
        && word(bytes[0])
        && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => return is_ipv6(host),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) => return is_ipv6(host) && is_port(port),
                None => return false,
            },
            None => return false,
        },
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_domain_component)
}

fn is_ipv6(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(component: &str) -> bool {
    !component.is_empty()
        && !component.starts_with('-')
        && !component.ends_with('-')
        && component
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_hex_name(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_normalised_as_docker_does() {
        let table = [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("user/tool", "docker.io/user/tool"),
            ("index.docker.io/alpine", "docker.io/library/alpine"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("localhost/x", "localhost/x"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("quay.io/a.b/c__d/e--f:V1_.-", "quay.io/a.b/c__d/e--f:V1_.-"),
            ("Host/x", "Host/x"),
        ];
        for (text, expected) in table {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), expected);
        }
    }

    #[test]
    fn digests_and_tags_combine() {
        let both: ImageReference = format!("quay.io/a:1@{DIGEST}").parse().unwrap();
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(both.tag_or_digest(), DIGEST);
        let plain = both.without_redundant_tag();
        assert_eq!(plain.to_string(), format!("quay.io/a@{DIGEST}"));
        assert_eq!(plain.clone().with_default_tag(), plain);
    }

    #[test]
    fn bad_references_say_why() {
        let long = format!("quay.io/{}", "a".repeat(300));
        let hex = "a".repeat(64);
        let table = [
            ("Alpine", UPPERCASE),
            ("quay.io/Foo/bar", UPPERCASE),
            ("", FORMAT),
            ("a//b", FORMAT),
            ("-a", FORMAT),
            ("a:", FORMAT),
            ("a:b:c", FORMAT),
            ("a@sha256:12", FORMAT),
            ("a b", FORMAT),
            ("../x", FORMAT),
            ("a___b", FORMAT),
            ("quay.io/", FORMAT),
            ("-quay.io/x", FORMAT),
            ("quay.io:port/x", FORMAT),
            ("a:.b", FORMAT),
            (&long, TOO_LONG),
            (&hex, HEX_NAME),
        ];
        for (text, problem) in table {
            let error = text.parse::<ImageReference>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("parsing reference {text:?}: {problem}")
            );
        }
    }

    #[test]
    fn short_names_are_told_from_qualified_ones() {
        let UserName::Short(short) = "project/tool:2".parse().unwrap() else {
            panic!("a short name");
        };
        assert_eq!(short.path(), "project/tool");
        let hub = short.in_registry("docker.io").unwrap();
        assert_eq!(hub.to_string(), "docker.io/project/tool:2");
        let alias = short.at("quay.io/p/t").unwrap();
        assert_eq!(alias.to_string(), "quay.io/p/t:2");
        assert!(matches!(
            "quay.io/x".parse().unwrap(),
            UserName::Qualified(_)
        ));
        assert!("Alpine".parse::<UserName>().is_err());
    }

    #[test]
    fn familiar_text_reads_back() {
        for text in ["alpine:3", "user/tool", "quay.io/x/y:1"] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.familiar(), text);
        }
    }

    proptest! {
        #[test]
        fn references_round_trip(
            host in "([a-z]{1,8}\\.[a-z]{2,3}(:[0-9]{1,4})?/)?",
            path in "[a-z0-9]{1,8}(([._]|__|-{1,3})[a-z0-9]{1,4})?(/[a-z]{1,8}){0,2}",
            tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,12})?",
        ) {
            let text = format!("{host}{path}{tag}");
            let once: ImageReference = text.parse().expect("drawn from the grammar");
            prop_assert_eq!(once.to_string().parse::<ImageReference>().unwrap(), once.clone());
            prop_assert_eq!(once.familiar().parse::<ImageReference>().unwrap(), once);
        }

        #[test]
        fn any_text_parses_or_fails_without_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<ImageReference>();
            let _ = text.parse::<UserName>();
        }
    }
}
