//! Compiles the default policy for this machine and says how large it is.

use minke_seccomp::{Architecture, Conditions, Profile, bpf, flags, resolve};

fn main() -> minke_seccomp::Result<()> {
    let Some(arch) = Architecture::native() else {
        println!("no programs are made for this architecture");
        return Ok(());
    };
    let conditions = Conditions {
        capabilities: ["CAP_CHOWN", "CAP_KILL"].map(String::from).into(),
        arch,
        kernel_version: None,
    };
    let Some(seccomp) = resolve(Profile::default_policy(), &conditions)? else {
        println!("the policy is empty");
        return Ok(());
    };
    let program = bpf::compile(&seccomp)?;
    println!(
        "{} instructions of {}, flags {:#x}",
        program.len(),
        bpf::MAX_INSTRUCTIONS,
        flags::kernel_bits(&seccomp)
    );
    Ok(())
}
