//! Several containers: lists, filters, restarts, health, and clearing up.

use super::{Step, fails, has, is};

pub const TOUR: &[Step] = &[
    is(
        "docker create --name later busybox echo at last | wc -c",
        "65",
    ),
    has(
        "docker ps -a --filter status=created",
        &["Created", "later"],
    ),
    is("docker start -a later", "at last"),
    is("docker start --attach later", "at last"),
    is("docker wait later", "0"),
    is(
        "podman run -d --name one --label tier=front busybox sleep 1000 | wc -c",
        "65",
    ),
    is(
        "podman run -dq --name two --label tier=back --init $LIBRARIES alpine sleep 1000 | wc -c",
        "65",
    ),
    is("docker ps --format '{{.Names}}' | sort", "one\ntwo"),
    is(
        "docker ps --filter label=tier=front --format '{{.Names}}'",
        "one",
    ),
    is(
        "docker ps -f name=tw --format '{{.Names}}: {{.Image}}'",
        "two: docker.io/library/alpine:latest",
    ),
    is("docker ps -a -f exited=0 --format '{{.Names}}'", "later"),
    is(
        "podman ps --filter ancestor=alpine --noheading --format '{{.Names}}'",
        "two",
    )
    .only(super::Who::Root),
    is("docker ps --no-trunc -q -f name=one | wc -c", "65"),
    is("docker ps -q | wc -l", "2"),
    is("docker ps -l --format '{{.Names}}'", "two"),
    is("docker ps -n 1 --format '{{.Names}}'", "two"),
    is("docker container ls -aq | wc -l", "3"),
    has(
        "docker ps --format 'table {{.ID}}\\t{{.Status}}'",
        &["CONTAINER ID", "STATUS", "Up "],
    ),
    has("docker ps -as", &["SIZE", "virtual"]),
    is(
        "podman ps -a --sort names --format '{{.Names}}'",
        "later\none\ntwo",
    ),
    is(
        "podman ps --format json | jq -r '.[].Names[0]' | sort",
        "one\ntwo",
    ),
    is(
        "podman ps --format '{{.Label \"tier\"}}' --filter name=one",
        "front",
    ),
    is(
        "podman ps --ns --format '{{.Names}}' --filter name=two",
        "two",
    ),
    is("podman container list --filter since=later -q | wc -l", "2"),
    is("podman inspect one two --format '{{.Name}}'", "one\ntwo"),
    is("podman inspect -l --format '{{.Name}}'", "two"),
    is("podman logs one two", ""),
    is("podman stop -t 0 one two | sort", "one\ntwo"),
    is("podman start one two | sort", "one\ntwo"),
    is("podman restart -t 0 --all | wc -l", "3"),
    is("podman kill --all | wc -l", "2"),
    is("podman wait one two", "137\n137"),
    fails(
        "podman stop nobody",
        125,
        &["no container with name or ID \"nobody\" found: no such container"],
    ),
    fails(
        "podman kill one",
        125,
        &["can only kill running containers"],
    ),
    is(
        "docker run -d --name stays --restart always busybox sh -c 'exit 1' | wc -c",
        "65",
    ),
    is(
        "retry sh -c '[ \"$(\"$MINKE\" $MINKE_GLOBALS inspect -f \"{{.RestartCount}}\" stays)\" -gt 0 ]' && echo again",
        "again",
    ),
    is(
        "docker update --restart no stays >/dev/null; docker rm -f stays",
        "stays",
    ),
    fails(
        "docker run --restart on-failure:2 --name tries busybox sh -c 'exit 9'",
        9,
        &[],
    ),
    is(
        "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}' tries",
        "on-failure:2",
    ),
    is(
        "docker run -d --name unless --restart unless-stopped busybox sleep 1000 | wc -c",
        "65",
    ),
    is(
        "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' unless",
        "unless-stopped",
    ),
    is("docker rm --force --time 0 unless", "unless"),
    is(
        "docker run -d --name well --health-cmd 'cat /www/index.html' --health-interval 1s --health-retries 3 --health-timeout 5s nginx | wc -c",
        "65",
    ),
    is("podman wait --condition=healthy well", "-1"),
    is(
        "docker inspect -f '{{.State.Health.Status}}' well",
        "healthy",
    ),
    has("docker ps -f health=healthy", &["(healthy)", "well"]),
    is("podman healthcheck run well", ""),
    is(
        "podman run -d --name ill --health-cmd 'exit 1' --health-retries 1 --health-interval disable nginx | wc -c",
        "65",
    ),
    fails("podman healthcheck run ill", 1, &["unhealthy"]),
    is(
        "podman inspect -f '{{.State.Health.Status}}' ill",
        "unhealthy",
    ),
    is("docker stop $(docker ps -q) | wc -l", "2"),
    has("podman rm tries", &["tries"]),
    is("docker container prune -f | wc -l", "5"),
    is("docker container ls -a -q", ""),
    is(
        "podman run -d --name a busybox sleep 1000 >/dev/null && podman run -d --name b --requires a busybox sleep 1000 | wc -c",
        "65",
    ),
    fails("podman rm -f -t 0 a", 125, &["has dependent containers"]),
    has("podman rm -f -t 0 --depend a", &["a"]),
    is("podman create --name c busybox true | wc -c", "65"),
    is("podman init c", "c"),
    is(
        "podman ps -a --filter status=initialized --format '{{.Names}}'",
        "c",
    ),
    is("podman container clone c d | wc -c", "65"),
    is("podman rm --ignore nobody c d | sort", "c\nd"),
    is("podman rm -a", ""),
    has("docker version", &["Version:"]),
    has("docker --version", &["version"]),
    has("podman info", &["host:"]),
    has("podman images", &["docker.io/library/nginx", "latest"]),
];
