//! What `run` takes.

use super::Who::Root;
use super::{Step, fails, has, is};

pub const TOUR: &[Step] = &[
    is("docker run --rm busybox echo hello", "hello"),
    is("docker run busybox echo hello again", "hello again"),
    is("podman run --rm docker.io/library/alpine uname", "Linux"),
    is(
        "podman container run --rm localhost/nothing true || podman run --rm alpine echo else",
        "else",
    ),
    is("echo words | docker run --rm -i busybox cat", "words"),
    has("docker run --rm -t busybox tty", &["/dev/pts/0"]),
    is(
        "docker run --rm -e A=1 -e B=2 busybox sh -c 'echo $A$B'",
        "12",
    ),
    is(
        "unset FOO; podman run --rm -e FOO busybox sh -c 'echo ${FOO-unset}'",
        "unset",
    ),
    is(
        "export FOO=bar; podman run --rm --env FOO busybox sh -c 'echo $FOO'",
        "bar",
    ),
    is(
        "printf 'K=V\\n# no\\n' > env.list && docker run --rm --env-file env.list busybox sh -c 'echo $K'",
        "V",
    ),
    is("docker run --rm -w /tmp busybox pwd", "/tmp"),
    fails(
        "podman run --rm --workdir /not/there busybox pwd",
        126,
        &["workdir \"/not/there\" does not exist on container"],
    ),
    is("docker run --rm --entrypoint /bin/echo nginx over", "over"),
    is(
        "podman run --rm --entrypoint '[\"echo\",\"two\"]' nginx words",
        "two words",
    ),
    is("docker run --rm --hostname box busybox hostname", "box"),
    is("docker run --rm -h box busybox grep -c box /etc/hosts", "1"),
    is("docker run --rm --user 1000:1000 busybox id -u", "1000"),
    is("podman run --rm -u sailor busybox whoami", "sailor"),
    is(
        "podman run --rm -u sailor --group-add 2000 busybox id -G",
        "1000 2000",
    ),
    fails(
        "docker run --rm --read-only busybox touch /x",
        1,
        &["Read-only file system"],
    ),
    is(
        "docker run --rm --read-only --tmpfs /scratch busybox sh -c 'touch /scratch/x && ls /scratch'",
        "x",
    ),
    fails(
        "docker run --rm --cap-drop ALL busybox chown sailor /tmp",
        1,
        &["Operation not permitted"],
    ),
    is(
        "docker run --rm --cap-drop=ALL --cap-add=CHOWN busybox chown sailor /tmp",
        "",
    ),
    has(
        "podman run --rm --privileged busybox grep CapEff /proc/self/status",
        &["000001ff"],
    ),
    has(
        "docker run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status",
        &["1"],
    ),
    has(
        "podman run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status",
        &["0"],
    ),
    is(
        "docker run --rm --memory 64m busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "67108864",
    )
    .only(Root),
    is(
        "docker run --rm --pids-limit 50 busybox cat /sys/fs/cgroup/pids/pids.max",
        "50",
    )
    .only(Root),
    is(
        "docker run --rm --cpus 0.5 busybox cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        "50000",
    )
    .only(Root),
    is(
        "podman run --rm --cpuset-cpus 0 busybox cat /sys/fs/cgroup/cpuset/cpuset.cpus",
        "0",
    )
    .only(Root),
    has(
        "docker run --rm --init $LIBRARIES busybox cat /proc/1/cmdline",
        &["init"],
    ),
    fails("docker run --rm busybox sh -c 'exit 3'", 3, &[]),
    fails(
        "docker run --rm busybox no-such-command",
        127,
        &["no-such-command"],
    ),
    fails("docker run --rm busybox /etc", 126, &["permission denied"]),
    fails(
        "docker run --rm --pull never nothing:here",
        125,
        &["nothing:here"],
    ),
    fails(
        "docker run --rm --no-such-flag busybox",
        125,
        &["unknown flag: --no-such-flag"],
    ),
    is(
        "mkdir -p data && docker run --rm -v \"$PWD/data:/data\" busybox sh -c 'echo kept > /data/f' && cat data/f",
        "kept",
    ),
    fails(
        "docker run --rm -v \"$PWD\"/data:/data:ro busybox touch /data/x",
        1,
        &["Read-only"],
    ),
    is(
        "docker run --rm --mount type=bind,source=\"$PWD/data\",target=/in,readonly busybox cat /in/f",
        "kept",
    ),
    is(
        "podman run --rm -v ./data:/data:Z busybox cat /data/f",
        "kept",
    ),
    is(
        "docker run --rm -v named:/data busybox sh -c 'echo there > /data/f'",
        "",
    ),
    is(
        "podman run --rm --mount type=volume,source=named,destination=/v busybox cat /v/f",
        "there",
    ),
    is(
        "podman run --rm --mount type=tmpfs,destination=/v,tmpfs-size=1m busybox stat -f -c %T /v",
        "tmpfs",
    ),
    is(
        "docker create --name keeper -v /kept busybox >/dev/null && docker run --rm --volumes-from keeper busybox ls -d /kept && docker rm -v keeper",
        "/kept\nkeeper",
    ),
    is(
        "docker run --rm --ulimit nofile=512:512 busybox sh -c 'ulimit -n'",
        "512",
    ),
    has(
        "docker run --rm --shm-size 8m busybox df -k /dev/shm",
        &["8192"],
    ),
    has(
        "docker run --rm --dns 192.0.2.1 busybox cat /etc/resolv.conf",
        &["nameserver 192.0.2.1"],
    ),
    has(
        "podman run --rm --dns-search example.org busybox cat /etc/resolv.conf",
        &["search example.org"],
    ),
    has(
        "docker run --rm --add-host db:192.0.2.7 busybox grep db /etc/hosts",
        &["192.0.2.7"],
    ),
    is(
        "docker run --rm --sysctl net.core.somaxconn=500 busybox cat /proc/sys/net/core/somaxconn",
        "500",
    ),
    is(
        "docker run --rm --network none busybox ls /sys/class/net",
        "lo",
    ),
    has(
        "docker run --rm --net host busybox ls /sys/class/net",
        &["lo"],
    ),
    has("podman run --rm busybox cat /proc/net/route", &["00000000"]),
    is(
        "podman run --rm --no-hosts busybox cat /etc/hosts 2>/dev/null || echo none",
        "none",
    ),
    is(
        "podman run --rm --uts=private --pid=private --ipc=private busybox sh -c 'echo $$'",
        "1",
    ),
    is(
        "podman run --rm --pid host busybox sh -c '[ $$ -gt 1 ] && echo many'",
        "many",
    )
    .only(Root),
    is("podman run --rm --tz UTC busybox date +%Z", "UTC"),
    is("podman run --rm --umask 0077 busybox sh -c umask", "0077"),
    is(
        "podman run --rm --unsetenv GREETING busybox sh -c 'echo ${GREETING:-gone}'",
        "gone",
    ),
    is(
        "podman run --rm --env-host=false --http-proxy=false busybox sh -c 'echo ${container:+set}'",
        "set",
    ),
    is("podman run -q --rm busybox true", ""),
    is("docker run --cidfile id busybox true && wc -c < id", "64"),
    is(
        "podman run --rm --pidfile=pid -d busybox sleep 5 >/dev/null && grep -c '[0-9]' pid",
        "1",
    ),
    fails("podman run --rm --timeout 1 busybox sleep 100", 255, &[]),
    is(
        "podman run --log-driver none --name quiet busybox echo loud",
        "loud",
    ),
    has(
        "podman run --replace --name quiet busybox echo new",
        &["new"],
    ),
    fails(
        "docker run --name quiet busybox true",
        125,
        &["\"quiet\" is already in use"],
    ),
    is(
        "podman run --rm --stop-signal INT --stop-timeout 3 -d --name s nginx >/dev/null && podman stop s",
        "s",
    ),
    is(
        "docker run -d --name other busybox sleep 1000 >/dev/null && docker run --rm --network container:other busybox hostname | wc -l",
        "1",
    ),
    is(
        "podman run --rm --annotation a=b --label c=d busybox true",
        "",
    ),
    is(
        "podman run --rm --preserve-fds 1 busybox cat /proc/self/fd/3 3< data/f",
        "kept",
    ),
    is("docker rm -f -t 0 other", "other"),
    is(
        "docker rm -f $(docker ps -aq) > removed && docker ps -aq",
        "",
    ),
];
