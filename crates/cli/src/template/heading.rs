//! Headings of tables from the names of fields.

/// The heading of the field `name`: the one it has in `names`, or its words in capitals.
pub fn of(name: &str, names: &[(&str, &str)]) -> String {
    match names.iter().find(|(field, _)| *field == name) {
        Some((_, heading)) => (*heading).to_owned(),
        None => words(name).join(" ").to_uppercase(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Other,
}

fn class(letter: char) -> Class {
    match letter {
        _ if letter.is_lowercase() => Class::Lower,
        _ if letter.is_uppercase() => Class::Upper,
        _ if letter.is_numeric() => Class::Digit,
        _ => Class::Other,
    }
}

/// `ImageID` is `Image` and `ID`, `PDFLoader` is `PDF` and `Loader`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<(Class, String)> = Vec::new();
    for letter in name.chars() {
        let class = class(letter);
        match words.last_mut() {
            Some((last, word)) if *last == class => word.push(letter),
            Some((Class::Upper, word)) if class == Class::Lower => {
                let first = word.pop().unwrap_or_default();
                words.push((class, format!("{first}{letter}")));
            }
            _ => words.push((class, letter.to_string())),
        }
    }
    let words = words.into_iter().map(|(_, word)| word);
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_headings() {
        let names = [("ID", "CONTAINER ID")];
        for (name, expected) in [
            ("Names", "NAMES"),
            ("ID", "CONTAINER ID"),
            ("ImageID", "IMAGE ID"),
            ("CIDFile", "CID FILE"),
            ("NeedsCopyUp", "NEEDS COPY UP"),
            ("PDFLoader", "PDF LOADER"),
            ("May5", "MAY 5"),
            ("BFG9000", "BFG 9000"),
            ("AString", "A STRING"),
            ("CreatedAt", "CREATED AT"),
        ] {
            assert_eq!(of(name, &names), expected);
        }
    }
}
