//! The runtime alone, for engines that want only this part of minke.

fn main() {
    let surroundings = minke_oci_runtime::cli::Surroundings {
        runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(Into::into),
        is_root: rustix::process::geteuid().is_root(),
    };
    std::process::exit(minke_oci_runtime::cli::run(
        std::env::args_os(),
        &surroundings,
    ));
}
