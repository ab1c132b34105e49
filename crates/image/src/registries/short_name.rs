//! From what a user typed to fully qualified candidates.

use super::{Registries, ShortNameMode};
use crate::error::{Error, Result};
use crate::reference::{ImageReference, ShortName, UserName};

/// Why the candidates are what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rationale {
    /// The name was qualified.
    Qualified,
    /// An alias in the file at this path.
    Alias(String),
    /// The search registries in the file at this path.
    Search(String),
}

/// The fully qualified names a user may have meant, each with a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What the user typed.
    pub name: String,
    /// The candidates, in the order to try.
    pub candidates: Vec<ImageReference>,
    /// Where they come from.
    pub rationale: Rationale,
    /// What the configuration wants done if there are several.
    pub mode: ShortNameMode,
}

impl Resolution {
    /// Whether a user at a terminal should be asked which candidate is meant.
    pub fn should_ask(&self) -> bool {
        self.candidates.len() > 1 && self.mode != ShortNameMode::Disabled
    }

    /// The candidates to try when nobody can be asked.
    ///
    /// # Errors
    /// [`Error::ShortNameAmbiguous`] if the mode is enforcing and there are several.
    pub fn without_asking(self) -> Result<Vec<ImageReference>> {
        if self.candidates.len() > 1 && self.mode == ShortNameMode::Enforcing {
            return Err(Error::ShortNameAmbiguous {
                name: self.name,
                candidates: self.candidates.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(self.candidates)
    }
}

impl Registries {
    /// Resolves `name`: itself if qualified, else by alias, else in the search registries.
    ///
    /// # Errors
    /// [`Error::ShortNameUnresolved`].
    pub fn resolve(&self, name: &UserName) -> Result<Resolution> {
        let short = match name {
            UserName::Short(short) => short,
            UserName::Qualified(reference) => {
                return Ok(Resolution {
                    name: reference.to_string(),
                    candidates: vec![reference.clone().with_default_tag()],
                    rationale: Rationale::Qualified,
                    mode: self.mode,
                });
            }
        };
        if let Some(resolution) = self.by_alias(short)? {
            return Ok(resolution);
        }
        if self.search.is_empty() {
            return Err(Error::ShortNameUnresolved {
                name: short.to_string(),
                config: self.main_path.clone(),
            });
        }
        let candidates = self.search.iter().map(|registry| {
            let reference = short.in_registry(registry)?;
            Ok(reference.with_default_tag())
        });
        Ok(Resolution {
            name: short.to_string(),
            candidates: candidates.collect::<Result<_>>()?,
            rationale: Rationale::Search(self.main_path.clone()),
            mode: self.mode,
        })
    }

    fn by_alias(&self, short: &ShortName) -> Result<Option<Resolution>> {
        if self.mode == ShortNameMode::Disabled {
            return Ok(None);
        }
        let Some(alias) = self.aliases.get(short.path()) else {
            return Ok(None);
        };
        let reference = short.at(&alias.target.to_string())?;
        Ok(Some(Resolution {
            name: short.to_string(),
            candidates: vec![reference.with_default_tag()],
            rationale: Rationale::Alias(alias.path.clone()),
            mode: self.mode,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigText;
    use super::*;

    const MAIN: ConfigText<'_> = ConfigText {
        path: "/etc/containers/registries.conf",
        text: "unqualified-search-registries = ['first.io', 'docker.io', 'localhost:5000']\n\
               [aliases]\n'tool' = 'quay.io/team/tool'\n'gone' = 'quay.io/gone'",
    };
    const DROP_IN: ConfigText<'_> = ConfigText {
        path: "/etc/containers/registries.conf.d/01.conf",
        text: "short-name-mode = 'enforcing'\n[aliases]\n'gone' = ''\n'a/b' = 'other.io/c'",
    };

    fn candidates(files: &[ConfigText<'_>], name: &str) -> Vec<String> {
        let registries = Registries::parse(files).unwrap();
        let resolution = registries.resolve(&name.parse().unwrap()).unwrap();
        resolution
            .candidates
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn names_become_candidates() {
        let both = [MAIN, DROP_IN];
        let table: [(&str, &[&str]); 5] = [
            ("quay.io/x", &["quay.io/x:latest"]),
            ("tool:2", &["quay.io/team/tool:2"]),
            ("a/b", &["other.io/c:latest"]),
            (
                "gone",
                &[
                    "first.io/gone:latest",
                    "docker.io/library/gone:latest",
                    "localhost:5000/gone:latest",
                ],
            ),
            (
                "x/y:1",
                &["first.io/x/y:1", "docker.io/x/y:1", "localhost:5000/x/y:1"],
            ),
        ];
        for (name, expected) in table {
            assert_eq!(candidates(&both, name), expected);
        }
    }

    #[test]
    fn several_candidates_are_refused_when_enforcing() {
        let name = "x".parse().unwrap();
        let enforcing = Registries::parse(&[MAIN, DROP_IN]).unwrap();
        let resolution = enforcing.resolve(&name).unwrap();
        assert!(resolution.should_ask());
        assert!(resolution.without_asking().is_err());
        let permissive = Registries::parse(&[MAIN]).unwrap();
        let resolution = permissive.resolve(&name).unwrap();
        assert_eq!(resolution.without_asking().unwrap().len(), 3);
    }

    #[test]
    fn an_unresolved_short_name_is_worded_as_podman_does() {
        let path = "/etc/containers/registries.conf";
        let empty = Registries::parse(&[ConfigText { path, text: "" }]).unwrap();
        let error = empty.resolve(&"nope".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "short-name \"nope\" did not resolve to an alias and no unqualified-search \
             registries are defined in \"/etc/containers/registries.conf\""
        );
    }
}
