//! `containers-policy.json(5)`: which images may be taken.
//!
//! The requirements `insecureAcceptAnything` and `reject` are decided here. Any other kind is
//! refused when it would apply, never skipped.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::manifest::RawManifest;
use crate::name::ImageName;
use crate::reference::ImageReference;

/// A signature policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    origin: String,
    default: Vec<Requirement>,
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireRequirement")]
enum Requirement {
    AcceptAnything,
    Reject,
    /// A kind that is not decided here, by name.
    Other(String),
}

#[derive(Deserialize)]
struct WireRequirement {
    #[serde(rename = "type")]
    kind: String,
}

impl From<WireRequirement> for Requirement {
    fn from(wire: WireRequirement) -> Self {
        match wire.kind.as_str() {
            "insecureAcceptAnything" => Requirement::AcceptAnything,
            "reject" => Requirement::Reject,
            _ => Requirement::Other(wire.kind),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

impl Policy {
    /// The policy that takes every image.
    pub fn accept_anything() -> Self {
        Policy {
            origin: "built-in policy".to_owned(),
            default: vec![Requirement::AcceptAnything],
            transports: BTreeMap::new(),
        }
    }

    /// Parses a `policy.json`; `origin` is its path, for messages.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let invalid = |problem: String| Error::Config {
            what: origin.to_owned(),
            problem,
        };
        let wire: Wire = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let scoped = wire.transports.values().flat_map(BTreeMap::values);
        if std::iter::once(&wire.default)
            .chain(scoped)
            .any(Vec::is_empty)
        {
            return Err(invalid("a list of requirements is empty".to_owned()));
        }
        Ok(Policy {
            origin: origin.to_owned(),
            default: wire.default,
            transports: wire.transports,
        })
    }

    /// Decides whether `image`, whose manifest is `manifest`, may be taken.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] names the file, scope and requirement that decided.
    pub fn admit(&self, image: &ImageName, manifest: &RawManifest) -> Result<()> {
        let _ = manifest; // only signatures speak of content
        let (scope, requirements) = self.requirements(image);
        for requirement in requirements {
            let problem = match requirement {
                Requirement::AcceptAnything => continue,
                Requirement::Reject => "rejected by policy".to_owned(),
                Requirement::Other(kind) => format!("refused: {kind} is not supported yet"),
            };
            return Err(Error::PolicyDenied {
                reason: format!(
                    "Running image {image} is {problem} ({scope} in {})",
                    self.origin
                ),
            });
        }
        Ok(())
    }

    /// The most specific list of requirements for `image`, and the scope it stands under.
    fn requirements(&self, image: &ImageName) -> (String, &[Requirement]) {
        let transport = image.transport().name();
        if let Some(scoped) = self.transports.get(transport) {
            for scope in scopes(image) {
                if let Some(requirements) = scoped.get(&scope) {
                    return (format!("scope {transport}:{scope:?}"), requirements);
                }
            }
        }
        ("default".to_owned(), &self.default)
    }
}

/// The scopes of an image in its transport, most specific first, ending with the transport's
/// own default `""`.
fn scopes(image: &ImageName) -> Vec<String> {
    let mut scopes = match image {
        ImageName::Docker(reference) => docker_scopes(reference),
        ImageName::Oci { path, name } | ImageName::OciArchive { path, name } => {
            let path = path.to_string_lossy();
            let named = name.iter().map(|name| format!("{path}:{name}"));
            named.chain(path_scopes(&path)).collect()
        }
        ImageName::Dir { path } => path_scopes(&path.to_string_lossy()),
        ImageName::DockerArchive { .. } | ImageName::ContainersStorage { .. } => Vec::new(),
    };
    scopes.push(String::new());
    scopes
}

fn docker_scopes(reference: &ImageReference) -> Vec<String> {
    let repository = reference.repository();
    let mut scopes = match reference.digest() {
        Some(digest) => vec![format!("{repository}@{digest}")],
        None => vec![format!("{repository}:{}", reference.tag_or_digest())],
    };
    let mut prefix = repository.as_str();
    loop {
        scopes.push(prefix.to_owned());
        match prefix.rsplit_once('/') {
            Some((shorter, _)) => prefix = shorter,
            None => break,
        }
    }
    let mut host = prefix.split(':').next().unwrap_or(prefix);
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes
}

fn path_scopes(path: &str) -> Vec<String> {
    let mut scopes = Vec::new();
    let mut prefix = path;
    while !prefix.is_empty() {
        scopes.push(prefix.to_owned());
        prefix = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "default": [{"type": "reject"}],
        "transports": {
            "docker": {
                "quay.io/good": [{"type": "insecureAcceptAnything"}],
                "quay.io/good/bad:1": [{"type": "reject"}],
                "*.example.com": [{"type": "insecureAcceptAnything"}],
                "signed.io": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]
            },
            "oci": {"/srv": [{"type": "insecureAcceptAnything"}]},
            "docker-archive": {"": [{"type": "insecureAcceptAnything"}]}
        }}"#;

    #[test]
    fn the_most_specific_scope_decides() {
        let policy = Policy::parse(POLICY, "/etc/containers/policy.json").unwrap();
        let manifest = RawManifest {
            bytes: Vec::new(),
            media_type: None,
        };
        let table = [
            ("docker://quay.io/good/x", None),
            ("docker://quay.io/good/bad:2", None),
            ("docker://quay.io/good/bad:1", Some("rejected by policy")),
            ("docker://quay.io/other", Some("default in /etc/containers")),
            ("docker://a.b.example.com:5000/x", None),
            ("docker://example.com/x", Some("rejected")),
            (
                "docker://signed.io/x",
                Some("signedBy is not supported yet"),
            ),
            ("oci:/srv/layout:v1", None),
            ("oci:/srvx", Some("rejected")),
            ("docker-archive:/tmp/x", None),
            ("dir:/tmp/x", Some("rejected")),
        ];
        for (name, problem) in table {
            let result = policy.admit(&name.parse().unwrap(), &manifest);
            match (result, problem) {
                (Ok(()), None) => {}
                (Err(error), Some(problem)) => {
                    assert!(error.to_string().contains(problem), "{error}");
                }
                (result, _) => panic!("{name}: {result:?}"),
            }
        }
    }

    #[test]
    fn malformed_policies_are_refused() {
        for text in [
            "",
            "{}",
            r#"{"default":[]}"#,
            r#"{"default":[{}]}"#,
            r#"{"default":[{"type":"reject"}],"transport":{}}"#,
        ] {
            assert!(Policy::parse(text, "policy.json").is_err(), "{text}");
        }
    }
}
