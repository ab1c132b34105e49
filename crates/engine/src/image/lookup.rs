//! From what was typed to an image of the store.

use std::str::FromStr;

use minke_image::{ImageConfig, UserName};
use minke_runtime_spec::ImageConfig as ContainerDefaults;
use minke_storage::{Image, ImageId};

use crate::Engine;
use crate::error::{Error, Result};

/// An image of the store and the name by which it was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub id: ImageId,
    pub record: Image,
    /// Its name that fits what was typed; `None` when an id was.
    pub name: Option<String>,
}

impl Found {
    fn new(record: &Image, name: Option<String>) -> Self {
        Self {
            id: record.id.clone(),
            record: record.clone(),
            name,
        }
    }

    /// What to call the image where `typed` was asked for.
    pub fn name_for(&self, typed: &str) -> String {
        let first = || self.record.names.first().cloned();
        self.name
            .clone()
            .or_else(first)
            .unwrap_or_else(|| typed.to_owned())
    }

    /// What the image says about containers made of it.
    pub fn container_defaults(&self, engine: &Engine) -> Result<ContainerDefaults> {
        let config = engine.image_config(&self.record)?.config;
        // The two types spell the same document; the blob's form is the bridge.
        let value = serde_json::to_value(config).map_err(|source| Error::Record {
            object: format!("image {}", self.id),
            source,
        })?;
        serde_json::from_value(value).map_err(|source| Error::Record {
            object: format!("image {}", self.id),
            source,
        })
    }
}

impl Engine {
    /// Finds an image by id, beginning of one, or name. Short names are looked for as Podman
    /// does: below localhost, in the search registries, then wherever the name ends so.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`]; a reference that does not parse.
    pub(crate) fn find_image(&self, typed: &str) -> Result<Found> {
        let images = self.store()?.images()?;
        let id = typed.strip_prefix("sha256:").unwrap_or(typed);
        if is_id_like(id)
            && let Ok(record) = images.lookup(id)
        {
            return Ok(Found::new(record, None));
        }
        let unknown = || Error::ImageUnknown {
            name: typed.to_owned(),
        };
        for name in self.candidates(typed)? {
            if let Some(record) = images.by_name(&name) {
                return Ok(Found::new(record, Some(name)));
            }
            if let Some((repository, digest)) = name.split_once('@') {
                let digest = digest.parse()?;
                let has_name = |image: &&Image| {
                    let mut names = image.names.iter();
                    names.any(|own| repository_of(own) == repository)
                };
                if let Some(record) = images.by_digest(&digest).find(has_name) {
                    return Ok(Found::new(record, Some(name)));
                }
            }
        }
        let wanted = tagged(typed);
        let suffix = format!("/{wanted}");
        let mut ending = images.iter().filter_map(|image| {
            let name = image.names.iter().find(|name| name.ends_with(&suffix))?;
            Some(Found::new(image, Some(name.clone())))
        });
        match (is_short(typed), ending.next(), ending.next()) {
            (true, Some(found), None) => Ok(found),
            (true, Some(_), Some(_)) => Err(Error::invalid(format!(
                "{typed}: several images have names that end so: give the registry too"
            ))),
            _ => Err(unknown()),
        }
    }

    /// Full names that what was typed may stand for, the most likely first.
    fn candidates(&self, typed: &str) -> Result<Vec<String>> {
        Ok(match UserName::from_str(typed)? {
            UserName::Qualified(reference) => vec![reference.with_default_tag().to_string()],
            UserName::Short(short) => {
                let mut names = vec![
                    short
                        .in_registry("localhost")?
                        .with_default_tag()
                        .to_string(),
                ];
                let registries = super::configuration::registries(&self.options.surroundings)?;
                let searched = registries.search_registries().iter().map(String::as_str);
                for registry in searched.chain(["docker.io"]) {
                    let name = short.in_registry(registry)?.with_default_tag();
                    names.push(name.to_string());
                }
                names
            }
        })
    }

    /// The config of an image, from the item that its id names.
    pub(crate) fn image_config(&self, image: &Image) -> Result<ImageConfig> {
        let key = format!("sha256:{}", image.id);
        let bytes = self.store()?.image_big_data(&image.id, &key)?;
        Ok(ImageConfig::parse(&bytes)?)
    }
}

fn is_id_like(text: &str) -> bool {
    (3..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_short(typed: &str) -> bool {
    matches!(UserName::from_str(typed), Ok(UserName::Short(_)))
}

/// `name` as `name:latest`, unless it has a tag or digest.
fn tagged(typed: &str) -> String {
    let last = typed.rsplit('/').next().unwrap_or(typed);
    if last.contains(':') || last.contains('@') {
        typed.to_owned()
    } else {
        format!("{typed}:latest")
    }
}

/// A full name without its tag or digest.
pub(crate) fn repository_of(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match (name.rfind(':'), name.rfind('/')) {
        (Some(colon), Some(slash)) if colon > slash => &name[..colon],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_lose_tag_and_digest_but_not_the_port() {
        for (name, repository) in [
            ("h:5000/a/b:1", "h:5000/a/b"),
            ("h:5000/a/b", "h:5000/a/b"),
            ("h/a@sha256:00", "h/a"),
            ("h/a:1@sha256:00", "h/a"),
        ] {
            assert_eq!(repository_of(name), repository);
        }
        assert_eq!(tagged("a/b"), "a/b:latest");
        assert_eq!(tagged("h:5/b"), "h:5/b:latest");
        assert_eq!(tagged("a:1"), "a:1");
    }
}
