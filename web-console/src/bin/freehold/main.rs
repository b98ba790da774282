//! `freehold`: a provider of personal servers in one program.

mod app;
mod args;
mod catalogue;
mod config;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The launcher forks; so it begins before there is any thread, and before anything else could fail.
    if std::env::args_os().nth(1).is_some_and(|word| word == "launcher") {
        infra::launcher::main();
    }
    let told = match args::Args::parse().command {
        args::Command::Serve(options) => serve::run(&options),
        args::Command::Config => config::print(),
        args::Command::CheckConfig(options) => config::check(&options),
        args::Command::Catalogue(command) => catalogue::run(command),
        args::Command::App(command) => app::run(command),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freehold: {error}");
            ExitCode::FAILURE
        }
    }
}
