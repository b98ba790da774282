//! The launcher as a program of its own, for programs that are not `freehold` itself: tests and benchmarks.

fn main() {
    infra::launcher::main()
}
