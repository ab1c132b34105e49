//! One store, several engines: what minke stored they use, and the other way round.

use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::fixture::{self, text};
use crate::registry::skopeo;

cases![
    podman_lists_and_runs_what_minke_pulled,
    buildah_lists_and_mounts_what_minke_pulled,
    skopeo_inspects_and_copies_what_minke_pulled,
    minke_runs_what_podman_pulled,
    minke_runs_what_buildah_committed,
    minke_runs_what_skopeo_copied,
    removing_is_seen_by_the_other,
    several_of_both_at_once_lose_nothing,
];

fn podman_lists_and_runs_what_minke_pulled(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    let id = site.pull()?;
    let podman = site.podman()?;
    let listed = podman.ok([
        "images",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Repository}}:{{.Tag}}",
    ])?;
    ensure!(
        listed == format!("sha256:{id} {}", site.image()),
        "podman lists {listed:?}"
    );
    let said = podman.ok([
        "run",
        "--rm",
        "--network=none",
        &site.image(),
        "cat",
        "/www/index.html",
    ])?;
    ensure!(
        said == fixture::GREETING.trim_end(),
        "podman's container said {said:?}"
    );
    Ok(Passed)
}

fn buildah_lists_and_mounts_what_minke_pulled(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    let id = site.pull()?;
    let buildah = site.buildah()?;
    let listed = buildah.ok([
        "images",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Name}}:{{.Tag}}",
    ])?;
    ensure!(
        listed.contains(&id) && listed.contains(&site.image()),
        "buildah lists {listed:?}"
    );
    let working = buildah.ok(["from", "--pull-never", &site.image()])?;
    let mounted = buildah.ok(["mount", &working])?;
    let page = std::fs::read_to_string(Path::new(&mounted).join("www/index.html"))?;
    ensure!(page == fixture::GREETING);
    buildah.ok(["umount", &working])?;
    buildah.ok(["rm", &working])?;
    Ok(Passed)
}

fn skopeo_inspects_and_copies_what_minke_pulled(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let stored = site.skopeo_name(&site.image());
    let raw = skopeo()?.ok(["inspect", "--raw", &stored])?;
    let manifest: serde_json::Value = serde_json::from_str(&raw)?;
    for (index, layer) in ground.web.layers.iter().enumerate() {
        ensure!(
            manifest["layers"][index]["digest"] == layer.digest,
            "another manifest: {raw}"
        );
    }
    // Reading layers back needs tar-split; skopeo checks each against its diff ID.
    let copy = site.directory.join("copy");
    skopeo()?.ok(["copy", "--quiet", &stored, &format!("dir:{}", text(&copy)?)])?;
    Ok(Passed)
}

fn minke_runs_what_podman_pulled(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    site.podman()?
        .ok(["pull", "--quiet", "--tls-verify=false", &site.image()])?;
    ensure!(site.ok(&["images"])?.contains("minke/web"));
    runs(&site, &site.image(), fixture::GREETING.trim_end())?;
    Ok(Passed)
}

fn minke_runs_what_buildah_committed(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let buildah = site.buildah()?;
    let page = site.directory.join("page");
    std::fs::write(&page, "made by buildah\n")?;
    let working = buildah.ok(["from", "--pull-never", &site.image()])?;
    buildah.ok(["copy", &working, text(&page)?, "/www/index.html"])?;
    buildah.ok(["config", "--env", "MADE=yes", &working])?;
    buildah.ok(["commit", "--rm", "--quiet", &working, "localhost/built:1"])?;
    runs(&site, "localhost/built:1", "made by buildah")?;
    let made = site.ok(&[
        "run",
        "--rm",
        "--network=none",
        "localhost/built:1",
        "sh",
        "-c",
        "echo $MADE",
    ])?;
    ensure!(
        made == "yes",
        "the environment that buildah set is {made:?}"
    );
    Ok(Passed)
}

fn minke_runs_what_skopeo_copied(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    let source = format!("oci:{}:latest", text(&ground.web.path)?);
    skopeo()?.ok([
        "copy",
        "--quiet",
        &source,
        &site.skopeo_name("localhost/copied:1"),
    ])?;
    runs(&site, "localhost/copied:1", fixture::GREETING.trim_end())?;
    Ok(Passed)
}

fn removing_is_seen_by_the_other(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let podman = site.podman()?;
    podman.ok(["rmi", &site.image()])?;
    ensure!(
        site.ok(&["images", "-q"])?.is_empty(),
        "minke still lists what podman removed"
    );
    podman.ok(["pull", "--quiet", "--tls-verify=false", &site.image()])?;
    site.ok(&["rmi", &site.image()])?;
    ensure!(
        podman.ok(["images", "-q"])?.is_empty(),
        "podman still lists what minke removed"
    );
    Ok(Passed)
}

/// Half of the images by minke, half by podman, all at the same time, while containers run.
fn several_of_both_at_once_lose_nothing(ground: &Ground) -> Result<Outcome> {
    const IMAGES: usize = 8;
    let site = ground.site_with_image()?;
    let made = site.directory.join("made");
    std::fs::create_dir_all(&made)?;
    let mut names = Vec::new();
    for number in 0..IMAGES {
        let layout = fixture::web_with(&made, &format!("web{number}"), &format!("page {number}"))?;
        let name = format!("minke/web{number}:latest");
        ground.registry.push(&layout.path, &name)?;
        names.push(ground.registry.name(&name));
    }
    let (minke, podman, image) = (site.minke(), site.podman()?, site.image());
    thread::scope(|scope| -> Result<()> {
        let mut running = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let program = if number % 2 == 0 { &minke } else { &podman };
            let image = &image;
            running.push(scope.spawn(move || -> Result<()> {
                program.ok(["pull", "--quiet", "--tls-verify=false", name])?;
                let said =
                    program.ok(["run", "--rm", "--network=none", image, "echo", "in between"])?;
                ensure!(said == "in between", "a container said {said:?}");
                Ok(())
            }));
        }
        for thread in running {
            thread.join().expect("no thread panics")?;
        }
        Ok(())
    })?;
    for lister in [&minke, &podman] {
        let listed = lister.ok(["images"])?;
        for name in &names {
            let repository = name.trim_end_matches(":latest");
            ensure!(listed.contains(repository), "{name} was lost:\n{listed}");
        }
    }
    for (number, name) in names.iter().enumerate() {
        runs(&site, name, &format!("page {number}"))?;
        let said = podman.ok([
            "run",
            "--rm",
            "--network=none",
            name,
            "cat",
            "/www/index.html",
        ])?;
        ensure!(
            said == format!("page {number}"),
            "podman runs another image as {name}"
        );
    }
    Ok(Passed)
}

/// minke runs `image`, and its page is `expected`.
fn runs(site: &Site<'_>, image: &str, expected: &str) -> Result<()> {
    let said = site
        .ok(&[
            "run",
            "--rm",
            "--network=none",
            image,
            "cat",
            "/www/index.html",
        ])
        .with_context(|| format!("minke does not run {image}"))?;
    ensure!(said == expected, "{image} said {said:?}, not {expected:?}");
    Ok(())
}
