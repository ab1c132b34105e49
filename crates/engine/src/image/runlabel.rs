//! The command that an image's label asks for.

use minke_image::Progress;

use crate::Engine;
use crate::error::{Error, Result};
use crate::image::lookup::repository_of;
use crate::image::pull::PullRequest;

/// A label longer than this is no command.
const MAX_BYTES: usize = 64 * 1024;

/// What the words of a label stand for.
#[derive(Debug, Clone, Default)]
pub struct RunlabelRequest {
    /// What `NAME` stands for; `None` is the last part of the image's name.
    pub name: Option<String>,
    /// What comes after the label's own words.
    pub arguments: Vec<String>,
    /// What `$PWD`, `$OPT1`, `$OPT2` and `$OPT3` stand for, by name.
    pub variables: Vec<(String, String)>,
    /// How to get an image that is not here.
    pub pull: PullRequest,
}

impl Engine {
    /// The words of the command that the image's label `label` holds, whatever case its name is
    /// in, the program's first: `IMAGE` and `NAME` and the variables are put in, any other
    /// variable is empty. Nothing is given to a shell.
    ///
    /// # Errors
    /// The image cannot be had; it has no such label; a quote in it is not closed.
    pub fn runlabel(
        &self,
        label: &str,
        image: &str,
        request: &RunlabelRequest,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let found = self.require_image(image, &request.pull, progress)?;
        let labels = self.image_config(&found.record)?.config.labels;
        let mut fitting = labels
            .into_iter()
            .filter(|(key, value)| key.eq_ignore_ascii_case(label) && !value.is_empty());
        let Some((_, text)) = fitting.next() else {
            return Err(Error::invalid(format!(
                "cannot find the value of label: {label} in image: {image}"
            )));
        };
        let full_name = found.name_for(image);
        let name = match &request.name {
            Some(name) => name.clone(),
            None => last_part(&full_name).to_owned(),
        };
        let words = split(&text)
            .ok_or_else(|| Error::invalid(format!("label {label} is no command: {text:?}")))?;
        let mut words = words.into_iter().map(|word| {
            let word = substitute(&word, &full_name, &name);
            expand(&word, &request.variables)
        });
        let program = words.next().unwrap_or_default();
        let rest = words.filter(|word| !matches!(word.as_str(), "GLOBAL_OPTS"));
        let arguments = request.arguments.iter().cloned();
        Ok(std::iter::once(program)
            .chain(rest)
            .chain(arguments)
            .collect())
    }
}

/// Words that stand alone, as Podman takes them.
fn substitute(word: &str, image: &str, name: &str) -> String {
    match word {
        "IMAGE" | "$IMAGE" => image.to_owned(),
        "IMAGE=IMAGE" | "IMAGE=$IMAGE" => format!("IMAGE={image}"),
        "NAME" | "$NAME" => name.to_owned(),
        "NAME=NAME" | "NAME=$NAME" => format!("NAME={name}"),
        "$GLOBAL_OPTS" => "GLOBAL_OPTS".to_owned(),
        other => other.to_owned(),
    }
}

/// Puts in `$KEY` and `${KEY}`.
fn expand(word: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let (key, after) = key_of(&rest[at + 1..]);
        if key.is_empty() {
            expanded.push('$');
        }
        let known = variables.iter().find(|(own, _)| own == key);
        expanded.push_str(known.map_or("", |(_, value)| value));
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

/// The name of a variable at the beginning of `text`, and what comes after it.
fn key_of(text: &str) -> (&str, &str) {
    if let Some((key, after)) = text
        .strip_prefix('{')
        .and_then(|braced| braced.split_once('}'))
    {
        return (key, after);
    }
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    text.split_at(end)
}

fn last_part(name: &str) -> &str {
    let repository = repository_of(name);
    repository.rsplit('/').next().unwrap_or(repository)
}

/// Splits at spaces, with the quotes and backslashes of a shell; `None` where a quote is open.
fn split(text: &str) -> Option<Vec<String>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => word.push(letters.next()?),
                        other => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(letters.next()?),
            letter if letter.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        for (text, expected) in [
            ("a  b\tc", Some(vec!["a", "b", "c"])),
            ("a 'b \"c' \"d 'e\\\"\"", Some(vec!["a", "b \"c", "d 'e\""])),
            ("a\\ b ''", Some(vec!["a b", ""])),
            ("x;y $(z) `w`", Some(vec!["x;y", "$(z)", "`w`"])),
            ("a 'b", None),
            ("a \\", None),
            ("", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn variables_are_put_in_and_unknown_ones_are_empty() {
        let variables = [("PWD".to_owned(), "/here".to_owned())];
        for (word, expected) in [
            ("$PWD/x", "/here/x"),
            ("a${PWD}b", "a/hereb"),
            ("$OTHER", ""),
            ("5$", "5$"),
            ("$PWDX", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(expand(word, &variables), expected, "{word}");
        }
    }

    #[test]
    fn names_come_from_the_image() {
        assert_eq!(last_part("localhost/lab/el:1"), "el");
        assert_eq!(substitute("NAME=NAME", "i", "n"), "NAME=n");
        assert_eq!(substitute("xIMAGE", "i", "n"), "xIMAGE");
    }
}
