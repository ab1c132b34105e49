//! From a reference to the places it may be fetched from: mirrors, then its registry.

use super::{Mirror, Registries, Serves, Table};
use crate::error::{Error, Result};
use crate::reference::ImageReference;

/// A place to fetch an image from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The reference as this place knows it.
    pub reference: ImageReference,
    /// Whether TLS may fail or be missing here.
    pub insecure: bool,
}

impl Registries {
    /// The places to fetch `reference` from, in order; the last is its registry itself.
    ///
    /// # Errors
    /// [`Error::Blocked`]; [`Error::InvalidReference`] if a rewritten name is none.
    pub fn endpoints(&self, reference: &ImageReference) -> Result<Vec<Endpoint>> {
        let reference = reference.clone().without_redundant_tag();
        let Some((table, matched)) = self.table_for(&reference) else {
            return Ok(vec![Endpoint {
                reference,
                insecure: false,
            }]);
        };
        if table.blocked {
            return Err(Error::Blocked {
                registry: table.prefix.clone(),
                config: table.path.clone(),
            });
        }
        let rewritten = |location: &str, insecure| {
            let repository = reference.repository();
            let moved = format!("{location}{}", &repository[matched..]);
            let reference = reference.in_repository(&moved)?;
            Ok(Endpoint {
                reference,
                insecure,
            })
        };
        let mut endpoints = Vec::new();
        for mirror in table.mirrors.iter().filter(|m| m.serves_for(&reference)) {
            endpoints.push(rewritten(&mirror.location, mirror.insecure)?);
        }
        endpoints.push(match &table.location {
            Some(location) => rewritten(location, table.insecure)?,
            None => Endpoint {
                reference: reference.clone(),
                insecure: table.insecure,
            },
        });
        Ok(endpoints)
    }

    /// The table with the longest matching prefix, and how much of the repository it matches.
    fn table_for(&self, reference: &ImageReference) -> Option<(&Table, usize)> {
        self.tables
            .values()
            .filter_map(|table| Some((table, matched_length(&table.prefix, reference)?)))
            .max_by_key(|(table, _)| table.prefix.len())
    }
}

/// How many bytes of the reference's repository `prefix` covers, if it applies.
fn matched_length(prefix: &str, reference: &ImageReference) -> Option<usize> {
    let domain = reference.domain();
    if let Some(parent) = prefix.strip_prefix('*') {
        let host = domain.split(':').next().unwrap_or(domain);
        let fits = host.len() > parent.len() && host.ends_with(parent);
        return (fits || domain.ends_with(parent)).then_some(domain.len());
    }
    let repository = reference.repository();
    if let Some(rest) = repository.strip_prefix(prefix) {
        let boundary = rest.is_empty() || rest.starts_with('/');
        return boundary.then_some(prefix.len());
    }
    // A prefix may single out one tag or digest.
    let whole = reference.to_string();
    (whole == prefix).then_some(repository.len())
}

impl Mirror {
    fn serves_for(&self, reference: &ImageReference) -> bool {
        match self.serves {
            Serves::All => true,
            Serves::DigestOnly => reference.digest().is_some(),
            Serves::TagOnly => reference.digest().is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigText;
    use super::*;
    use crate::ErrorKind;

    const TEXT: &str = r#"
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"
        [[registry.mirror]]
        location = "mirror.local:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "digests.local"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "docker.io/team"
        location = "moved.io/crew"
        [[registry]]
        location = "localhost:5000"
        insecure = true
        [[registry]]
        prefix = "*.corp.example"
        location = "proxy.example"
        [[registry]]
        prefix = "bad.io"
        blocked = true
    "#;

    fn places(name: &str) -> Result<Vec<String>> {
        let path = "registries.conf";
        let registries = Registries::parse(&[ConfigText { path, text: TEXT }])?;
        let describe = |place: Endpoint| {
            let mark = if place.insecure { " insecure" } else { "" };
            format!("{}{mark}", place.reference)
        };
        let endpoints = registries.endpoints(&name.parse()?)?;
        Ok(endpoints.into_iter().map(describe).collect())
    }

    #[test]
    fn references_are_rewritten() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let by_digest = format!("alpine:3@{digest}");
        let rewritten = [
            format!("mirror.local:5000/hub/library/alpine@{digest} insecure"),
            format!("digests.local/library/alpine@{digest}"),
            format!("docker.io/library/alpine@{digest}"),
        ];
        let rewritten: Vec<&str> = rewritten.iter().map(String::as_str).collect();
        let table: [(&str, &[&str]); 7] = [
            (
                "alpine:3",
                &[
                    "mirror.local:5000/hub/library/alpine:3 insecure",
                    "docker.io/library/alpine:3",
                ],
            ),
            (&by_digest, &rewritten),
            ("team/app:1", &["moved.io/crew/app:1"]),
            (
                "teams/app:1",
                &[
                    "mirror.local:5000/hub/teams/app:1 insecure",
                    "docker.io/teams/app:1",
                ],
            ),
            ("localhost:5000/x", &["localhost:5000/x insecure"]),
            ("a.b.corp.example/x:2", &["proxy.example/x:2"]),
            ("corp.example/x:2", &["corp.example/x:2"]),
        ];
        for (name, expected) in table {
            assert_eq!(places(name).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn blocked_registries_are_refused_by_name() {
        let error = places("bad.io/x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(
            error.to_string(),
            "registry bad.io is blocked in registries.conf"
        );
    }
}
