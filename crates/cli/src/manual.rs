//! The manual pages in `docs/man`, which are made from the definition of the command line.
//!
//! Run this test with `MINKE_BLESS=1` to write them anew; it fails where one is stale.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap_mangen::Man;

use crate::app;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/man")
}

/// Every page by the name of its file. A command that stands at the top and in a group has one
/// page, that of the top.
fn pages() -> BTreeMap<String, String> {
    let mut root = app::definition();
    root.build();
    let top: Vec<String> = root
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut pages = BTreeMap::new();
    add(&root, "minke", &mut pages);
    for command in root
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = format!("minke-{}", command.get_name());
        add(command, &name, &mut pages);
        for below in command.get_subcommands() {
            let is_twin = top.iter().any(|name| name == below.get_name());
            if !is_twin && !below.is_hide_set() && below.get_name() != "help" {
                add(below, &format!("{name}-{}", below.get_name()), &mut pages);
            }
        }
    }
    pages.remove("minke-help.1");
    pages
}

fn add(command: &clap::Command, name: &str, pages: &mut BTreeMap<String, String>) {
    let mut text = Vec::new();
    // A page is named as it is looked for; what is typed has blanks.
    let short: &'static str = name.to_owned().leak(); // the parser keeps names for ever
    let command = command.clone().name(short).bin_name(name.replace('-', " "));
    Man::new(command)
        .title(name.to_uppercase())
        .source(format!("minke {}", env!("CARGO_PKG_VERSION")))
        .manual("minke")
        .render(&mut text)
        .expect("a page is written to memory");
    let text = String::from_utf8(text).expect("pages are text");
    pages.insert(format!("{name}.1"), text);
}

#[test]
fn manual_pages_are_not_stale() {
    let directory = directory();
    let pages = pages();
    if std::env::var_os("MINKE_BLESS").is_some() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in &pages {
            fs::write(directory.join(name), text).unwrap();
        }
    }
    let there: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut stale: Vec<&str> = pages
        .iter()
        .filter(|(name, text)| fs::read_to_string(directory.join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| name.as_str())
        .collect();
    stale.extend(
        there
            .iter()
            .map(String::as_str)
            .filter(|name| !pages.contains_key(*name)),
    );
    assert!(
        stale.is_empty(),
        "stale, write them with MINKE_BLESS=1: {}",
        stale.join(" ")
    );
}
