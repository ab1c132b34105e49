//! Volumes, images and parts of them as mounts: content, owners, and what is left afterwards.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use anyhow::{Result, ensure};
use serde_json::json;

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::fixture::{self, Layout, text};

cases![
    a_new_volume_takes_over_the_images_content_and_its_owner,
    anonymous_volumes_go_with_their_container,
    volumes_are_shared_with_podman,
    mounts_are_taken_over_from_another_container,
    a_throw_away_layer_leaves_the_source_alone,
    a_part_of_a_volume_stays_beneath_it,
    images_are_mounted_read_only_unless_asked,
    a_source_is_given_to_the_containers_user,
    nothing_stays_mounted_when_a_start_fails,
];

/// An image with a volume at `/data`, which is the sailor's and has a file.
pub(super) fn image(ground: &Ground) -> Result<String> {
    let name = ground.registry.name("minke/volumes:latest");
    let directory = ground.directory().join("volumes-image");
    if directory.exists() {
        return Ok(name);
    }
    let tree = ground.directory().join("volumes-tree");
    fs::create_dir_all(tree.join("data/below"))?;
    fs::write(tree.join("data/below/file"), "of the image\n")?;
    symlink("/etc", tree.join("data/out"))?;
    let tar = ground.directory().join("volumes.tar");
    let program = crate::program::Program::new(crate::program::need("tar")?);
    program.ok([
        "-C",
        text(&tree)?,
        "--owner=1000",
        "--group=1000",
        "--mode=u+rwX,g=,o=",
        "--numeric-owner",
        "-cf",
        text(&tar)?,
        "data",
    ])?;
    let mut layout = Layout::new(&directory)?;
    let base = ground.directory().join("volumes-base");
    fixture::busybox_tree(&base)?;
    layout.add_tree(&base)?;
    layout.add_tar(&tar)?;
    layout.finish(json!({"Env": ["PATH=/bin"], "Cmd": ["true"], "Volumes": {"/data": {}}}))?;
    ground.registry.push(&layout.path, "minke/volumes:latest")?;
    fs::remove_dir_all(base)?;
    fs::remove_dir_all(tree)?;
    Ok(name)
}

pub(super) fn pulled<'a>(ground: &'a Ground) -> Result<(Site<'a>, String)> {
    let image = image(ground)?;
    let site = ground.site()?;
    site.ok(&["pull", "--quiet", "--tls-verify=false", &image])?;
    Ok((site, image))
}

pub(super) fn run(site: &Site<'_>, options: &[&str], image: &str, script: &str) -> Result<String> {
    let mut line = vec!["run", "--rm", "--network=none"];
    line.extend(options);
    line.extend([image, "sh", "-c", script]);
    site.ok(&line)
}

