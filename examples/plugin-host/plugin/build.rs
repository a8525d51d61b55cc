//! How the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // V8's threads and the thread that makes worker threads live as long as the process, in the code of this library.
    // With this mark `dlclose` leaves it where it is, whoever opened it and however.
    if std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // The interface alone is for others: what the library is made of must not meet the same code in the program.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    }
}
