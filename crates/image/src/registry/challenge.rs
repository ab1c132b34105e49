//! `WWW-Authenticate` headers (RFC 9110 § 11.6.1).

use std::collections::BTreeMap;

/// One challenge: a scheme and its parameters, names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer`, `basic`..., in lower case.
    pub scheme: String,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// A parameter by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// Parses the value of one header, which may hold several challenges. What cannot be
/// understood ends the list.
pub fn parse_challenges(value: &str) -> Vec<Challenge> {
    let mut scanner = Scanner { rest: value };
    let mut challenges: Vec<Challenge> = Vec::new();
    while let Some(word) = scanner.token() {
        match (scanner.value(), challenges.last_mut()) {
            (Some(text), Some(challenge)) => {
                challenge
                    .parameters
                    .entry(word.to_ascii_lowercase())
                    .or_insert(text);
            }
            (Some(_), None) => break,
            (None, _) => challenges.push(Challenge {
                scheme: word.to_ascii_lowercase(),
                parameters: BTreeMap::new(),
            }),
        }
    }
    challenges
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn token(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        let end = self.rest.find(|c: char| !is_token(c));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(token).filter(|token| !token.is_empty())
    }

    /// The value after `=`, quoted or not; nothing if the next thing is not `=`.
    fn value(&mut self) -> Option<String> {
        let rest = self.rest.trim_start().strip_prefix('=')?.trim_start();
        match rest.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted),
            None => {
                let end = rest.find([',', ' ', '\t']).unwrap_or(rest.len());
                let (value, rest) = rest.split_at(end);
                self.rest = rest;
                Some(value.to_owned())
            }
        }
    }

    fn quoted(&mut self, text: &'a str) -> Option<String> {
        let mut value = String::new();
        let mut characters = text.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.rest = &text[at + 1..];
                    return Some(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                c => value.push(c),
            }
        }
        self.rest = "";
        Some(value)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_understood() {
        let hub = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let [bearer] = &parse_challenges(hub)[..] else {
            panic!("one challenge");
        };
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.get("realm"), Some("https://auth.example/token"));
        assert_eq!(bearer.get("scope"), Some("repository:a/b:pull,push"));
        let two = parse_challenges(r#"Negotiate, BASIC Realm = "a \"b\"" , charset=utf-8"#);
        assert_eq!(two.len(), 2);
        assert_eq!(two[1].scheme, "basic");
        assert_eq!(two[1].get("realm"), Some(r#"a "b""#));
        assert_eq!(two[1].get("charset"), Some("utf-8"));
    }

    #[test]
    fn nonsense_gives_nothing() {
        for text in ["", ",,,", "=", "a=b", "\"", "\u{fffd}"] {
            assert_eq!(parse_challenges(text), [], "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_ends(text in "\\PC{0,120}") {
            parse_challenges(&text);
        }
    }
}