fn volumes(site: &Site<'_>) -> Vec<String> {
    let entries = fs::read_dir(site.root().join("volumes"));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn a_new_volume_takes_over_the_images_content_and_its_owner(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let said = run(&site, &["-v", "one:/data"], &image, "cat /data/below/file")?;
    ensure!(said == "of the image", "{said}");
    let data = site.root().join("volumes/one/_data");
    let meta = fs::metadata(&data)?;
    ensure!((meta.uid(), meta.gid(), meta.mode() & 0o777) == (1000, 1000, 0o700));
    ensure!(fs::read_link(data.join("out"))? == std::path::Path::new("/etc"));
    run(&site, &["-v", "one:/data"], &image, "rm -r /data/below")?;
    let said = run(&site, &["-v", "one:/data"], &image, "ls /data")?;
    ensure!(said == "out", "it was filled twice: {said}");
    let said = run(&site, &["-v", "two:/data:nocopy"], &image, "ls /data")?;
    ensure!(said.is_empty(), "{said}");
    Ok(Passed)
}

fn anonymous_volumes_go_with_their_container(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    run(&site, &[], &image, "touch /data/new")?;
    ensure!(volumes(&site).is_empty(), "{:?}", volumes(&site));
    site.ok(&[
        "create",
        "--name=a",
        "-v",
        "/more",
        "-v",
        "kept:/kept",
        &image,
    ])?;
    ensure!(volumes(&site).len() == 3, "{:?}", volumes(&site));
    site.ok(&["rm", "-v", "a"])?;
    ensure!(volumes(&site) == ["kept"], "{:?}", volumes(&site));
    site.ok(&["create", "--name=b", &image])?;
    site.ok(&["rm", "b"])?;
    ensure!(volumes(&site).len() == 2, "without -v they stay");
    site.ok(&["create", "--name=c", "--image-volume=ignore", &image])?;
    ensure!(volumes(&site).len() == 2);
    let said = run(
        &site,
        &["--image-volume=tmpfs"],
        &image,
        "grep ' /data ' /proc/mounts",
    )?;
    ensure!(said.starts_with("tmpfs"), "{said}");
    Ok(Passed)
}

fn volumes_are_shared_with_podman(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let podman = site.podman()?;
    podman.ok(["volume", "create", "theirs"])?;
    let data = podman.ok(["volume", "inspect", "theirs", "--format={{.Mountpoint}}"])?;
    fs::write(format!("{data}/note"), "ahoy")?;
    let said = run(&site, &["-v", "theirs:/x"], &image, "cat /x/note")?;
    ensure!(said == "ahoy", "{said}");
    Ok(Passed)
}

fn mounts_are_taken_over_from_another_container(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    site.ok(&["create", "--name=keeper", "-v", "box:/box", &image])?;
    run(
        &site,
        &["--volumes-from=keeper"],
        &image,
        "echo hi > /box/hi; echo hi > /data/hi",
    )?;
    let said = run(
        &site,
        &["--volumes-from=keeper:ro"],
        &image,
        "cat /box/hi /data/hi; touch /box/no 2>/dev/null || echo kept",
    )?;
    ensure!(said == "hi\nhi\nkept", "{said}");
    ensure!(
        volumes(&site).len() == 2,
        "the other's anonymous one is used and kept"
    );
    let missing = site
        .minke()
        .call(["create", "--volumes-from=nobody", &image])?;
    ensure!(missing.code == 125, "{missing}");
    Ok(Passed)
}

fn a_throw_away_layer_leaves_the_source_alone(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let source = site.directory.join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("old"), "old")?;
    let mount = format!("{}:/x:O", source.display());
    let said = run(
        &site,
        &["-v", &mount],
        &image,
        "echo new > /x/new; rm /x/old; ls /x",
    )?;
    ensure!(said == "new", "{said}");
    let left: Vec<_> = fs::read_dir(&source)?
        .flatten()
        .map(|e| e.file_name())
        .collect();
    ensure!(left == ["old"], "{left:?}");
    let (upper, work) = (site.directory.join("upper"), site.directory.join("work"));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let mount = format!(
        "{mount},upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    run(&site, &["-v", &mount], &image, "echo new > /x/new")?;
    ensure!(fs::read_to_string(upper.join("new"))? == "new\n");
    Ok(Passed)
}

fn a_part_of_a_volume_stays_beneath_it(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    run(&site, &["-v", "v:/data"], &image, "ln -s /below /data/link")?;
    let part = |part: &str| format!("type=volume,src=v,dst=/x,volume-subpath={part}");
    for (name, expected) in [
        ("below", "file"),
        ("link", "file"),
        ("../../..", "below\nlink\nout"),
    ] {
        let said = run(&site, &["--mount", &part(name)], &image, "ls /x")?;
        ensure!(said == expected, "{name}: {said}");
    }
    let out = site
        .minke()
        .call(["run", "--rm", "--mount", &part("out"), &image, "ls", "/x"])?;
    ensure!(out.code != 0, "a link to /etc led out: {out}");
    Ok(Passed)
}

fn images_are_mounted_read_only_unless_asked(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let mount = format!("type=image,src={image},dst=/x");
    let said = run(
        &site,
        &["--mount", &mount],
        &image,
        "ls /x/data; touch /x/no 2>/dev/null || echo kept",
    )?;
    ensure!(said == "below\nout\nkept", "{said}");
    let mount = format!("{mount},rw=true,subpath=data");
    let said = run(&site, &["--mount", &mount], &image, "touch /x/new; ls /x")?;
    ensure!(said == "below\nnew\nout", "{said}");
    let said = run(&site, &["--mount", &mount], &image, "ls /x")?;
    ensure!(said == "below\nout", "what was written stayed: {said}");
    Ok(Passed)
}

fn a_source_is_given_to_the_containers_user(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let source = site.directory.join("source");
    fs::create_dir(&source)?;
    fs::set_permissions(&source, fs::Permissions::from_mode(0o700))?;
    fs::write(source.join("file"), "")?;
    chown(source.join("file"), Some(7), Some(7))?;
    symlink("/etc/passwd", source.join("link"))?;
    let mount = format!("{}:/x:U", source.display());
    run(
        &site,
        &["-u", "sailor", "-v", &mount],
        &image,
        "touch /x/new",
    )?;
    for name in [".", "file", "link", "new"] {
        let meta = fs::symlink_metadata(source.join(name))?;
        ensure!(meta.uid() == 1000, "{name} belongs to {}", meta.uid());
    }
    ensure!(fs::metadata("/etc/passwd")?.uid() == 0);
    let system = site
        .minke()
        .call(["run", "--rm", "-v", "/etc:/x:U", &image, "true"])?;
    ensure!(system.stderr.contains("not permitted"), "{system}");
    Ok(Passed)
}

fn nothing_stays_mounted_when_a_start_fails(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let mount = format!("type=image,src={image},dst=/x");
    let failed = site.minke().call([
        "run", "--name=a", "--mount", &mount, "-v", "v:/y:O", &image, "/missing",
    ])?;
    ensure!(failed.code == 127, "{failed}");
    let mounts = crate::scratch::mounts_below(&site.directory);
    let bound: Vec<_> = mounts
        .iter()
        .filter(|path| path.ends_with("mounts/0"))
        .collect();
    ensure!(bound.is_empty(), "{mounts:?}");
    site.ok(&["rm", "a"])?;
    let said = run(&site, &["-v", "v:/y"], &image, "ls /y")?;
    ensure!(said.is_empty(), "{said}");
    Ok(Passed)
}
